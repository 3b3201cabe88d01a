"""What Detect says: the card with its links, the map in words and numbers, the facts, and what to do now.

As HTML it is in assets/detect.html.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from causalclip.evidence.examination import conclude
from causalclip.evidence.regions import NOT_LOOKED_FOR
from causalclip.evidence.words import JUDGED_BY, NO_ANSWER
from causalclip.languages import N_, _, any_of, decimal, figure, ngettext, number
from causalclip.maps.heatmap import lay, picture_map, placed, seen, unplaced
from causalclip.maps.overlay import SCALE
from causalclip.maps.words import hatched, no_place
from causalclip.paths import shipped_folder
from causalclip.report import card
from causalclip.report.templates import render

if TYPE_CHECKING:
    from causalclip.detector import Detection, Detector, ViewAttribution
    from causalclip.evidence.cautions import Caution
    from causalclip.evidence.examination import Examination
    from causalclip.evidence.headline import Step
    from causalclip.evidence.regions import RegionFinding
    from causalclip.images.loading import LoadedImage
    from causalclip.maps.overlay import Drawing
    from causalclip.provenance.reading import Provenance

SPLICES = shipped_folder("benchmarks") / "splices.json"
PLACES = (  # of 3 x 3 parts, row by row
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

SITES = {
    "Google Lens": "https://lens.google.com/",
    "TinEye": "https://tineye.com/",
    "Bing Visual Search": "https://www.bing.com/visualsearch",
    "Yandex Images": "https://yandex.com/images/",
    "Baidu Images": "https://image.baidu.com/",
}
_render = partial(render, template="detect.html")


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What is kept of a picture between its verdict and its conclusion."""

    provenance: Provenance
    cautions: tuple[Caution, ...]
    drawing: Drawing

    @property
    def detection(self) -> Detection:
        return self.drawing.detection


def verdict(detector: Detector, found: FirstLook, loaded: LoadedImage, parts: RegionFinding = NOT_LOOKED_FOR) -> str:
    """The card before it is known whether the answer survives. parts: not looked for while that goes on."""
    evidence = found.provenance, found.cautions, found.detection
    x = conclude(detector, loaded, *evidence, stability=False, parts=parts)
    return card.verdict(x, links=jump_links(x.detection, ready=False))


def conclusion(x: Examination) -> str:
    """The card of the answer that counts."""
    return card.verdict(x, links=jump_links(x.detection, ready=True))


def claims(provenance: Provenance) -> str:
    """What the file says; one line to be opened where it says nothing of how it was made."""
    panel = card.provenance_panel(provenance)
    if provenance.credentials.state != "none" or provenance.marks or provenance.all_source_types:
        return panel
    more = _("More of the file: compression, dates, names")
    return f"<details class='cc-nothing'><summary>{more}</summary>{panel}</details>"


def facts(detection: Detection, loaded: LoadedImage) -> str:
    """What was read, what was seen of it, and by which model."""
    rows = {
        _("Picture"): _(
            "{width} × {height} pixels, {format}",
            width=number(detection.width),
            height=number(detection.height),
            format=loaded.format,
        ),
        _("Seen"): "" if detection.band == NO_ANSWER else _seen(detection),  # names the map, which there is none of
        _("Model"): _("{model}, revision {revision}", model=detection.model, revision=detection.revision),
        _("Judged by"): _(JUDGED_BY[detection.head]),
        _("Time"): _("{n} seconds", n=decimal(detection.seconds, digits=2)),
        _("SHA-256 of the file"): Markup("<code>{}</code>").format(loaded.sha256),
    }
    return _render("facts", rows=rows)


def regions(detection: Detection, *, shown: int = 5) -> str:
    """The map in words and numbers: the parts of the picture that push most, and how all adds up to the score."""
    parts = lay(detection, "causal", columns=3, rows=3)
    strongest = [(_place(i), float(parts.flat[i])) for i in np.argsort(-np.abs(parts), axis=None)[:shown]]
    others = float(parts.sum() - sum(value for _name, value in strongest))
    rows = [
        *strongest,
        (_("the other parts together"), others),
        (_("tied to no place in the picture"), unplaced(detection)),
        (_("sum: the score, as log-odds"), detection.logit),
    ]
    signed = [_signed(place, value) for place, value in rows]
    return _render("regions", balance=_balance(detection), peak=_peak(detection), rows=signed)


def map_says(drawing: Drawing) -> str:
    """What of the score the map cannot show, and where it cannot know."""
    detection, grid = drawing.detection, drawing.unknowable
    unknown = hatched(detection, grid) if grid is not None else ""
    return f"<p><b>{no_place(detection)}</b> {unknown}</p>"


