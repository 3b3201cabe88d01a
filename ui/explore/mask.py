"""The channel mask in words and numbers, as HTML: how open it is in this picture, and what was measured of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalclip.head.meaning import GATES_MEANING, MASK_MEANING, SHARES_THE_LABEL
from causalclip.maps.maskgrid import BINS, CLOSED, OPEN, TITLES, Openness, mean_masks, openness
from ui.charts import bar, table

if TYPE_CHECKING:
    from causalclip.clip.views import Kind
    from causalclip.detector import Detection

PAPER = "https://arxiv.org/abs/2512.13285"
NUMBER = "For every channel of CLIP's embedding the mask holds a number from 0 (closed) to 1 (open)"
NHSIC = (
    "nHSIC (the normalised Hilbert-Schmidt independence criterion): 0 where neither tells anything of the other, 1 "
    "where one tells all."
)
LINK = f"<a href='{PAPER}' target='_blank' rel='noopener noreferrer'>CausalCLIP, arXiv 2512.13285</a>"
ABOUT = (
    f"<p>{NUMBER}, made from the picture itself; in training it is drawn at random (Gumbel-Softmax), so that it learns "
    "to open or close a channel altogether. Training also punishes dependence between what passes and what is held "
    f"back, by {NHSIC} Both are of {LINK}.</p>"
)
ABOUT_GATES = (
    f"<p>{NUMBER}. {GATES_MEANING} That the verdict reads only what passes is of {LINK}, which draws the mask at "
    "random in training instead. How much what passes and what is held back depend on each other is measured by "
    f"{NHSIC}</p>"
)
UNMEASURED = "<p>How independent the two halves are was not recorded for this model.</p>"


def mask(detection: Detection, measured: dict[Kind, dict[str, float]]) -> str:
    """measured: Detector.masks."""
    found = {kind: openness(values) for kind, values in mean_masks(detection).items()}
    same = bool(measured) and all(m.get("variance") == 0 for m in measured.values())
    return (
        (ABOUT_GATES if same else ABOUT)
        + _measured(measured)
        + "".join(_shares(kind, o) for kind, o in found.items())
        + _histogram(found)
    )


def _measured(measured: dict[Kind, dict[str, float]]) -> str:
    if not measured:
        return UNMEASURED
    rows = [[TITLES[k], f"{m['nhsic']:.2f}", f"{m['adversary_accuracy']:.1%}"] for k, m in measured.items()]
    worst = max(m["adversary_accuracy"] for m in measured.values())
    verdict = MASK_MEANING if worst > SHARES_THE_LABEL else "A coin gets 50 %."
    words = (
        "<p>Measured on this model's training pictures: an adversary that sees only what is held back is right about "
        f"{worst:.1%} of them at best. {verdict}</p>"
    )
    head = ["pictures", "nHSIC of the two halves", "adversary's accuracy"]
    return words + table("Dependence between what passes and what is held back", head, rows, chart=None)


def _shares(kind: Kind, o: Openness) -> str:
    return (
        f"<p>In this picture, {TITLES[kind]}: {o.open:.0%} of the channels are open ({OPEN} or more), {o.closed:.0%} "
        f"closed ({CLOSED} or less), the rest in between; the mean is {o.mean:.2f}.</p>"
    )


def _histogram(found: dict[Kind, Openness]) -> str:
    """A row a bin: its share of the channels, of each kind of view."""
    pieces = []
    for kind, o in found.items():
        rows = [[f"{i / BINS:.1f} to {(i + 1) / BINS:.1f}", bar(s), f"{s:.1%}"] for i, s in enumerate(o.bins)]
        pieces.append(table(f"Histogram of the mask, {TITLES[kind]}", ["open to", "share", "channels"], rows))
    return f"<div class='cc-beside'>{''.join(pieces)}</div>"
