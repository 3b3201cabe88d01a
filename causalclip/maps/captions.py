"""Sentences beside a map: how much it explains, which places are strongest, what a mask
is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalclip.languages import ENGLISH, N_, _, decimal, number, percent, speaking
from causalclip.maps.attribution import MIN_PUSH, strongest_places, unlocalised_share
from causalclip.maps.low_information import unknown_share
from causalclip.measured import measured

if TYPE_CHECKING:
    from causalclip.detection import Detection
    from causalclip.maps.overlay import Drawing

# accuracy from which an adversary that sees what is held back does better than by chance
SHARES_THE_LABEL = 0.6
MASK_MEANING = N_(
    "The mask shows what the verdict reads, but it does not separate what caused a picture to look "
    "generated: what it holds back tells generated pictures from photographs, too, a verdict "
    "without a mask is as good, and “causal” is the paper's name for what passes, not a proof."
)
SHARED_MASK_MEANING = N_(
    "The mask is the same for every picture: those channels pass whose weight in the verdict kept "
    "its sign and its size, whichever half of the sites it was learned from."
)
PLACES = (  # of PARTS x PARTS, row by row
    N_("top left"),
    N_("top centre"),
    N_("top right"),
    N_("middle left"),
    N_("the centre"),
    N_("middle right"),
    N_("bottom left"),
    N_("bottom centre"),
    N_("bottom right"),
)
MAP_MEANING = N_("Where the score comes from. It does not show where a picture was edited.")


def explains(detection: Detection) -> str:
    """Return how much of the score the map can show, in a sentence."""
    return _(
        "The map explains {percent} of the score.",
        percent=percent(1 - unlocalised_share(detection)),
    )


def shares(detection: Detection) -> tuple[float, float]:
    """Return the shares of the score that have a place in the picture and that have none."""
    whole = unlocalised_share(detection)
    return 1 - whole, whole


def places(drawing: Drawing) -> list[str]:
    """Return the strongest places with what each adds, as on the numbered map: "the centre: +2.2
    towards generated"."""
    return [
        f"{_(PLACES[place.part])}: {push(place.push)}"
        for place in strongest_places(drawing.detection, drawing.low_information)
    ]


def push(value: float) -> str:
    """Return what a place adds to the log-odds, in words: "+2.2 towards generated"."""
    if abs(value) < MIN_PUSH:
        return "0"
    side = _("generated") if value > 0 else _("not generated")
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    return f"{sign}{decimal(abs(value), digits=1)} " + _("towards {side}", side=side)


def pale(detection: Detection, grid: np.ndarray | None) -> str:
    """Return what the pale places are, and how much of the picture they cover; empty where there
    are none.

    grid: the picture's `low_information`; None where nobody looked.
    """
    share = unknown_share(detection, grid)
    if share <= 0.005:
        return ""
    return _("Pale ({percent}): too flat or dark to judge.", percent=percent(share))


def caption(drawing: Drawing) -> str:
    """Return what stands below a numbered map that is a file of its own, in a few lines.

    It is English, as what draws it cannot shape every script.
    """
    with speaking(ENGLISH):
        numbered = [f"{n} {place}" for n, place in enumerate(places(drawing), 1)]
        share = explains(drawing.detection), pale(drawing.detection, drawing.low_information)
        return "\n".join(filter(None, (*numbered, *share)))


def control() -> str:
    """Return how well such maps find what was generated, beside a control that knows nothing."""
    pasted, edited = (measured()[f"maps.{pictures}.causal.auc"] for pictures in ("pasted", "edits"))
    blobs = [measured()[f"maps.{pictures}.middle.auc"].value for pictures in ("pasted", "edits")]
    return _(
        "This is no outline of what was generated or edited. Asked to find a generated part in "
        "{splices} photographs, such maps have an AUC of {made}, and a blob in the centre {blob}; "
        "on {edits} real edits, {edited} and {edited_blob}.",
        splices=number(pasted.n or 0),
        made=decimal(pasted.value, digits=2),
        blob=decimal(blobs[0], digits=2),
        edits=number(edited.n or 0),
        edited=decimal(edited.value, digits=2),
        edited_blob=decimal(blobs[1], digits=2),
    )
