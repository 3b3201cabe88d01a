"""The mask explorer in words, numbers and curves, as HTML."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from causalclip.examine.kind import NO_ANSWER, WHY
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
from causalclip.maps.words import control
from causalclip.report.card import brief, scores
from causalclip.report.stability_panel import shown as score
from ui.charts import Axis, Mark, Series, marks, plot, table

if TYPE_CHECKING:
    from causalclip.detector import Detection

PUSH = 0.1  # log-odds at the ends of a channel's row; the same for every picture
TICKS = 0, 1, 10, 100, 1000
HOW_TO_READ = (
    "<p>How to read it: the sooner the line leaves the range of the random draws, the fewer channels carry the answer. "
    "The triangle stands apart from both lines: with all channels removed the offset alone makes the score, whatever "
    "the order was, and on this scale the last {last:,} channels are one step.</p>"
)
ORDERS: dict[Order, str] = {
    "push": "that push hardest for the answer",
    "mask": "that the mask lets through most",
}


def answer(detection: Detection) -> str:
    """The answer and its score, as a card."""
    if detection.band == NO_ANSWER:
        return brief(detection.band, f"{WHY[detection.kind]} What follows explains that score all the same.")
    found, low, high = scores(detection.probability, detection.low, detection.high)
    return brief(
        detection.band,
        f"Score {found}, before the stability check: at or above {high} likely generated, at or below {low} likely not "
        "generated.",
    )


def channels(detection: Detection) -> str:
    """The strongest channels and what each adds; with all others and the rest they are the logit."""
    top = top_channels(detection)
    total = float(contributions(detection).sum())
    others = total - sum(channel.contribution for channel in top)
    rows = [_row(channel) for channel in top]
    rows += [
        [f"the other {len(contributions(detection)) - len(top):,} channels together", "", "", _signed(others)],
        ["offset: what belongs to no channel", "", "", _signed(offset(detection))],
        ["<b>sum: the score, as log-odds</b>", "", "", f"<b>{_signed(detection.logit)}</b>"],
    ]
    towards = sum(channel.contribution > 0 for channel in top)
    words = (
        f"<p>Of the {len(top)} strongest channels, {towards} push towards generated and "
        f"{len(top) - towards} towards not generated. A channel is one dimension of CLIP's embedding; it has no name, "
        "and what it adds is counted from the average training picture.</p>"
        f"<p>By place instead of channel: the patches of all views add {_signed(placed(detection.views))}, and "
        f"{_signed(unplaced(detection))} is tied to no place. That is the same sum. {control()}</p>"
    )
    caption = f"Log-odds from {_signed(-PUSH)} to {_signed(PUSH)}; the line is 0. Orange pushes towards generated"
    return words + table(caption, ["channel", "what it adds", "let through", "adds"], rows)


def removal(detection: Detection, order: Order, count: int) -> str:
    """What is left of the score without the first channels of an order, and the whole curve beside chance."""
    curve = remove(detection, order)
    most = int(curve.counts[-1])
    count = max(0, min(count, most))
    left, random = without(detection, order, count)
    words = (
        f"<p>Without the {count:,} channels {ORDERS[order]}, {_from_to(detection, left)}. Without {count:,} random "
        f"ones it goes to {score(random)}, on average of {DRAWS} draws. Removed means: as in the average training "
        "picture.</p>"
        if count
        else "<p>No channel is removed. Move the slider to remove some.</p>"
    )
    last = most - int(curve.counts[-2])
    return words + HOW_TO_READ.format(last=last) + _curve(detection, curve, order, count)


def choices(detection: Detection) -> list[tuple[str, str]]:
    """The strongest channels for a list: (name, index)."""
    return [(channel.name, str(channel.index)) for channel in top_channels(detection)]


def _curve(detection: Detection, curve: Removal, order: Order, count: int) -> str:
    mean = curve.drawn.mean(0)
    most = int(curve.counts[-1])
    end = _log(most)
    ticks = [t for t in TICKS if _log(t) < end - 0.4]  # or its number would stand in "all"
    x = Axis("channels removed", 0, end, (*map(_log, ticks), end), (*(f"{t:,}" for t in ticks), "all"))
    low, high = curve.drawn.min(0), curve.drawn.max(0)
    places = [_log(int(c)) for c in curve.counts]
    series = [
        Series(f"channels {ORDERS[order]}", list(zip(places, curve.ordered, strict=True))[:-1]),
        Series(
            f"random channels: mean and range of {DRAWS} draws",
            list(zip(places, mean, strict=True))[:-1],
            list(zip(low, high, strict=True))[:-1],
        ),
        Series("where the slider is", [(_log(count), 0.0), (_log(count), 1.0)]),
        Series(
            f"all {most:,} removed: {score(float(curve.ordered[-1]))}", [(end, float(curve.ordered[-1]))], dots=True
        ),
    ]
    alt = (
        f"The score while channels are removed. From {score(detection.probability)} with all channels to "
        f"{score(float(curve.ordered[-1]))} with none."
    )
    return plot(alt, series, x, Axis("score"))


def _row(channel: Channel) -> list[str]:
    side = "b" if channel.contribution > 0 else "c"
    chart = marks([Mark(channel.contribution, side)], Axis("", -PUSH, PUSH), line=0.0)
    return [escape(channel.name), chart, f"{channel.mask:.0%}", _signed(channel.contribution, 3)]


def _from_to(detection: Detection, left: float) -> str:
    band = "likely generated" if left >= detection.high else "inconclusive"
    band = "likely not generated" if left <= detection.low else band
    edges = detection.low, detection.high
    return f"the score goes from {score(detection.probability, *edges)} to {score(left, *edges)}: {band}"


def _signed(value: float, digits: int = 2) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _log(count: int) -> float:
    return math.log10(1 + count)
