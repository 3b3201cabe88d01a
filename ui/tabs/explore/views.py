"""What Explore says and draws of a picture: its answer, its mask, the strongest channels, and their
removal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from causalclip.examination.messages import JUDGED_BY, NO_ANSWER, WHY_NO_ANSWER, score_texts
from causalclip.examination.messages import score_text as score
from causalclip.languages import N_, _, decimal, ngettext, number
from causalclip.maps.attribution import (
    MASK_MEANING,
    SHARED_MASK_MEANING,
    SHARES_THE_LABEL,
    explains,
    hatched,
    placed,
    unplaced,
)
from causalclip.maps.channels import (
    DRAWS,
    PASSES,
    Channel,
    by_part,
    compare_masks,
    contributions,
    held_back,
    mean_mask,
    offset,
    part_name,
    passing,
    remove,
    top_channels,
)
from causalclip.report.card import brief
from causalclip.report.explain import difference_sentence, mask_sentence, removal_sentence
from ui.tabs.charts import Axis, Mark, Series, marks, plot, signed, table

if TYPE_CHECKING:
    from causalclip.clip.backbones import Kind
    from causalclip.detector import Detection
    from causalclip.maps.overlay import Drawing

PUSH = 0.1  # log-odds at the ends of a channel's row; the same for every picture
TICKS = 0, 1, 10, 100, 1000
OTHER_HEAD = N_(
    "This is the causal head's mask, whose own score is {score}: the linear head, which judged, "
    "has one mask for all pictures."
)
NO_CAUSAL = N_(
    "The causal head, which has a mask for each picture, is not here: this mask is the same for "
    "all pictures."
)
HOW_TO_READ = N_(
    "The sooner the line leaves the range of the random draws, the fewer channels carry the "
    "answer. Removed means: as in the average training picture."
)
PAPER = "https://arxiv.org/abs/2512.13285"
LINK = (
    f"<a href='{PAPER}' target='_blank' rel='noopener noreferrer'>CausalCLIP, arXiv 2512.13285</a>"
)
ABOUT = N_(
    "The mask is made from the picture itself: for every channel of CLIP's embedding a number from "
    "0 (held back) to 1 (let through), drawn at random in training (Gumbel-Softmax, {paper}). "
    "Training also punishes dependence between what passes and what is held back."
)
ADVERSARY = N_(
    "How far that went: a probe that sees only what is held back is right about {percent} % of the "
    "training pictures, and the normalised HSIC of both halves is {nhsic} (0 is independent, 1 is "
    "not)."
)


def answer(detection: Detection, masked: Detection) -> str:
    """The answer with its score, and what the mask lets through. masked: the detection by the head
    whose mask is shown."""
    if detection.band == NO_ANSWER:
        said = (
            f"{_(WHY_NO_ANSWER[detection.kind])} "
            f"{_('What follows explains that score all the same.')}"
        )
    else:
        found, low, high = score_texts(detection.probability, detection.low, detection.high)
        said = _(
            "Score {score} ({head}): at or above {high} likely generated, at or below {low} likely "
            "not generated.",
            score=found,
            head=_(JUDGED_BY[detection.head]),
            high=high,
            low=low,
        )
    whose = ""
    if masked.head != detection.head:
        whose = _(OTHER_HEAD, score=score(masked.probability))
    elif masked.head == "linear":
        whose = _(NO_CAUSAL)
    more = f"<p class='cc-small'>{whose}</p>" if whose else ""
    return f"{brief(detection.band, said)}<p class='cc-first'>{mask_sentence(masked)}</p>{more}"


def legend(drawing: Drawing) -> str:
    """How the map is read, and what it cannot show."""
    known = hatched(drawing.detection, drawing.unknowable) if drawing.unknowable is not None else ""
    bar = f"<span>{_('towards not generated')}</span><i></i><span>{_('towards generated')}</span>"
    return (
        f"<p class='cc-towards'>{bar}</p><p class='cc-small'>{explains(drawing.detection)} "
        f"{known}</p>"
    )


def channels(detection: Detection) -> str:
    """The strongest channels and what each adds; with all others and the rest they are the
    logit."""
    top = top_channels(detection)
    others = float(contributions(detection).sum()) - sum(channel.contribution for channel in top)
    count = len(contributions(detection)) - len(top)
    together = ngettext("the other {n} channel together", "the other {n} channels together", count)
    rows = [
        *map(_row, top),
        [together, "", signed(others)],
        [_("offset: what belongs to no channel"), "", signed(offset(detection))],
        [f"<b>{_('sum: the score, as log-odds')}</b>", "", f"<b>{signed(detection.logit)}</b>"],
    ]
    by_place = _(
        "By place instead of channel: the patches of all views add {placed}, and {unplaced} is "
        "tied to no place. That is the same sum.",
        placed=signed(placed(detection.views)),
        unplaced=signed(unplaced(detection)),
    )
    caption = _(
        "Log-odds from {low} to {high}; the line is 0. Orange pushes towards generated",
        low=signed(-PUSH),
        high=signed(PUSH),
    )
    drawn = table(caption, [_("channel"), _("what it adds"), _("adds")], rows)
    return f"{drawn}<p class='cc-small'>{by_place}</p>"


def removal(detection: Detection, count: int) -> str:
    """What is left of the score without the first `count` channels, and the whole curve beside
    chance."""
    count = max(0, min(count, len(contributions(detection))))
    said = (
        f"<b>{removal_sentence(detection, count)}</b> {_(HOW_TO_READ)}" if count else _(HOW_TO_READ)
    )
    return f"<p>{said}</p>{_curve(detection, count)}"


def mask(masked: Detection, measured: dict[Kind, dict[str, float]]) -> str:
    """What the mask is, and how independent its halves are. measured: Detector.masks."""
    about = _(SHARED_MASK_MEANING) if masked.head == "linear" else _(ABOUT, paper=LINK)
    if not measured:
        return f"<p>{about}</p>"
    worst = max(m["adversary_accuracy"] for m in measured.values())
    nhsic = max(m["nhsic"] for m in measured.values())
    apart = _(ADVERSARY, percent=number(round(100 * worst)), nhsic=decimal(nhsic, digits=2))
    meaning = f" {_(MASK_MEANING)}" if worst > SHARES_THE_LABEL else ""
    return f"<p>{about}</p><p>{apart}{meaning}</p>"


def choices(detection: Detection) -> list[tuple[str, str]]:
    """The strongest channels for a list: (name, index)."""
    return [(channel.name, str(channel.index)) for channel in top_channels(detection)]


def _curve(detection: Detection, count: int) -> str:
    curve = remove(detection)
    end, places = _log(int(curve.counts[-1])), [_log(int(c)) for c in curve.counts]
    ticks = [t for t in TICKS if _log(t) < end - 0.4]  # or its number would stand in "all"
    x = Axis(
        _("channels removed"), 0, end, (*map(_log, ticks), end), (*map(number, ticks), _("all"))
    )
    drawn = curve.drawn
    ranges = list(zip(drawn.min(0), drawn.max(0), strict=True))
    series = [
        Series(_("those that push hardest"), list(zip(places, curve.ordered, strict=True))),
        Series(
            _("random ones: mean and range of {draws} draws", draws=DRAWS),
            list(zip(places, drawn.mean(0), strict=True)),
            ranges,
        ),
        Series(_("where the slider is"), [(_log(count), 0.0), (_log(count), 1.0)]),
    ]
    alt = _(
        "The score while channels are removed. From {before} with all channels to {after} with "
        "none.",
        before=score(detection.probability),
        after=score(float(curve.ordered[-1])),
    )
    return plot(alt, series, x, Axis(_("score")))


def _row(channel: Channel) -> list[str]:
    side = "b" if channel.contribution > 0 else "c"
    chart = marks([Mark(channel.contribution, side)], Axis("", -PUSH, PUSH), line=0.0)
    return [escape(channel.name), chart, signed(channel.contribution, 3)]


def _log(count: int) -> float:
    return math.log10(1 + count)


if TYPE_CHECKING:
    from causalclip.detector import Detection

# The mask, drawn: a row a part of the embedding, every channel a cell in its true order. The band
# shows what the mask lets through. A bar is what its channel pushes, up towards generated and down
# towards not generated: in the accent colour what passes, in grey what the mask holds back. One
# scale for all pictures.
BAR_PUSH = 0.04  # log-odds at the ends of a channel's bar; 99 of 100 channels push less
BAND, BAR = 6, 18  # px: the height of the band, and of a bar at most
HOW = N_(
    "Every channel of CLIP's embedding in its order. In the band, colour passes and grey is held "
    "back. A bar is what the channel pushes, up towards generated, down towards not generated; its "
    "ends are {push} log-odds, and grey is what the mask takes away from it."
)
HOW_DIFFERENT = N_(
    "Difference: up where the first mask is more open, down where the second is; coloured where a "
    "channel passes in one picture alone."
)


def mask_figure(first: Detection | None, second: Detection | None) -> str:
    """The masks of the pictures that are there as an HTML figure; empty where none is."""
    both = first is not None and second is not None
    rows = {_("first"): first, _("second"): second} if both else {"": first or second}
    there = {name: detection for name, detection in rows.items() if detection is not None}
    if not there:
        return ""
    drawn = {name: _drawn(detection) for name, detection in there.items()}
    says = _(HOW, push=signed(BAR_PUSH, 2).lstrip("+"))
    if first is not None and second is not None:
        drawn[_("difference")] = _differences(first, second)
        says = (
            f"<b>{difference_sentence(compare_masks(first, second)[0])}</b> {says} "
            f"{_(HOW_DIFFERENT)}"
        )
    one = next(iter(there.values()))
    body = "".join(
        _rows(part, {name: cells[part] for name, cells in drawn.items()})
        for part, _width in one.parts
    )
    top = "".join(f"<th scope='col'>{name}</th>" for name in (_("let through"), _("adds")))
    head = f"<tr><th scope='col' colspan='2'>{_('part of the embedding')}</th><td></td>{top}</tr>"
    return (
        f"<section class='cc-masks'><h3>{_('The mask, channel by channel')}</h3><p "
        f"class='cc-small'>{says}</p><table "
        f"class='cc-table'><thead>{head}</thead>{body}</table></section>"
    )


Cells = tuple[str, str, str]  # of a row: its drawing, how many channels pass, what they add


def _rows(part: str, drawn: dict[str, Cells]) -> str:
    lines = []
    for place, (name, (drawing, passed, adds)) in enumerate(drawn.items()):
        title = (
            f"<th scope='rowgroup' rowspan='{len(drawn)}'>{escape(part_name(part))}</th>"
            if not place
            else ""
        )
        cells = f"<td class='cc-drawn'>{drawing}</td><td>{passed}</td><td>{adds}</td>"
        # one picture alone needs no name
        which = f"<th scope='row'>{name}</th>" if name else "<td></td>"
        lines.append(f"<tr>{title}{which}{cells}</tr>")
    return f"<tbody>{''.join(lines)}</tbody>"


def _drawn(detection: Detection) -> dict[str, Cells]:
    """A picture's rows, by part."""
    values = mean_mask(detection), contributions(detection), held_back(detection)
    mask, added, held = (by_part(detection, value) for value in values)
    found = {}
    for part, of_part in mask.items():
        whole = (added[part] + held[part]) / BAR_PUSH
        colour = _bars(added[part] / BAR_PUSH)
        # where it is to be seen
        grey = _bars(np.where(np.abs(held[part]) * BAR < BAR_PUSH / 2, 0, whole))
        band = (
            f"<path class='cc-off' d='{_runs(of_part < PASSES)}'/><path class='cc-on' "
            f"d='{_runs(of_part >= PASSES)}'/>"
        )
        passed = _("{n} of {all}", n=number(passing(of_part)), all=number(len(of_part)))
        drawing = (
            f"<path class='cc-held-back' d='{grey}'/><path class='cc-passed' d='{colour}'/>{band}"
        )
        found[part] = _svg(drawing, len(of_part)), passed, signed(float(added[part].sum()), 2)
    return found


