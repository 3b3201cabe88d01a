"""What is said beside a map: how much it explains, what its hatching means, what a mask is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalclip.languages import ENGLISH, N_, _, decimal, number, percent, speaking
from causalclip.maps.attribution import is_telling, unlocalised_share
from causalclip.maps.low_information import unknown_share
from causalclip.paths import measured

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
BLOB = "bright in the middle, whatever is there"


def explains(detection: Detection) -> str:
    """Return how much of the score the map can show, in a sentence."""
    return _(
        "The map explains {percent} of the score.",
        percent=percent(1 - unlocalised_share(detection)),
    )


def too_little(detection: Detection) -> str:
    """Return why the map is not shown unasked; empty where it is."""
    if is_telling(detection):
        return ""
    return _(
        "Only {percent} of the score has a place in the picture, too little for a map.",
        percent=percent(1 - unlocalised_share(detection)),
    )


def hatched(detection: Detection, grid: np.ndarray | None) -> str:
    """Return what the hatching means, and how much of the picture has it; empty where there is
    none.

    grid: the picture's `low_information`; None where nobody looked.
    """
    share = unknown_share(detection, grid)
    if share <= 0.005:
        return ""
    return _("Hatched ({percent}): too flat or dark to judge.", percent=percent(share))


def caption(drawing: Drawing) -> str:
    """Return what stands below a map that is a file of its own, in one or two lines.

    It is English, as what draws it cannot shape every script.
    """
    with speaking(ENGLISH):
        lines = explains(drawing.detection), hatched(drawing.detection, drawing.low_information)
        return "\n".join(filter(None, lines))


def control() -> str:
    """Return how well such maps find what was generated, beside a control that knows nothing;
    empty without the benchmark."""
    splices, edits = measured("splices"), measured("edits")
    if not (splices and edits):
        return ""
    real = edits["auc"]["a region"]
    return _(
        "This is no outline of what was generated or edited. Asked to find a generated part in "
        "{splices} photographs, such maps have an AUC of {made}, and a blob in the centre {blob}; "
        "on {edits} real edits, {edited} and {edited_blob}.",
        splices=number(splices["splices"]),
        made=decimal(splices["auc"]["causal"]["mean"], digits=2),
        blob=decimal(splices["auc"][BLOB]["mean"], digits=2),
        edits=number(real["causal"]["n"]),
        edited=decimal(real["causal"]["mean"], digits=2),
        edited_blob=decimal(real[BLOB]["mean"], digits=2),
    )
