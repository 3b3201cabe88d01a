"""The mask explorer in words, numbers and curves, as HTML: channels, their removal, and the mask."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from causalclip.evidence.words import NO_ANSWER, WHY_NO_ANSWER, score_texts
from causalclip.evidence.words import score_text as score
from causalclip.languages import N_, _, decimal, figure, is_rtl, ngettext, number
from causalclip.maps.explorer import (
    DRAWS,
    Channel,
    Order,
    Removal,
    contributions,
    offset,
    remove,
    top_channels,
    without,
)
from causalclip.maps.heatmap import placed, unplaced
from causalclip.maps.maskgrid import BINS, CLOSED, OPEN, TITLES, Openness, mean_masks, openness
from causalclip.maps.words import MASK_MEANING, SHARED_MASK_MEANING, SHARES_THE_LABEL, control, no_place
from causalclip.report.card import brief
from ui.charts import Axis, Mark, Series, bar, marks, plot, table

if TYPE_CHECKING:
    from causalclip.clip.views import Kind
    from causalclip.detector import Detection

NONE = N_("No channel is removed. Move the slider to remove some.")
PUSH = 0.1  # log-odds at the ends of a channel's row; the same for every picture
TICKS = 0, 1, 10, 100, 1000
HOW_TO_READ = N_(
    "How to read it: the sooner the line leaves the range of the random draws, the fewer channels carry the answer. "
    "The triangle stands apart from both lines: with all channels removed the offset alone makes the score, whatever "
    "the order was, and on this scale the last {last} channels are one step."
)
ORDERS: dict[Order, str] = {
    "push": N_("that push hardest for the answer"),
    "mask": N_("that the mask lets through most"),
}
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


def answer(detection: Detection) -> str:
    """The answer and its score, as a card."""
    if detection.band == NO_ANSWER:
        return brief(
            detection.band, f"{_(WHY_NO_ANSWER[detection.kind])} {_('What follows explains that score all the same.')}"
        )
    found, low, high = score_texts(detection.probability, detection.low, detection.high)
    said = _(
        "Score {score}, before the stability check: at or above {high} likely generated, at or below {low} likely not "
        "generated.",
        score=found,
        high=high,
        low=low,
    )
    return brief(detection.band, said)


def channels(detection: Detection, hatched: str = "") -> str:
    """The strongest channels and what each adds; with all others and the rest they are the logit.

    hatched: where the map cannot know, as a sentence.
    """
    top = top_channels(detection)
    total = float(contributions(detection).sum())
    others = total - sum(channel.contribution for channel in top)
    rows = [_row(channel) for channel in top]
    rows += [
        [
            ngettext("the other {n} channel together", "the other {n} channels together", _count(detection) - len(top)),
            "",
            "",
            _signed(others),
        ],
        [_("offset: what belongs to no channel"), "", "", _signed(offset(detection))],
        [f"<b>{_('sum: the score, as log-odds')}</b>", "", "", f"<b>{_signed(detection.logit)}</b>"],
    ]
    towards = sum(channel.contribution > 0 for channel in top)
    by_channel = _(
        "Of the {count} strongest channels, {towards} push towards generated and {away} towards not generated. A "
        "channel is one dimension of CLIP's embedding; it has no name, and what it adds is counted from the average "
        "training picture.",
        count=len(top),
        towards=towards,
        away=len(top) - towards,
    )
    by_place = _(
        "By place instead of channel: the patches of all views add {placed}, and {unplaced} is tied to no place. That "
        "is the same sum.",
        placed=_signed(placed(detection.views)),
        unplaced=_signed(unplaced(detection)),
    )
    caption = _(
        "Log-odds from {low} to {high}; the line is 0. Orange pushes towards generated",
        low=_signed(-PUSH),
        high=_signed(PUSH),
    )
    head = [_("channel"), _("what it adds"), _("let through"), _("adds")]
    of_map = f"<p>{by_place} {no_place(detection)} {hatched} {control()}</p>"
    return f"<p>{by_channel}</p>{of_map}" + table(caption, head, rows)


def removal(detection: Detection, order: Order, count: int) -> str:
    """What is left of the score without the first channels of an order, and the whole curve beside chance."""
    curve = remove(detection, order)
    most = int(curve.counts[-1])
    count = max(0, min(count, most))
    left, random = without(detection, order, count)
    said = _(NONE) if not count else _removed(detection, order, count, left, random)
    last = most - int(curve.counts[-2])
    how = _(HOW_TO_READ, last=number(last))
    return f"<p>{said}</p><p>{how}</p>" + _curve(detection, curve, order, count)


def _removed(detection: Detection, order: Order, count: int, left: float, random: float) -> str:
    """count: how many channels; left, random: the score without the first ones, and without as many at random."""
    edges = detection.low, detection.high
    return ngettext(
        "Without {n} channel of those {order}, the score goes from {before} to {after}: {band}. Without {n} random "
        "channel it goes to {random}, on average of {draws} draws. Removed means: as in the average training picture.",
        "Without the {n} channels {order}, the score goes from {before} to {after}: {band}. Without {n} random ones it "
        "goes to {random}, on average of {draws} draws. Removed means: as in the average training picture.",
        count,
        order=_(ORDERS[order]),
        before=score(detection.probability, *edges),
        after=score(left, *edges),
        band=_(_band(detection, left)),
        random=score(random),
        draws=DRAWS,
    )


def choices(detection: Detection) -> list[tuple[str, str]]:
    """The strongest channels for a list: (name, index)."""
    return [(channel.name, str(channel.index)) for channel in top_channels(detection)]


def _curve(detection: Detection, curve: Removal, order: Order, count: int) -> str:
    mean = curve.drawn.mean(0)
    most = int(curve.counts[-1])
    end = _log(most)
    ticks = [t for t in TICKS if _log(t) < end - 0.4]  # or its number would stand in "all"
    x = Axis(_("channels removed"), 0, end, (*map(_log, ticks), end), (*map(number, ticks), _("all")))
    low, high = curve.drawn.min(0), curve.drawn.max(0)
    places = [_log(int(c)) for c in curve.counts]
    series = [
        Series(_("channels {order}", order=_(ORDERS[order])), list(zip(places, curve.ordered, strict=True))[:-1]),
        Series(
            _("random channels: mean and range of {draws} draws", draws=DRAWS),
            list(zip(places, mean, strict=True))[:-1],
            list(zip(low, high, strict=True))[:-1],
        ),
        Series(_("where the slider is"), [(_log(count), 0.0), (_log(count), 1.0)]),
        Series(
            _("all {most} removed: {score}", most=number(most), score=score(float(curve.ordered[-1]))),
            [(end, float(curve.ordered[-1]))],
            dots=True,
        ),
    ]
    alt = _(
        "The score while channels are removed. From {before} with all channels to {after} with none.",
        before=score(detection.probability),
        after=score(float(curve.ordered[-1])),
    )
    return plot(alt, series, x, Axis(_("score")))


def _row(channel: Channel) -> list[str]:
    side = "b" if channel.contribution > 0 else "c"
    chart = marks([Mark(channel.contribution, side)], Axis("", -PUSH, PUSH), line=0.0)
    return [escape(channel.name), chart, f"{number(round(100 * channel.mask))}%", _signed(channel.contribution, 3)]


def _band(detection: Detection, left: float) -> str:
    band = "likely generated" if left >= detection.high else "inconclusive"
    return "likely not generated" if left <= detection.low else band


def _count(detection: Detection) -> int:
    return len(contributions(detection))


def _signed(value: float, digits: int = 2) -> str:
    sign = "\N{MINUS SIGN}" if f"{value:+.{digits}f}".startswith("-") else "+"
    mark = "\N{LEFT-TO-RIGHT MARK}" if is_rtl() else ""
    return f"{mark}{sign}{decimal(abs(value), digits=digits)}"


def _log(count: int) -> float:
    return math.log10(1 + count)


def mask(detection: Detection, measured: dict[Kind, dict[str, float]]) -> str:
    """measured: Detector.masks."""
    found = {kind: openness(values) for kind, values in mean_masks(detection).items()}
    same = bool(measured) and all(m.get("variance") == 0 for m in measured.values())
    return (
        f"<p>{_(ABOUT_GATES, paper=LINK, meaning=_(SHARED_MASK_MEANING)) if same else _(ABOUT, paper=LINK)}</p>"
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
