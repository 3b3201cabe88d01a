"""The profile of the reader's own pictures, the reference set: scores of known photographs, and the
threshold that bounds false alarms among their like.

A profile holds numbers and names of cameras, never a picture. It can make an answer more careful,
never less: the detector's own threshold stays where it is the stricter one.

The threshold lies just above the k-th highest of n scores. The share of further real photographs
above it follows Beta(k, n + 1 - k), if they are exchangeable with the set's (arXiv 2303.02770).
k is the largest for which that share is within the bound in 95 of 100 sets; the usual
split-conformal rank keeps it in about half of them.
"""

from __future__ import annotations

import base64
import copy
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from math import ceil, inf, log, nextafter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Interval, Len, Predicate
from pydantic import TypeAdapter, computed_field

from causalclip.languages import N_, _, decimal, figure, ngettext, number, paragraph, percent
from causalclip.schema import Schema
from causalclip.text import clean

if TYPE_CHECKING:  # they bring PyTorch
    from torch import Tensor

    from causalclip.clip.views import ViewType
    from causalclip.detector import Detector
    from causalclip.private_head import LearnedCorrection, Trial

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
    "The threshold lies above every real picture of yours, each judged by what was learned from "
    "the others; they are too few to promise a share of false alarms."
)
STRICT_ENOUGH = N_(
    "The detector's own threshold lies above every real picture of yours already, and stays."
)
COUNTED_AS = N_(
    "They count as {counted}: bursts, and one camera's pictures of one day, count as one."
)
# share of a set that names cameras, from which a file that names none is unlike it
NAMED_SHARE = 0.95
MAX_CAMERA = 40  # characters of a camera's name: a file may put sentences there, and these are ours
MAX_SIZE = 8 * 2**20  # bytes of a profile's file; a hundred thousand scores take less
MAX_SCORES = 200_000  # of each list; more fit into that size only if they are short
BOUNDS = (0.05, 0.02, 0.01)  # shares of real photographs that may be called generated
CONFIDENCE = 0.95  # share of reference sets of that size in which a bound holds

Share = Annotated[float, Interval(ge=0, le=1)]
Count = Annotated[int, Ge(0)]
Side = Annotated[float, Interval(ge=0, lt=inf)]  # in pixels


def _is_ordered(sides: tuple[float, float]) -> bool:
    return sides[0] <= sides[1]


class BadProfile(ValueError):
    """The profile cannot be used; the text is a sentence that says what to do."""


def threshold(counted: Sequence[float], at_most: float) -> float | None:
    """Return a score just above the k-th highest one, so that ties err to the safe side; None where
    the scores are too few."""
    k = rank(len(counted), at_most)
    return nextafter(sorted(counted, reverse=True)[k - 1], 2.0) if k else None


@lru_cache(maxsize=256)
def rank(n: int, at_most: float) -> int:
    """Return the largest k with P(Beta(k, n + 1 - k) <= at_most) >= CONFIDENCE; 0 where there is
    none."""
    from scipy.special import betainc  # P(Beta(a, b) <= x); scipy.stats takes a second to import

    return bisect_left(
        range(1, n + 1), True, key=lambda k: betainc(k, n + 1 - k, at_most) < CONFIDENCE
    )


def photographs_needed(at_most: float) -> int:
    """Return the fewest photographs with which a bound can be kept: 59, 149, 299 for 5, 2, 1 %."""
    return ceil(log(1 - CONFIDENCE) / log(1 - at_most))


def too_few(n: int, at_most: float) -> str:
    """Return a sentence where n are too few for the bound; empty otherwise."""
    least = photographs_needed(at_most)
    if n >= least:
        return ""
    return _(
        "{n} are too few for {percent}: {least} are needed.",
        n=number(n),
        percent=percent(at_most, digits=None),
        least=number(least),
    )


