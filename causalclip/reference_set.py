"""The reader's own pictures: each is examined, and together they make a profile.

Photographs that are known to be real set the threshold (causalclip.reference); with generated ones
beside them, a private head learns from both (causalclip.private_head).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from causalclip.calibration import sigmoid
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.result import Examination, Stage
from causalclip.examination.stages import examine_file
from causalclip.images.formats import ImageError
from causalclip.images.hashes import group_near
from causalclip.images.loading import load_image, read_file
from causalclip.images.zips import Member
from causalclip.languages import N_, _, decimal, number, percent
from causalclip.private_head import MIN_BETTER_SHARE, Trial, enough, fit, re_encode, try_correction
from causalclip.reference import PrivateHead, Profile, make_private_head, too_few

if TYPE_CHECKING:
    from causalclip.detector import Detector

THUMBNAIL_SIDE = 240  # px on the longer side of the copy that is kept to be looked at
NEAR_BITS = 10  # bits of 64 in which the hashes of a burst's pictures may differ
LESSONS = 50  # pictures of each kind, at most, from which a private head learns
# how much more alike pictures of one kind are than of both (mean product of Detector.subject), from
# which they show other things: of 18 owners' real and generated pictures 14 have less than 0.12,
# four 0.18 to 0.32; of groups that were made of two owners' pictures, 3 of 4 have more
SUBJECT_GAP = 0.15
TRIVIAL = 0.9  # share of the pairs in which one kind is the larger one, from which that is said
HELPS = N_(
    "What was learned from your {real} real and {generated} generated pictures is used: that it "
    "sets the two kinds further apart is {sure} sure. Over pairs that it did not learn from, AUC "
    "goes from {shipped} to {corrected} (a gain of {low} to {high}, with 90% confidence). This is "
    "a correction for this source, not a better detector."
)
DOES_NOT_HELP = N_(
    "What was learned from your pictures is not used: that it sets the two kinds further apart is "
    "{sure} sure, and it is used from {least} on. Over pairs that it did not learn from, AUC is "
    "{corrected} with it and {shipped} without it. More pictures of each kind may change that."
)
OTHER_SIZES = N_(
    "Your generated pictures differ from the real ones in size. All were made alike before they "
    "were learned from, but what they show may differ, too."
)
OTHER_FORMATS = N_(
    "Your generated pictures are of other formats than the real ones. All were made alike before "
    "they were learned from."
)
OTHER_SUBJECTS = N_(
    "Your generated pictures show other things than the real ones, as CLIP sees them, so that what "
    "they show may have been learned. Add real pictures of the same things."
)


@dataclass(frozen=True, slots=True)
class ReferencePicture:
    """Data kept of one picture.

    Attributes:
        name: of its file.
        score: calibrated probability that it was generated.
        hash: 64 bits (imagehash.phash).
        camera, day: as the file says; empty where it does not.
        format: of the file.
        side: the longer one, in pixels.
        cautions: the kinds of weak spots that were recognised.
        thumbnail: a data URL of a small copy, or empty.
        answered: whether the detector answers at all; the score of what is no photograph means
            nothing.
        lesson: what a private head learns from; None where it is not to learn.
    """

    name: str
    score: float
    hash: int
    camera: str
    day: str
    format: str
    side: int
    cautions: tuple[str, ...]
    thumbnail: str
    answered: bool = True
    lesson: Lesson | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A picture as a private head sees it, re-encoded as all of them are.

    features: float16 [K * D] (causalclip.detector.Detector.represent). logit: shipped log-odds.
    """

    features: np.ndarray
    logit: float


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file that could not be examined, and the sentence that says why."""

    name: str
    sentence: str


def read_members(files: Iterable[tuple[str, str | Path]]) -> Iterator[Member]:
    """Yield the name of each (name, path), with the file's bytes or the error."""
    for name, path in files:
        try:
            yield name, read_file(path)
        except ImageError as error:
            yield name, error