def _differences(first: Detection, second: Detection) -> dict[str, Cells]:
    """The rows of the difference, by part."""
    found = {}
    pairs = zip(*(by_part(x, mean_mask(x)).items() for x in (first, second)), strict=True)
    for ((part, a), (_part, b)), one in zip(
        pairs, compare_masks(first, second)[1].values(), strict=True
    ):
        apart = (a >= PASSES) != (b >= PASSES)
        less, more = _bars(np.where(apart, 0, a - b)), _bars(np.where(apart, a - b, 0))
        drawing = f"<path class='cc-held-back' d='{less}'/><path class='cc-passed' d='{more}'/>"
        counts = f"{number(one.only_first)} / {number(one.only_second)}"
        found[part] = _svg(drawing, len(a)), counts, decimal(one.mean, digits=2)
    return found


def _svg(drawing: str, width: int) -> str:
    high = BAND + 2 * BAR
    return (
        f"<svg viewBox='0 0 {2 * width} {high}' preserveAspectRatio='none' "
        f"aria-hidden='true'>{drawing}</svg>"
    )


def _bars(heights: np.ndarray) -> str:
    """A path with a line for each cell, [D] in [-1, 1]: up from the band's upper edge, or down from
    its lower one."""
    lengths = np.clip(heights * BAR, -BAR, BAR).round().astype(int)
    edges = np.where(lengths > 0, BAR, BAR + BAND)
    return "".join(f"M{2 * i + 1} {edges[i]}v{-lengths[i]}" for i in np.flatnonzero(lengths))


def _runs(chosen: np.ndarray) -> str:
    """A path along the band over the cells that are chosen, bool [D]."""
    return "".join(
        f"M{2 * start} {BAR + BAND // 2}h{2 * (stop - start)}" for start, stop in _stretches(chosen)
    )


def _stretches(chosen: np.ndarray) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]])))
    yield from (pair for pair in zip(edges[::2], edges[1::2], strict=True))
