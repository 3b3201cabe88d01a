"""The four tiles of a picture's mask, as HTML: the picture, what passed, what was held back, and
what is left without the strongest channels, each with its score.

The HTML is in assets/mask.html; assets/mask.js plays the removal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from causalclip.calibration import band_of
from causalclip.examination.messages import NO_ANSWER, TONE, bar_place, score_text
from causalclip.languages import N_, _, bracketed, decimal, in_turn, number, paragraph
from causalclip.maps.channels import (
    kept_channels,
    remaining,
    removal_counts,
    suppressed_score,
    unmasked_score,
    without_strongest,
)
from causalclip.maps.overlay import Drawing, draw_map, shrink
from causalclip.measured import Measurement, measured
from causalclip.report.pictures import data_url
from causalclip.report.templates import render
from ui.tabs.charts import signed

if TYPE_CHECKING:
    from causalclip.detection import Detection
    from causalclip.detector import Detector

SIDE = 512  # px of a tile's long side: 300 on the page, sharp on a screen with more
FIRST_SHOWN = 100  # channels that are removed at first
MASKS = {  # by their ids among the measured numbers
    "own": N_("the picture's own mask"),
    "other": N_("another picture's mask"),
    "mean": N_("the mean of all masks"),
    "none": N_("no mask"),
}
WORTH = N_(
    "On {n} test pictures the AUC is {own} with each picture's own mask, {other} with another "
    "picture's, {mean} with the mean of all masks and {none} without a mask."
)
GAIN = N_("A gain is shown against: {masks}.")
NO_GAIN = N_("No gain is shown against: {masks}.")
NOT_OPENNESS = N_("How far a mask is open does not say whether a picture was generated.")
_render = partial(render, template="mask.html")


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture with a score beneath it.

    Attributes:
        address: of the image, a data address.
        score, band, tone: the score in words, its band, and the name of the band's colour.
        at: where the score stands on its bar, in percent.
        note: what the score is of.
    """

    title: str
    alt: str
    address: str
    score: str
    band: str
    tone: str
    at: float
    note: str

    @property
    def spoken(self) -> str:
        """The title and the score, for a screen reader."""
        return f"{self.title}: {in_turn(filter(None, (self.score, self.band)))}"


def four_tiles(drawing: Drawing) -> str:
    """Return the picture, what the mask passed and what it held back, as HTML."""
    small = _small(drawing)
    detection = drawing.detection
    tile = partial(_tile, detection)
    return _render(
        "tiles",
        tiles=[
            tile(
                _("The picture"),
                Image.fromarray(small.picture),
                unmasked_score(detection),
                _("if everything counted, without a mask"),
            ),
            tile(
                _("What the mask passed"),
                draw_map(small),
                detection.probability,
                _("from this alone: the verdict"),
            ),
            tile(
                _("What it held back"),
                draw_map(small, "non_causal"),
                suppressed_score(detection),
                _("if this alone counted"),
            ),
        ],
    )


def removing() -> str:
    """Return the fourth tile while it is computed, as HTML."""
    return _render("removing")


def removal_tile(detector: Detector, pixels: np.ndarray, drawing: Drawing) -> str:
    """Return what is left without more and more of the strongest channels, as HTML.

    detector: the one that judged the pixels; one pass of its tower gives all maps.
    """
    # 1. What is left, set by set.
    detection = drawing.detection
    counts = removal_counts(detection)
    kept = kept_channels(detection, counts)
    views = detector.explain_channels(pixels, kept[1:])
    left = [
        detection,
        *(remaining(detection, k, v) for k, v in zip(kept[1:], views, strict=True)),
    ]
    # 2. A frame of each.
    small = _small(drawing)
    frames = []
    for count, one in zip(counts, left, strict=True):
        drawn = draw_map(replace(small, detection=one))
        frames.append(
            _tile(detection, _removed(count), drawn, one.probability, _drawn(detection, count))
        )
    start = max(i for i, count in enumerate(counts) if count <= FIRST_SHOWN or i == 0)
    return _render("removal", frames=frames, start=start)


def worth() -> str:
    """Return what a picture's own mask is worth, as measured, in sentences."""
    aucs, gains = measured().below("masks.auc"), measured().below("masks.gain")
    values = {mask: decimal(auc.value, digits=3) for mask, auc in aucs.items()}
    sure = [_(MASKS[mask]) for mask, gain in gains.items() if gain.ends[0] > 0]
    unsure = [_(MASKS[mask]) for mask, gain in gains.items() if gain.ends[0] <= 0]
    return paragraph(
        _(WORTH, n=number(aucs["own"].n or 0), **values),
        _(GAIN, masks=in_turn(sure)) if sure else "",
        _(NO_GAIN, masks=in_turn(unsure)) if unsure else "",
        _(NOT_OPENNESS),
    )


def worth_table() -> str:
    """Return the AUC under each mask with the gain of the own one, as an HTML table."""
    aucs, gains = measured().below("masks.auc"), measured().below("masks.gain")
    rows = []
    for mask, name in MASKS.items():
        gain = "" if mask == "own" else _gain(gains[mask])
        rows.append((_(name), decimal(aucs[mask].value, digits=3), gain))
    return _render("worth", rows=rows)


def _gain(difference: Measurement) -> str:
    """Return a difference with its interval: +0.016 (+0.003 to +0.031)."""
    low, high = (signed(edge, 3) for edge in difference.ends)
    gain = signed(difference.value, 3)
    return _("{gain} ({low} to {high})", gain=gain, low=low, high=high)


def _removed(count: int) -> str:
    """Return the title of what is left without so many channels."""
    if not count:
        return _("All that passed")
    return bracketed(_("Without the strongest channels"), number(count))


def _drawn(detection: Detection, count: int) -> str:
    """Return the score without as many channels that are drawn at random."""
    if not count:
        return _("the verdict")
    _strongest, others = without_strongest(detection, count)
    return _("without {n} at random: {score}", n=number(count), score=score_text(others))


def _tile(detection: Detection, title: str, picture: Image.Image, score: float, note: str) -> Tile:
    """Return a tile. detection: whose thresholds the score is held to."""
    low, high = detection.low, detection.high
    band = band_of(score, low, high)
    has_answer = detection.band != NO_ANSWER
    return Tile(
        title=title,
        alt=title,
        address=data_url(picture, side=SIDE),
        score=score_text(score, low, high),
        band=_(band) if has_answer else "",
        tone=TONE[band] if has_answer else "inconclusive",
        at=bar_place(score, low, high),
        note=note,
    )


def _small(drawing: Drawing) -> Drawing:
    """Return a drawing of a tile's size, without boxes."""
    return replace(drawing, picture=shrink(drawing.picture, side=SIDE), boxes=())