def examine_set(
    members: Iterable[Member], detector: Detector, *, lessons: int = 0
) -> Iterator[ReferencePicture | UnreadFile]:
    """Examine every picture up to its verdict, without the check of stability.

    Args:
        members: names, with the file's bytes or the error.
        detector: gives the scores.
        lessons: from how many pictures, the first ones, a private head may learn. Each of them is
            decoded a second time, as an examination keeps no pixels.

    Yields:
        The pictures in their order; a bad file costs its own row.
    """
    for place, (name, content) in enumerate(members):
        try:
            if isinstance(content, ImageError):
                raise content
            examination = examine_file(content, detector, until=Stage.VERDICT, name=name)
        except ImageError as error:
            yield UnreadFile(name, str(error))
            continue
        picture = _picture_of(name, examination)
        if place < lessons and picture.answered:
            picture = replace(picture, lesson=_lesson_of(content, detector))
        yield picture


def _picture_of(name: str, examination: Examination) -> ReferencePicture:
    from causalclip.report.pictures import draw_thumbnail

    provenance = examination.provenance
    return ReferencePicture(
        name=name,
        score=examination.detection.probability,
        hash=int(examination.perceptual_hash, 16),
        camera=provenance.camera,
        day=provenance.day,
        format=examination.format,
        side=max(examination.width, examination.height),
        cautions=tuple(caution.kind for caution in examination.cautions),
        thumbnail=draw_thumbnail(examination.drawing.picture, side=THUMBNAIL_SIDE),
        answered=examination.band != NO_ANSWER,
    )


def _lesson_of(data: bytes, detector: Detector) -> Lesson:
    logit, features = detector.represent(re_encode(load_image(data).pixels))
    return Lesson(features.astype(np.float16), logit)


@dataclass(frozen=True, slots=True)
class Learned:
    """Results learned from both kinds of pictures.

    private: None where it does not help. real, generated: the pictures that taught it, each
    with the score that it gets without itself. warnings: sentences on how the two kinds differ in
    something trivial.
    """

    private: PrivateHead | None
    trial: Trial
    real: Sequence[ReferencePicture]
    generated: Sequence[ReferencePicture]
    warnings: tuple[str, ...]

    def sentences(self) -> list[str]:
        """Return whether it helps, and by how much."""
        shipped, corrected = (
            decimal(auc, digits=2) for auc in (self.trial.shipped, self.trial.corrected)
        )
        # rounded down, so that what falls short of the least never reads as it, nor as certain
        sure = percent(min(99, int(100 * self.trial.sure)) / 100)
        if self.private is None:
            not_used = _(
                DOES_NOT_HELP,
                sure=sure,
                least=percent(MIN_BETTER_SHARE),
                shipped=shipped,
                corrected=corrected,
            )
            return [not_used, *self.warnings]
        gain = _(
            HELPS,
            real=number(self.private.real),
            generated=number(self.private.generated),
            sure=sure,
            shipped=shipped,
            corrected=corrected,
            low=decimal(self.trial.gain[0], digits=2),
            high=decimal(self.trial.gain[2], digits=2),
        )
        return [gain, *self.warnings]


def learn(
    photographs: Sequence[ReferencePicture],
    generated: Sequence[ReferencePicture],
    detector: Detector,
) -> Learned | None:
    """Learn a private head from the pictures with a lesson; None where they are too few."""
    # 1. The pictures that teach, real ones first
    pictures = [picture for picture in (*photographs, *generated) if picture.lesson]
    lessons = [picture.lesson for picture in pictures if picture.lesson]
    real = sum(picture.lesson is not None for picture in photographs)
    labels = np.array([0] * real + [1] * (len(pictures) - real))
    if not enough(labels):
        return None

    # 2. The head, and every picture's score without itself
    x = np.array([lesson.features for lesson in lessons], np.float32)
    shipped = np.array([lesson.logit for lesson in lessons])
    trial = try_correction(x, shipped, labels)
    private = (
        make_private_head(fit(x, shipped, labels), trial, labels, shares=detector.config.share)
        if trial.helps
        else None
    )
    corrected_pictures = [
        replace(picture, score=sigmoid(float(logit)))
        for picture, logit in zip(pictures, trial.scores, strict=True)
    ]
    warnings = [*_trivial_differences(pictures[:real], pictures[real:])]
    if _subject_gap(detector.subject(x), labels) >= SUBJECT_GAP:
        warnings.append(_(OTHER_SUBJECTS))
    return Learned(
        private, trial, corrected_pictures[:real], corrected_pictures[real:], tuple(warnings)
    )


