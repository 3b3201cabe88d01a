"""What a threshold calibration found: sentences, a histogram, and the photographs that were called generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from causalclip.languages import N_, _, current, decimal, figure, is_rtl, number
from causalclip.profile import COUNTED_AS, Profile, threshold, too_few
from causalclip.report.card import render

if TYPE_CHECKING:
    from causalclip.thresholds.calibrate import JudgedPicture, UnreadFile

LEFT_OUT = N_("Left out, as pictures of their kind get no answer: {n}.")
BARS, WIDTH, HEIGHT = 20, 600, 160
MAX_SHOWN = 200  # photographs that are shown
_render = partial(render, template="archive.html")


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """Judged photographs and the profile that was made of them.

    shipped: the detector's own threshold. at_most: the bound that was asked for. unanswered: how many pictures got no
    answer, and are not in the profile.
    """

    profile: Profile
    photographs: Sequence[JudgedPicture]
    unread: Sequence[UnreadFile]
    shipped: float
    at_most: float
    unanswered: int = 0

    def sentences(self) -> list[str]:
        """What the photographs say of the detector."""
        profile, shipped = self.profile, decimal(self.shipped, digits=2)
        accused = sum(score >= self.shipped for score in profile.scores)
        said = [_("Photographs that were judged: {n}.", n=number(len(profile.scores)))]
        if self.unanswered:
            said.append(_(LEFT_OUT, n=number(self.unanswered)))
        high = N_(
            "Called likely generated at the detector's own threshold ({threshold}), before the check of stability: "
            "{accused}."
        )
        rate = rate_words(sum(score >= self.shipped for score in profile.counted), len(profile.counted))
        if len(profile.counted) < len(profile.scores):
            said.append(_(COUNTED_AS, counted=number(len(profile.counted))))
            by = _("With such pictures counted as one: {rate}.", rate=rate)
            said.append(f"{_(high, threshold=shipped, accused=number(accused))} {by}")
        else:
            said.append(_(high, threshold=shipped, accused=rate))
        said.append(self._bound())
        cameras = [name for name in profile.cameras if name]
        if len(cameras) == 1 and not profile.cameras.get(""):
            said.append(_("All are by one camera ({camera}): they speak for that one alone.", camera=cameras[0]))
        return said + (self._missed() if profile.generated else [])

    def _bound(self) -> str:
        percent = figure(100 * self.at_most)
        own = threshold(self.profile.counted, self.at_most)
        if own is None:
            stays = _("The threshold stays as it is; answers will say how many photographs scored as high.")
            return f"{too_few(len(self.profile.counted), self.at_most)} {stays}"
        if own <= self.shipped:
            strict = N_(
                "The promise of {percent} % would hold from {own} on. The detector's own threshold is stricter, and "
                "stays."
            )
            return _(strict, percent=percent, own=decimal(own, digits=4))
        return _(
            "With the profile, the threshold is {own}: at most {percent} of 100 real photographs like these are "
            "expected to reach it; that holds for 95 of 100 archives of this size.",
            percent=percent,
            own=decimal(own, digits=4),
        )

    def _missed(self) -> list[str]:
        """How many of the known generated pictures reach either threshold."""
        generated = self.profile.generated
        thresholds = (
            (self.shipped, N_("Of the pictures known to be generated, {rate} reach the detector's threshold.")),
            (
                self.profile.high(self.shipped),
                N_("Of the pictures known to be generated, {rate} reach the profile's threshold."),
            ),
        )
        return [
            _(said, rate=rate_words(sum(score >= high for score in generated), len(generated)))
            for high, said in thresholds
        ]

    def page(self) -> str:
        """The report as one HTML file that needs nothing beside it."""
        direction = "rtl" if is_rtl() else "ltr"
        section = Markup(self.section())
        return _render("page", section=section, language=current(), direction=direction) + "\n"

    def section(self) -> str:
        """What `page` shows beneath its title."""
        accused = sorted((one for one in self.photographs if one.score >= self.shipped), key=lambda one: -one.score)
        scores = [one.score for one in self.photographs]
        return _render(
            "section",
            sentences=self.sentences(),
            histogram=Markup(histogram(scores, self.shipped, self.profile.high(self.shipped))),
            accused=accused[:MAX_SHOWN],
            count=len(accused),
            unread=self.unread,
        )


def rate_words(reached: int, count: int) -> str:
    """How many of `count`, with the exact 95 % interval of that share (Clopper and Pearson)."""
    from scipy.stats import binomtest

    found = binomtest(reached, count).proportion_ci(0.95, method="exact")
    low, high = (decimal(100 * float(edge), digits=1) for edge in found)
    said = N_("{reached} of {count} ({share} %; 95 % interval {low} to {high} %)")
    share = decimal(100 * reached / count, digits=1)
    return _(said, reached=number(reached), count=number(count), share=share, low=low, high=high)


def histogram(scores: Sequence[float], shipped: float, high: float) -> str:
    """How many photographs have which score, as SVG, with both thresholds."""
    counts, edges = np.histogram(scores, bins=BARS, range=(0, 1))
    most, step = max(1, int(counts.max())), WIDTH / BARS
    bars = [
        {
            "x": f"{i * step + 1:.1f}",
            "y": f"{HEIGHT * (1 - n / most):.1f}",
            "width": f"{step - 2:.1f}",
            "height": f"{HEIGHT * n / most:.1f}",
            "title": f"{edges[i]:.2f}\N{EN DASH}{edges[i + 1]:.2f}: {n}",
        }
        for i, n in enumerate(counts)
    ]
    words = _(
        "Histogram of the scores. Photographs: {n}; in the highest bar: {most}. Thresholds: {shipped} and {high}.",
        n=number(len(scores)),
        most=number(most),
        shipped=decimal(shipped, digits=2),
        high=decimal(high, digits=2),
    )
    lines = [(f"{x * WIDTH:.1f}", dash) for x, dash in ((shipped, "4 4"), (min(1.0, high), "none"))]
    return _render("histogram", alt=words, bars=bars, lines=lines, width=WIDTH, height=HEIGHT)