def map_words(detection: Detection) -> str:
    """The causal map in one sentence, for who cannot see it."""
    parts = lay(detection, "causal", columns=3, rows=3)
    strongest = int(np.abs(parts).argmax())
    return map_sentence(strongest, towards_generated=float(parts.flat[strongest]) > 0)


def map_sentence(strongest: int, *, towards_generated: bool) -> str:
    """strongest: which of PLACES pushes most."""
    return _(
        "Causal map over the picture. The strongest part is {where}, which pushes towards {side}.",
        where=_place(strongest),
        side=_side(1.0 if towards_generated else -1.0),
    )


def legend() -> str:
    """What the map's colours mean, and how far to trust it."""
    scale = _("Ends of the scale: {n} log-odds per patch, the same for every picture.", n=figure(SCALE))
    return _render("legend", scale=scale, caveat=caveat())


def caveat() -> str:
    """How well such maps find what was generated, from the benchmark; empty without it."""
    if not SPLICES.is_file():
        return ""
    found = json.loads(SPLICES.read_text(encoding="utf-8"))
    map_, blob = (found["auc"][name]["mean"] for name in ("causal", "bright in the middle, whatever is there"))
    control = found["controls"]["a photograph pasted into a photograph"]["mean"]
    return _(
        "Read it with care: on {splices} photographs with a generated part pasted in, such maps told the part from the "
        "rest with an AUC of {auc} (a blob in the centre: {blob}; a pasted photograph, where nothing is generated: "
        "{control}; chance: {chance}).",
        splices=number(found["splices"]),
        auc=decimal(map_, digits=2),
        blob=decimal(blob, digits=2),
        control=decimal(control, digits=2),
        chance=decimal(0.5, digits=2),
    )


def _peak(detection: Detection) -> str:
    """Where the smooth map is strongest, which need not be in the strongest part."""
    levels = picture_map(detection, "causal", unit="patch", smooth=True, side=128)
    row, column = np.unravel_index(np.abs(levels).argmax(), levels.shape)
    value = float(levels[row, column])
    across, down = (round(100 * (i + 0.5) / n) for i, n in ((column, levels.shape[1]), (row, levels.shape[0])))
    return _(
        "The strongest colour on the map is {across} % from the left and {down} % from the top; it pushes towards "
        "{side}. A part may push harder with weaker colours, as it adds up all that is in it.",
        across=across,
        down=down,
        side=_side(value),
    )


def _seen(detection: Detection) -> str:
    squares = sum(v.kind == "whole" for v in detection.views)
    windows = [v for v in detection.views if v.kind == "window"]
    words = ngettext("the whole, in {n} square", "the whole, in {n} squares", squares)
    if windows:
        close = _("close up, in {windows} (their corners can be marked on the map)", windows=_windows(windows))
        words += f"; {close}"
    missed = 1 - float(seen(detection, columns=200, rows=200).mean())
    if missed <= 0.005:
        return words
    unseen = _("{percent} % of the picture was not seen (hatched on the map)", percent=round(100 * missed))
    return f"{words}. {unseen}"


def _windows(views: Sequence[ViewAttribution]) -> str:
    """How many windows of which size."""
    sides = Counter(round(view.box[2] - view.box[0]) for view in views)
    parts = [
        ngettext("{n} window of {side} × {side} pixels", "{n} windows of {side} × {side} pixels", n, side=side)
        for side, n in sorted(sides.items())
    ]
    return any_of(parts, style="standard")


def _place(part: int) -> str:
    return _(PLACES[part])


def _side(value: float) -> str:
    return _("generated") if value > 0 else _("not generated")


def _signed(place: str, value: float) -> tuple[str, str, str]:
    """A place with the side that it pushes towards, and by how much."""
    side = _side(value) if abs(value) >= 0.005 else _("neither")
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    return place, side, f"{sign}{decimal(abs(value), digits=2)}"


def _balance(detection: Detection) -> str:
    """Whether the places and the rest agree: a map may point one way and the score the other."""
    here, rest = placed(detection.views), unplaced(detection)
    if abs(here) < 0.05:
        return _("The marked places nearly cancel out; the score rests on what belongs to no single place.")
    if (here > 0) == (detection.logit > 0):
        return _("The marked places together push towards {side}, as the score does.", side=_side(here))
    return _(
        "The marked places together push towards {side}, but what belongs to no single place pushes harder towards "
        "{other}, so the map and the score point different ways. Be careful with both.",
        side=_side(here),
        other=_side(rest),
    )


def steps_panel(steps: Sequence[Step], quote: str = "") -> str:
    """What a person can do now, and a sentence to paste. quote: empty as long as there is none."""
    return _render("steps", steps=steps, quote=quote, sites=SITES)


def jump_links(detection: Detection, *, ready: bool) -> str:
    """From the card to what stands below it. ready: whether there is a report."""
    return _render("jump_links", ready=ready, mapped=detection.band != NO_ANSWER)
