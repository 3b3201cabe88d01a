"""The report on a reference set: what its pictures say of the detector, in sentences and as a page.

The HTML is in assets/reference.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from causalclip.intervals import clopper_pearson
from causalclip.languages import N_, _, current, decimal, figure, is_rtl, number, paragraph, percent
from causalclip.private_head import MIN_PICTURES_PER_CLASS
from causalclip.reference import COUNTED_AS, Profile, threshold, too_few
from causalclip.report.templates import render

if TYPE_CHECKING:
    from causalclip.reference_set import Learned, ReferencePicture, UnreadFile

BARS, WIDTH, HEIGHT = 20, 600, 160
COLOURS = "#735796", "#b57538"  # of real and of generated pictures, as on the maps
MAX_SHOWN = 200  # photographs that are shown
LEFT_OUT = N_("Left out, as pictures of their kind get no answer: {n}.")
TOO_FEW_TO_LEARN = N_(
    "To learn from your pictures, {least} real and {least} generated ones are needed; fifteen of "
    "each help more often."
)
_render = partial(render, template="reference.html")


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """Examined photographs and the profile that was made of them.

    Attributes:
        profile: made of the photographs.
        photographs: known to be real, with an answer.
        unread: files that could not be examined.
        shipped: the detector's own threshold.
        at_most: the bound that was asked for.
        unanswered: how many pictures got no answer, and are not in the profile.
        generated: pictures known to be generated.
        learned: from both; None where they were too few, or nobody asked for it.
        corrects: whether a correction was asked for, not a threshold.
    """

    profile: Profile
    photographs: Sequence[ReferencePicture]
    unread: Sequence[UnreadFile]
    shipped: float
    at_most: float
    unanswered: int = 0
    generated: Sequence[ReferencePicture] = ()
    learned: Learned | None = None
    corrects: bool = False

    def sentences(self) -> list[str]:
        """Return what the photographs say of the detector, and at last what comes of them."""
        profile = self.profile
        lines = [_("Photographs that were judged: {n}.", n=number(len(profile.scores)))]
        if self.unanswered:
            lines.append(_(LEFT_OUT, n=number(self.unanswered)))
        lines += self._false_alarms()
        cameras = [name for name in profile.cameras if name]
        if len(cameras) == 1 and not profile.cameras.get(""):
            alone = N_("All are by one camera ({camera}): they speak for that one alone.")
            lines.append(_(alone, camera=cameras[0]))
        if profile.generated:
            lines += self._missed()
        if not self.corrects or profile.at_most is not None:
            lines.append(self._bound())
        if self.learned is not None:
            lines += self.learned.sentences()
        elif self.generated or self.corrects:
            lines.append(_(TOO_FEW_TO_LEARN, least=number(MIN_PICTURES_PER_CLASS)))
        return lines

    def _false_alarms(self) -> list[str]:
        """Return how many photographs reach the detector's own threshold."""
        scores, counted = self.profile.scores, self.profile.counted
        shipped = decimal(self.shipped, digits=2)
        high = N_(
            "Called likely generated at the detector's own threshold ({threshold}), before the "
            "check of stability: {accused}."
        )
        rate = _rate_words(sum(score >= self.shipped for score in counted), len(counted))
        if len(counted) == len(scores):
            return [_(high, threshold=shipped, accused=rate)]
        accused = number(sum(score >= self.shipped for score in scores))
        as_one = _("With such pictures counted as one: {rate}.", rate=rate)
        return [
            _(COUNTED_AS, counted=number(len(counted))),
            f"{_(high, threshold=shipped, accused=accused)} {as_one}",
        ]

    def _bound(self) -> str:
        """Return which threshold keeps the bound that was asked for."""
        own = threshold(self.profile.counted, self.at_most)
        if own is None:
            stays = _(
                "The threshold stays as it is; answers will say how many photographs scored as "
                "high."
            )
            return paragraph(too_few(len(self.profile.counted), self.at_most), stays)
        if own <= self.shipped:
            strict = N_(
                "The promise of {percent} would hold from {own} on. The detector's own threshold "
                "is stricter, and stays."
            )
            return _(strict, percent=percent(self.at_most, digits=None), own=decimal(own, digits=4))
        return _(
            "With the profile, the threshold is {own}: at most {percent} of 100 real photographs "
            "like these are expected to reach it; that holds for 95 of 100 sets of this size.",
            percent=figure(100 * self.at_most),
            own=decimal(own, digits=4),
        )

    def _missed(self) -> list[str]:
        """Return how many of the known generated pictures reach either threshold."""
        scores = self.profile.generated
        by_detector = N_(
            "Of the pictures known to be generated, {rate} reach the detector's threshold."
        )
        by_profile = N_(
            "Of the pictures known to be generated, {rate} reach the profile's threshold."
        )
        thresholds = {by_detector: self.shipped, by_profile: self.profile.high(self.shipped)}
        return [
            _(sentence, rate=_rate_words(sum(score >= high for score in scores), len(scores)))
            for sentence, high in thresholds.items()
        ]

    def page(self) -> str:
        """Return the report as one HTML file that needs nothing beside it."""
        direction = "rtl" if is_rtl() else "ltr"
        section = Markup(self.section())
        return _render("page", section=section, language=current(), direction=direction) + "\n"

    def section(self) -> str:
        """Return what `page` shows beneath its title, as HTML."""
        accused = sorted(
            (picture for picture in self.photographs if picture.score >= self.shipped),
            key=lambda picture: -picture.score,
        )
        real = [picture.score for picture in self.photographs]
        generated = [picture.score for picture in self.generated]
        high = self.profile.high(self.shipped)
        return _render(
            "section",
            sentences=self.sentences(),
            histogram=Markup(histogram(real, generated, self.shipped, high)),
            accused=accused[:MAX_SHOWN],
            count=len(accused),
            unread=self.unread,
        )