class Standing(Schema):
    """The place of a score among those of the reader's own pictures."""

    photographs: int
    """In the reference set."""
    counted: int
    """As how many they count."""
    as_high: int
    """Photographs that score at least as high."""
    at_most: float | None
    """The bound in use; null without one."""
    raised: bool
    """Whether that raised the detector's threshold."""
    high: float
    """The threshold in use."""
    learned: int = 0
    """How many pictures taught the private head that judged; 0 without one."""
    shipped: float | None = None
    """The score without it; null where that is not known."""
    unlike: tuple[str, ...] = ()
    """Sentences on how the picture differs from the reference set."""

    @computed_field
    @property
    def sentence(self) -> str:
        """How many photographs score as high: a share of real ones, which is not the probability
        that this one is real."""
        sentence = ngettext(
            "Of {photographs} photographs of yours, {n} scored this high.",
            "Of {photographs} photographs of yours, {n} scored this high.",
            self.as_high,
            photographs=number(self.photographs),
        )
        if self.learned:
            sentence = paragraph(self._private_head_sentence(), sentence)
        if self.counted == self.photographs:
            return sentence
        return paragraph(sentence, _(COUNTED_AS, counted=number(self.counted)))

    def _private_head_sentence(self) -> str:
        """Return that a private head judged, and what the score is without it."""
        learned = number(self.learned)
        if self.shipped is None:
            return _(JUDGED_WITH, n=learned)
        return _(JUDGED_WITH_BOTH, n=learned, shipped=decimal(self.shipped, digits=2))

    @computed_field
    @property
    def rule(self) -> str:
        """The threshold in use, and what it bounds."""
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
class PrivateHead:
    """A correction as a profile keeps it: numbers alone.

    Attributes:
        directions: for each kind of view, u in log-odds by one unit of each standardised channel:
            float16 [D], little-endian, base64.
        offset: c, in log-odds.
        real, generated: how many pictures of each class it was learned from.
        shipped, corrected, sure: see Trial.
    """

    directions: Mapping[str, str]
    offset: Annotated[float, Interval(gt=-inf, lt=inf)]
    real: Annotated[int, Ge(0)]
    generated: Annotated[int, Ge(0)]
    shipped: Annotated[float, Interval(ge=0, le=1)]
    corrected: Annotated[float, Interval(ge=0, le=1)]
    sure: Annotated[float, Interval(ge=0, le=1)]

    def direction(self, kind: str, width: int) -> np.ndarray:
        """Return the direction of one type of view, float32 [width].

        Raises:
            ValueError: there is none of that kind and width.
        """
        data = base64.b64decode(self.directions.get(kind, ""), validate=True)
        direction = np.frombuffer(data, "<f2").astype(np.float32)
        if len(direction) != width or not np.isfinite(direction).all():
            raise ValueError("another detector's head")
        return direction


