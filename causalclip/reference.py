"""The profile of somebody's own pictures: scores of known photographs, and the threshold that
bounds false alarms among their like.

A profile holds numbers and names of cameras, never a picture. It can make an answer more careful,
never less: the detector's own threshold stays where it is the stricter one.

The threshold lies just above the k-th highest of n scores. The share of further real photographs
above it follows Beta(k, n + 1 - k), if they are exchangeable with the archive's (arXiv 2303.02770).
k is the largest for which that share is within the bound in 95 of 100 archives; the usual
split-conformal rank keeps it in about half of them.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from math import ceil, inf, log, nextafter
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Interval, Len, Predicate

from causalclip.languages import N_, _, decimal, figure, ngettext, number, paragraph, percent
from causalclip.private_head import PrivateHead
from causalclip.text import clean

SCHEMA = 1
COMMAND = "python -m causalclip calibrate"
NO_PROFILE = N_("This is no profile. This makes one: {command}.")
JUDGED_WITH = N_(
    "Judged with your {n} pictures: a correction for this source, not a better detector."
)
JUDGED_WITH_BOTH = N_(
    "Judged with your {n} pictures: a correction for this source, not a better detector. Without "
    "them, the score is {shipped}."
)
ABOVE_ALL = N_(
    "The threshold lies above every real picture of yours, each judged without itself; they are "
    "too few to promise a share of false alarms."
)
STRICT_ENOUGH = N_(
    "The detector's own threshold lies above every real picture of yours already, and stays."
)
COUNTED_AS = N_(
    "They count as {counted}: bursts, and one camera's pictures of one day, count as one."
)
# share of an archive that names cameras, from which a file that names none is unlike it
NAMED_SHARE = 0.95
MAX_CAMERA = 40  # characters of a camera's name: a file may put sentences there, and these are ours
MAX_SIZE = 8 * 2**20  # bytes of a profile's file; a hundred thousand scores take less
MAX_SCORES = 200_000  # of each list; more fit into that size only if they are short
BOUNDS = (0.05, 0.02, 0.01)  # shares of real photographs that may be called generated
CONFIDENCE = 0.95  # share of archives of that size in which a bound holds


Share = Annotated[float, Interval(ge=0, le=1)]
Count = Annotated[int, Ge(0)]
Side = Annotated[float, Interval(ge=0, lt=inf)]  # in pixels


def _is_ordered(sides: tuple[float, float]) -> bool:
    return sides[0] <= sides[1]


class BadProfile(ValueError):
    """The profile cannot be used; the text is a sentence that says what to do."""


def threshold(counted: Sequence[float], at_most: float) -> float | None:
    """Just above the k-th highest score, so that ties err to the safe side; None where the scores
    are too few."""
    k = rank(len(counted), at_most)
    return nextafter(sorted(counted, reverse=True)[k - 1], 2.0) if k else None


@lru_cache(maxsize=256)
def rank(n: int, at_most: float) -> int:
    """The largest k with P(Beta(k, n + 1 - k) <= at_most) >= CONFIDENCE; 0 where there is none."""
    from scipy.special import betainc  # P(Beta(a, b) <= x); scipy.stats takes a second to import

    return bisect_left(
        range(1, n + 1), True, key=lambda k: betainc(k, n + 1 - k, at_most) < CONFIDENCE
    )


def needed(at_most: float) -> int:
    """The fewest photographs with which a bound can be kept: 59, 149, 299 for 5, 2, 1 %."""
    return ceil(log(1 - CONFIDENCE) / log(1 - at_most))


def too_few(n: int, at_most: float) -> str:
    """A sentence where n are too few for the bound; empty otherwise."""
    least = needed(at_most)
    said = N_("{n} are too few for {percent}: {least} are needed.")
    if n >= least:
        return ""
    return _(said, n=number(n), percent=percent(at_most, digits=None), least=number(least))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a score stands among an archive's.

    photographs: in the archive. counted: as how many they count. as_high: photographs that score at
    least as high.
    at_most: the bound in use, None without one. raised: whether it raised the detector's threshold.
    high: the threshold in use. learned: how many pictures taught the private head that judged, 0
    without one. shipped: the score without it; None where that is not known. unlike: sentences on
    how the picture differs from the archive.
    """

    photographs: int
    counted: int
    as_high: int
    at_most: float | None
    raised: bool
    high: float
    learned: int = 0
    shipped: float | None = None
    unlike: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """For a person; a share of real photographs, which is not the probability that this one is
        real."""
        said = ngettext(
            "Of {photographs} photographs of yours, {n} scored this high.",
            "Of {photographs} photographs of yours, {n} scored this high.",
            self.as_high,
            photographs=number(self.photographs),
        )
        if self.learned:
            said = paragraph(self._judged_with(), said)
        if self.counted == self.photographs:
            return said
        return paragraph(said, _(COUNTED_AS, counted=number(self.counted)))

    def _judged_with(self) -> str:
        """That a private head judged, and what the score is without it."""
        learned = number(self.learned)
        if self.shipped is None:
            return _(JUDGED_WITH, n=learned)
        return _(JUDGED_WITH_BOTH, n=learned, shipped=decimal(self.shipped, digits=2))

    @property
    def rule(self) -> str:
        """Which threshold is in use, and what it bounds."""
        if self.learned and self.at_most is None:
            return _(ABOVE_ALL) if self.raised else _(STRICT_ENOUGH)
        if self.at_most is None:
            return _("They are too few to move the threshold.")
        if not self.raised:
            return _("The detector's own threshold is stricter than your pictures need, and stays.")
        return _(
            "The threshold is from your pictures: at most {most} of 100 real photographs like "
            "yours are expected to reach it; that holds for {sure} of 100 sets of this size. It "
            "says nothing on how many generated pictures are missed.",
            most=figure(100 * self.at_most),
            sure=figure(100 * CONFIDENCE),
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """What is kept of an archive.

    model, revision, runtime: what judged it. made: UTC, ISO 8601. scores: calibrated probabilities
    of all photographs.
    counted: the highest of each group that counts as one. at_most: the bound that was chosen; None
    where the photographs are too few for it. cameras, formats, kinds: how many photographs of each;
    "" for no camera named.
    sides: 1st and 99th percentile of the longer side, in pixels. generated: scores of pictures
    known to be generated.
    private: learned from both, where that helps; scores and counted are then corrected ones,
    of photographs that were left out.
    """

    model: str
    revision: str
    runtime: str
    made: str
    scores: Annotated[tuple[Share, ...], Len(1, MAX_SCORES)]
    counted: Annotated[tuple[Share, ...], Len(1, MAX_SCORES)]
    at_most: Annotated[float, Predicate(BOUNDS.__contains__)] | None
    cameras: dict[str, Count] = field(default_factory=dict)
    formats: dict[str, Count] = field(default_factory=dict)
    kinds: dict[str, Count] = field(default_factory=dict)
    sides: Annotated[tuple[Side, Side], Predicate(_is_ordered)] = (0.0, 0.0)
    generated: Annotated[tuple[Share, ...], Len(0, MAX_SCORES)] = ()
    private: PrivateHead | None = None

    def threshold(self, at_most: float) -> float | None:
        """The score from which a picture is called generated; None where the photographs are too
        few."""
        return threshold(self.counted, at_most)

    def check(self, model: str, revision: str) -> None:
        """Raises BadProfile where another model judged the archive."""
        if (self.model, self.revision) != (model, revision):
            other = N_(
                "The profile was made with the model {model}, revision {revision}; this is {name}, "
                "revision {own}. Make it again: {command}."
            )
            made = {"model": self.model, "revision": self.revision, "command": COMMAND}
            raise BadProfile(_(other, name=model, own=revision, **made))

    def high(self, shipped: float) -> float:
        """The threshold in use: the stricter one of the archive's and the detector's."""
        own = self._own_threshold()
        return shipped if own is None else max(shipped, own)

    def _own_threshold(self) -> float | None:
        """The archive's; of a private head with too few photographs, just above all of them."""
        if self.at_most is not None:
            return self.threshold(self.at_most)
        return nextafter(max(self.scores), 2.0) if self.private else None

    def standing(self, score: float, *, high: float, shipped: float | None = None) -> Standing:
        """Where a score stands. high: the threshold in use. shipped: the score without the private
        head."""
        return Standing(
            photographs=len(self.scores),
            counted=len(self.counted),
            as_high=sum(other >= score for other in self.scores),
            at_most=self.at_most,
            raised=self.raised(high),
            high=high,
            learned=self.private.real + self.private.generated if self.private else 0,
            shipped=shipped if self.private else None,
        )

    def raised(self, high: float) -> bool:
        """Whether `high`, the threshold in use, is the archive's rather than the detector's own."""
        return self._own_threshold() == high

    def unlike(
        self, *, camera: str, format: str, side: int, kinds: Iterable[str]
    ) -> tuple[str, ...]:
        """Sentences on how a picture differs from the archive, so that the bound may not hold for
        it.

        camera: as the file names it, or "". side: the longer one, in pixels. kinds: of its
        cautions.
        """
        all_, low, high = len(self.scores), *self.sides
        found = []
        if camera and camera not in self.cameras:
            said = N_("None of your pictures is by this camera ({camera}).")
            found.append(_(said, camera=clean(camera, limit=MAX_CAMERA)))
        if not camera and self.cameras.get("", 0) <= (1 - NAMED_SHARE) * all_:
            found.append(
                _("The file names no camera, and nearly all of your pictures do: it may be a copy.")
            )
        if format not in self.formats:
            found.append(_("None of your pictures is a {format} file.", format=format))
        if not low <= side <= high:
            said = N_(
                "Its longer side, {side} pixels, is outside those of your pictures ({low} to "
                "{high})."
            )
            found.append(
                _(said, side=number(side), low=number(round(low)), high=number(round(high)))
            )
        other = N_("None of your pictures is of its kind ({kind}).")
        found += [_(other, kind=_(kind)) for kind in kinds if kind not in self.kinds]
        return tuple(found)

    def write(self, path: str | Path) -> None:
        """Writes it as JSON."""
        Path(path).write_text(self.as_json(), encoding="utf-8")

    def as_json(self) -> str:
        """Its file's text."""
        return (
            json.dumps(
                {"profile": "CausalCLIP archive", "schema": SCHEMA, **asdict(self)}, indent=1
            )
            + "\n"
        )


def read_profile(path: str | Path) -> Profile:
    """Reads a file that `python -m causalclip calibrate` wrote.

    Raises:
        BadProfile: it is no such file.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError:
        raise BadProfile(_("The profile cannot be read. Check where it is.")) from None
    return parse_profile(data)


def parse_profile(data: bytes) -> Profile:
    """The profile in a file's bytes; raises as read_profile does."""
    from pydantic import (
        TypeAdapter,  # a slow import, which a command without a profile has no use for
    )

    try:
        if len(data) > MAX_SIZE:
            raise ValueError
        if json.loads(data)["schema"] != SCHEMA:
            again = N_("The profile was made by another version. Make it again: {command}.")
            raise BadProfile(_(again, command=COMMAND))
        return TypeAdapter(Profile).validate_json(data, strict=True)
    except BadProfile:
        raise
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadProfile(_(NO_PROFILE, command=COMMAND)) from None