def _rate_words(successes: int, count: int) -> str:
    """Return how many of `count`, with the exact 95 % interval of that share (Clopper and
    Pearson)."""
    low, high = (percent(edge, digits=1) for edge in clopper_pearson(successes, count))
    sentence = N_("{reached} of {count} ({share}; 95% interval {low} to {high})")
    share = percent(successes / count, digits=1)
    return _(
        sentence, reached=number(successes), count=number(count), share=share, low=low, high=high
    )


def histogram(
    real: Sequence[float], generated: Sequence[float], shipped: float, high: float
) -> str:
    """Draw how many pictures of each kind have which score, with both thresholds, as SVG."""
    counts = [np.histogram(scores, bins=BARS, range=(0, 1))[0] for scores in (real, generated)]
    most = max(1, *(int(count.max()) for count in counts))
    step = WIDTH / BARS
    width = (step - 2) / 2 if generated else step - 2
    bars = [
        {
            "x": f"{i * step + 1 + kind * width:.1f}",
            "y": f"{HEIGHT * (1 - n / most):.1f}",
            "width": f"{width:.1f}",
            "height": f"{HEIGHT * n / most:.1f}",
            "colour": COLOURS[kind],
            "title": f"{i / BARS:.2f}\N{EN DASH}{(i + 1) / BARS:.2f}: {n}",
        }
        for kind, count in enumerate(counts)
        for i, n in enumerate(count)
    ]
    alt = _(
        "Histogram of the scores. Real pictures: {real}; generated ones: {generated}; in the "
        "highest bar: {most}. Thresholds: {shipped} and {high}.",
        real=number(len(real)),
        generated=number(len(generated)),
        most=number(most),
        shipped=decimal(shipped, digits=2),
        high=decimal(high, digits=2),
    )
    lines = [(f"{x * WIDTH:.1f}", dash) for x, dash in ((shipped, "4 4"), (min(1.0, high), "none"))]
    return _render("histogram", alt=alt, bars=bars, lines=lines, width=WIDTH, height=HEIGHT)