def make_private_head(
    correction: LearnedCorrection,
    trial: Trial,
    labels: np.ndarray,
    *,
    shares: Mapping[ViewType, float],
) -> PrivateHead:
    """Return a correction as a profile keeps it.

    Args:
        correction: helps, as its trial says.
        labels: [N], 1 generated, 0 real, of what it was learned from.
        shares: of each of the K kinds of view in the verdict, in the order of its direction.
    """
    each = zip(shares.items(), np.split(correction.direction, len(shares)), strict=True)
    return PrivateHead(
        directions={
            kind: base64.b64encode((part / share**0.5).astype("<f2").tobytes()).decode()
            for (kind, share), part in each
        },
        offset=correction.offset + trial.lift,
        real=int((labels == 0).sum()),
        generated=int((labels == 1).sum()),
        shipped=trial.shipped,
        corrected=trial.corrected,
        sure=trial.sure,
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """Data kept of a reference set.

    Attributes:
        model, revision, runtime: what judged it.
        made: UTC, ISO 8601.
        scores: calibrated probabilities of all photographs.
        counted: the highest of each group that counts as one.
        at_most: the bound that was chosen; None where the photographs are too few for it.
        cameras, formats, kinds: how many photographs of each; "" for no camera named.
        sides: 1st and 99th percentile of the longer side, in pixels.
        generated: scores of pictures known to be generated.
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

    def check(self, model: str, revision: str) -> None:
        """Raise BadProfile where another model judged the set."""
        if (self.model, self.revision) != (model, revision):
            raise BadProfile(
                _(
                    "The profile was made with the model {model}, revision {revision}; this is "
                    "{name}, revision {own}. Make it again: {command}.",
                    model=self.model,
                    revision=self.revision,
                    name=model,
                    own=revision,
                    command=COMMAND,
                )
            )

    def correct(self, view_type: ViewType, embedding: Tensor) -> Tensor:
        """Return what the private head adds (causalclip.detection.Correction); without one, 0."""
        import torch  # takes seconds, which reading a profile need not wait for

        count, width = embedding.shape
        added = torch.zeros(count, width + 1)
        if self.private is not None:
            added[:, :-1] = torch.from_numpy(self.private.direction(view_type, width))
            added[:, -1] = self.private.offset
        return added

    def high(self, shipped: float) -> float:
        """Return the threshold in use: the stricter one of the set's and the detector's."""
        return max(shipped, self._own_threshold() or 0.0)

    def _own_threshold(self) -> float | None:
        """Return the set's threshold; of a private head with too few photographs, just above
        them."""
        if self.at_most is not None:
            return threshold(self.counted, self.at_most)
        return nextafter(max(self.scores), 2.0) if self.private else None

    def standing(self, score: float, *, high: float, shipped: float | None = None) -> Standing:
        """Return where a score stands.

        Args:
            score: calibrated probability, in [0, 1].
            high: the threshold in use.
            shipped: the score without the private head.
        """
        return Standing(
            photographs=len(self.scores),
            counted=len(self.counted),
            as_high=sum(other >= score for other in self.scores),
            at_most=self.at_most,
            raised=self.raises_threshold(high),
            high=high,
            learned=self.private.real + self.private.generated if self.private else 0,
            shipped=shipped if self.private else None,
        )

    def raises_threshold(self, high: float) -> bool:
        """Return whether `high`, the threshold in use, is the set's rather than the detector's
        own."""
        return self._own_threshold() == high

    def unlike(self, *, camera: str, format: str, side: int, kinds: Iterable[str]) -> Iterator[str]:
        """Yield sentences on how a picture differs from the set, so that the bound may not hold
        for it.

        Args:
            camera: as the file names it, or "".
            format: of the file.
            side: the longer one, in pixels.
            kinds: of its cautions.
        """
        if camera and camera not in self.cameras:
            name = clean(camera, limit=MAX_CAMERA)
            yield _("None of your pictures is by this camera ({camera}).", camera=name)
        if not camera and self.cameras.get("", 0) <= (1 - NAMED_SHARE) * len(self.scores):
            yield _(
                "The file names no camera, and nearly all of your pictures do: it may be a copy."
            )
        if format not in self.formats:
            yield _("None of your pictures is a {format} file.", format=format)
        low, high = self.sides
        if not low <= side <= high:
            yield _(
                "Its longer side, {side} pixels, is outside those of your pictures ({low} to "
                "{high}).",
                side=number(side),
                low=number(round(low)),
                high=number(round(high)),
            )
        for kind in kinds:
            if kind not in self.kinds:
                yield _("None of your pictures is of its kind ({kind}).", kind=_(kind))

    def write(self, path: str | Path) -> None:
        """Write the profile as JSON."""
        Path(path).write_text(self.as_json(), encoding="utf-8")

    def as_json(self) -> str:
        """Return the text of the profile's file."""
        content = {"profile": "CausalCLIP reference set", "schema": SCHEMA, **asdict(self)}
        return json.dumps(content, indent=1) + "\n"


def hold(detector: Detector, profile: Profile | None) -> Detector:
    """Return the same detector, held to a reference set if there is one: its threshold for "likely
    generated" is the stricter one of both.

    Raises:
        BadProfile: another model judged the reference set.
    """
    if profile is None:
        return detector
    profile.check(detector.name, detector.config.revision)
    try:
        for view_type, head in detector.heads.items():
            profile.correct(view_type, head.shift[None])
    except ValueError as error:
        raise BadProfile(_(NO_PROFILE, command=COMMAND)) from error
    calibration = detector.config.calibration
    strict = replace(calibration, high=profile.high(calibration.high))
    held = copy.copy(detector)
    held.config = replace(detector.config, calibration=strict)
    held.correction = profile
    return held


def read_profile(path: str | Path) -> Profile:
    """Read a file that `python -m causalclip calibrate` wrote.

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
    """Return the profile in a file's bytes; raise as read_profile does."""
    try:
        if len(data) > MAX_SIZE:
            raise ValueError
        if json.loads(data)["schema"] != SCHEMA:
            raise BadProfile(
                _(
                    "The profile was made by another version. Make it again: {command}.",
                    command=COMMAND,
                )
            )
        return TypeAdapter(Profile).validate_json(data, strict=True)
    except BadProfile:
        raise
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadProfile(_(NO_PROFILE, command=COMMAND)) from None