def _trivial_differences(
    real: Sequence[ReferencePicture], generated: Sequence[ReferencePicture]
) -> Iterator[str]:
    """Yield sentences on what tells the two kinds apart beside how they were made."""
    real_sides = np.array([picture.side for picture in real])
    generated_sides = np.array([picture.side for picture in generated])
    larger = float((generated_sides[:, None] > real_sides).mean())
    smaller = float((generated_sides[:, None] < real_sides).mean())
    if max(larger, smaller) >= TRIVIAL:
        yield _(OTHER_SIZES)
    real_formats = {picture.format for picture in real}
    if real_formats.isdisjoint(picture.format for picture in generated):
        yield _(OTHER_FORMATS)


def _subject_gap(subjects: np.ndarray, labels: np.ndarray) -> float:
    """Return how much more alike pictures of one kind are than pictures of both.

    Args:
        subjects: [N, W], see Detector.subject. labels: [N], two of each kind at least.

    Returns:
        The mean product of two pictures of one kind less that of two of both, in [-2, 2]; about 0
        where both kinds show the same things.
    """
    kinds = [subjects[labels == label] for label in (0, 1)]
    within = []
    for kind in kinds:
        products = kind @ kind.T
        within.append(products[~np.eye(len(kind), dtype=bool)].mean())
    return float(np.mean(within) - (kinds[0] @ kinds[1].T).mean())


def make_profile(
    photographs: Sequence[ReferencePicture],
    detector: Detector,
    *,
    at_most: float,
    generated: Sequence[ReferencePicture] = (),
    learned: Learned | None = None,
) -> Profile:
    """Make the profile of photographs that are known to be real and have an answer.

    Args:
        photographs: at least one; `ReferencePicture.answered` holds for all of them.
        detector: gave the scores.
        at_most: the bound on false alarms; where there are too few photographs for it, the profile
            has none.
        generated: pictures that are known to be generated, of which the profile keeps the scores.
        learned: from both. Where it helps, the profile holds the pictures that taught it.
    """
    private = learned.private if learned else None
    if learned and private:
        photographs, generated = learned.real, learned.generated
    scores = highest_of_each(photographs)
    sides = [picture.side for picture in photographs]
    # "inverted_cdf": sizes that there are
    shortest, longest = np.quantile(sides, (0.01, 0.99), method="inverted_cdf")
    return Profile(
        model=detector.name,
        revision=detector.config.revision,
        runtime=detector.runtime,
        made=datetime.now(UTC).replace(microsecond=0).isoformat(),
        scores=tuple(sorted((picture.score for picture in photographs), reverse=True)),
        counted=scores,
        at_most=None if too_few(len(scores), at_most) else at_most,
        cameras=dict(Counter(picture.camera for picture in photographs)),
        formats=dict(Counter(picture.format for picture in photographs)),
        kinds=dict(Counter(kind for picture in photographs for kind in picture.cautions)),
        sides=(float(shortest), float(longest)),
        generated=tuple(sorted((picture.score for picture in generated), reverse=True)),
        private=private,
    )


def highest_of_each(photographs: Sequence[ReferencePicture]) -> tuple[float, ...]:
    """Return the highest score of each group that counts as one, highest first."""
    best: dict[int, float] = {}
    for group, picture in zip(groups(photographs), photographs, strict=True):
        best[group] = max(best.get(group, 0.0), picture.score)
    return tuple(sorted(best.values(), reverse=True))


def groups(photographs: Sequence[ReferencePicture]) -> list[int]:
    """Return a number for each photograph, equal for those of one camera and day, and for
    near-equal ones."""
    first: dict[tuple[str, str], int] = {}
    joined = [
        (first.setdefault((picture.camera, picture.day), i), i)
        for i, picture in enumerate(photographs)
        if picture.day
    ]
    hashes = np.array([picture.hash for picture in photographs], np.uint64)
    return [int(label) for label in group_near(hashes, bits=NEAR_BITS, joined=joined)]
