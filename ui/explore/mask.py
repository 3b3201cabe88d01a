"""The channel mask in words and numbers, as HTML: how open it is in this picture, and what was measured of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalclip.head.meaning import GATES_MEANING, MASK_MEANING, SHARES_THE_LABEL
from causalclip.languages import N_, _, decimal, figure
from causalclip.maps.maskgrid import BINS, CLOSED, OPEN, TITLES, Openness, mean_masks, openness
from ui.charts import bar, table

if TYPE_CHECKING:
    from causalclip.clip.views import Kind
    from causalclip.detector import Detection

PAPER = "https://arxiv.org/abs/2512.13285"
LINK = f"<a href='{PAPER}' target='_blank' rel='noopener noreferrer'>CausalCLIP, arXiv 2512.13285</a>"
ABOUT = N_(
    "For every channel of CLIP's embedding the mask holds a number from 0 (closed) to 1 (open), made from the picture "
    "itself; in training it is drawn at random (Gumbel-Softmax), so that it learns to open or close a channel "
    "altogether. Training also punishes dependence between what passes and what is held back, by nHSIC (the normalised "
    "Hilbert-Schmidt independence criterion): 0 where neither tells anything of the other, 1 where one tells all. Both "
    "are of {paper}."
)
ABOUT_GATES = N_(
    "For every channel of CLIP's embedding the mask holds a number from 0 (closed) to 1 (open). {meaning} That the "
    "verdict reads only what passes is of {paper}, which draws the mask at random in training instead. How much what "
    "passes and what is held back depend on each other is measured by nHSIC (the normalised Hilbert-Schmidt "
    "independence criterion): 0 where neither tells anything of the other, 1 where one tells all."
)
UNMEASURED = N_("How independent the two halves are was not recorded for this model.")
ADVERSARY = N_(
    "Measured on this model's training pictures: an adversary that sees only what is held back is right about "
    "{percent}% of them at best. {verdict}"
)
SHARES = N_(
    "In this picture, {seen}: {open}% of the channels are open ({from_open} or more), {closed}% closed ({to_closed} or "
    "less), the rest in between; the mean is {mean}."
)


def mask(detection: Detection, measured: dict[Kind, dict[str, float]]) -> str:
    """measured: Detector.masks."""
    found = {kind: openness(values) for kind, values in mean_masks(detection).items()}
    same = bool(measured) and all(m.get("variance") == 0 for m in measured.values())
    return (
        f"<p>{_(ABOUT_GATES, paper=LINK, meaning=_(GATES_MEANING)) if same else _(ABOUT, paper=LINK)}</p>"
        + _measured(measured)
        + "".join(_shares(kind, o) for kind, o in found.items())
        + _histogram(found)
    )


def _measured(measured: dict[Kind, dict[str, float]]) -> str:
    if not measured:
        return f"<p>{_(UNMEASURED)}</p>"
    rows = [
        [_(TITLES[k]), decimal(m["nhsic"], digits=2), f"{_percent(m['adversary_accuracy'])}%"]
        for k, m in measured.items()
    ]
    worst = max(m["adversary_accuracy"] for m in measured.values())
    verdict = _(MASK_MEANING) if worst > SHARES_THE_LABEL else _("A coin gets 50 %.")
    words = f"<p>{_(ADVERSARY, percent=_percent(worst), verdict=verdict)}</p>"
    head = [_("pictures"), _("nHSIC of the two halves"), _("adversary's accuracy")]
    return words + table(_("Dependence between what passes and what is held back"), head, rows, chart=None)


def _shares(kind: Kind, o: Openness) -> str:
    said = _(
        SHARES,
        seen=_(TITLES[kind]),
        open=_percent(o.open, digits=0),
        from_open=figure(OPEN),
        closed=_percent(o.closed, digits=0),
        to_closed=figure(CLOSED),
        mean=decimal(o.mean, digits=2),
    )
    return f"<p>{said}</p>"


def _histogram(found: dict[Kind, Openness]) -> str:
    """A row a bin: its share of the channels, of each kind of view."""
    pieces = []
    for kind, o in found.items():
        rows = [[_bin(i), bar(s), f"{_percent(s)}%"] for i, s in enumerate(o.bins)]
        caption = _("Histogram of the mask, {seen}", seen=_(TITLES[kind]))
        pieces.append(table(caption, [_("open to"), _("share"), _("channels")], rows))
    return f"<div class='cc-beside'>{''.join(pieces)}</div>"


def _bin(place: int) -> str:
    low, high = (decimal(edge / BINS, digits=1) for edge in (place, place + 1))
    return _("{low} to {high}", low=low, high=high)


def _percent(share: float, *, digits: int = 1) -> str:
    return decimal(100 * share, digits=digits)
