"""The Mask tab beside its tiles, as HTML: its answer, its mask, the strongest channels, and their
removal."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from causalclip.examination.messages import JUDGED_BY, NO_ANSWER, WHY_NO_ANSWER, score_texts
from causalclip.examination.messages import score_text as score
from causalclip.languages import N_, _, decimal, ngettext, number, paragraph, percent
from causalclip.maps.attribution import localised_logit, unlocalised_logit
from causalclip.maps.captions import (
    MASK_MEANING,
    SHARED_MASK_MEANING,
    SHARES_THE_LABEL,
    explains,
    pale,
)
from causalclip.maps.channels import (
    DRAWS,
    Channel,
    contributions,
    deletion_curve,
    offset,
    top_channels,
)
from causalclip.report.card import brief
from causalclip.report.masks import passing_sentence
from ui.tabs.charts import Axis, Mark, Series, marks, plot, signed, table

if TYPE_CHECKING:
    from causalclip.clip.views import ViewType
    from causalclip.detection import Detection
    from causalclip.maps.overlay import Drawing

PUSH = 0.1  # log-odds at the ends of a channel's row; the same for every picture
TICKS = 0, 1, 10, 100, 1000
TOWARDS = N_("towards not generated"), N_("towards generated")
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
    "A probe that sees only what is held back is right about {percent} of the training pictures, "
    "and the normalised HSIC of both halves is {nhsic} (unbiased, on {count} views: 0 is "
    "independent; halves of different pictures have {permuted})."
)

NOT_HARMLESS = N_(
    "This shows which half of the evidence the verdict used, not that the other half is harmless."
)


def answer(detection: Detection) -> str:
    """Return the answer with its score, and what the mask lets through, as HTML."""
    if detection.band == NO_ANSWER:
        sentence = (
            f"{_(WHY_NO_ANSWER[detection.image_type])} "
            f"{_('What follows explains that score all the same.')}"
        )
    else:
        score_words, low, high = score_texts(detection.probability, detection.low, detection.high)
        sentence = _(
            "Score {score} ({head}): at or above {high} likely generated, at or below {low} likely "
            "not generated.",
            score=score_words,
            head=_(JUDGED_BY[detection.head]),
            high=high,
            low=low,
        )
    about_mask = f"<p class='cc-first'>{passing_sentence(detection)}</p>"
    about_head = f"<p class='cc-small'>{_(NO_CAUSAL)}</p>" if detection.head == "linear" else ""
    return f"{brief(detection.band, sentence)}{about_mask}{about_head}"


def legend(drawing: Drawing) -> str:
    """Return how the map is read, and what it cannot show, as HTML."""
    caption = paragraph(
        explains(drawing.detection), pale(drawing.detection, drawing.low_information)
    )
    ends = [f"<span dir='auto'>{_(end)}</span>" for end in TOWARDS]
    bar = "<i></i>".join(ends)
    return f"<p class='cc-towards'>{bar}</p><p class='cc-small'>{caption}</p>"


def channels(detection: Detection) -> str:
    """Return the strongest channels and what each adds, as HTML; with all others and the rest they
    add up to the logit."""
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
        placed=signed(localised_logit(detection.views)),
        unplaced=signed(unlocalised_logit(detection)),
    )
    caption = _(
        "Log-odds from {low} to {high}; the line is 0, an arrow goes on beyond. Orange pushes "
        "towards generated",
        low=signed(-PUSH),
        high=signed(PUSH),
    )
    channel_table = table(caption, [_("channel"), _("what it adds"), _("adds")], rows)
    return f"{channel_table}<p class='cc-small'>{by_place}</p>"


def removal(detection: Detection) -> str:
    """Return what is left of the score while channels are removed, beside random draws, as
    HTML."""
    return f"<p>{_(HOW_TO_READ)}</p>{_curve(detection)}"


def limits(measures: dict[ViewType, dict[str, Any]]) -> str:
    """Return what the mask does not show, and how independent its halves are, as HTML.

    measures: Detector.masks.
    """
    words = f"<b>{_(NOT_HARMLESS)}</b>"
    # Detectors of earlier versions measured dependence with a bias: nothing is said of it.
    dependences = [m["dependence"] for m in measures.values() if "dependence" in m]
    if dependences:
        worst = max(m["adversary_accuracy"] for m in measures.values())
        strongest = max(dependences, key=lambda d: d["nhsic"])
        probe = _(
            ADVERSARY,
            percent=percent(worst),
            nhsic=decimal(strongest["nhsic"], digits=2),
            count=number(strongest["pictures"]),
            permuted=decimal(round(strongest["permuted"], 2) + 0.0, digits=2),  # never -0.00
        )
        words = paragraph(words, probe)
    return f"<p>{words}</p>"


def about(detection: Detection, measures: dict[ViewType, dict[str, Any]]) -> str:
    """Return what the mask is, as HTML. measures: Detector.masks."""
    what = _(SHARED_MASK_MEANING) if detection.head == "linear" else _(ABOUT, paper=LINK)
    shares = any(m["adversary_accuracy"] > SHARES_THE_LABEL for m in measures.values())
    return f"<p>{what}{f' {_(MASK_MEANING)}' if shares else ''}</p>"


def choices(detection: Detection) -> list[tuple[str, str]]:
    """Return the strongest channels for a list: (name, index)."""
    return [(channel.name, str(channel.index)) for channel in top_channels(detection)]


def _curve(detection: Detection) -> str:
    """Return the score while channels are removed, as a plot."""
    curve = deletion_curve(detection)
    end, places = _log(int(curve.counts[-1])), [_log(int(c)) for c in curve.counts]
    ticks = [t for t in TICKS if _log(t) < end - 0.4]  # or its number would stand in "all"
    x = Axis(
        _("channels removed"), 0, end, (*map(_log, ticks), end), (*map(number, ticks), _("all"))
    )
    draws = curve.drawn
    ranges = list(zip(draws.min(0), draws.max(0), strict=True))
    series = [
        Series(_("those that push hardest"), list(zip(places, curve.ordered, strict=True))),
        Series(
            _("random ones: mean and range of {draws} draws", draws=DRAWS),
            list(zip(places, draws.mean(0), strict=True)),
            ranges,
        ),
    ]
    alt = _(
        "The score while channels are removed. From {before} with all channels to {after} with "
        "none.",
        before=score(detection.probability),
        after=score(float(curve.ordered[-1])),
    )
    return plot(alt, series, x, Axis(_("score")))


def _row(channel: Channel) -> list[str]:
    """Return a channel's row of the table: its name, what it adds as a bar, and as a number."""
    side = "b" if channel.contribution > 0 else "c"
    chart = marks([Mark(channel.contribution, side)], Axis("", -PUSH, PUSH), line=0.0)
    return [escape(channel.name), chart, signed(channel.contribution, 3)]


def _log(count: int) -> float:
    """Return the place of a count on the curve's axis, on which 0 is at 0."""
    return math.log10(1 + count)
