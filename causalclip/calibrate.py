"""Thresholds calibrated on an archive: its pictures judged, the profile made of them, and the
report of what was found.

python -m causalclip calibrate PHOTOS [--generated KNOWN]
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from markupsafe import Markup
from tqdm import tqdm

from causalclip.calibration import sigmoid
from causalclip.cli_helpers import (
    DONE,
    REFUSED,
    Head,
    Lang,
    Model,
    chosen_model,
    load_detector,
    told,
    walk,
)
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.result import perceptual_hash
from causalclip.examination.stages import look_closer, read_claims
from causalclip.images.formats import ACCEPTED, ImageError, spelt
from causalclip.images.hashes import group_near
from causalclip.images.loading import LoadedImage, load_image, read_file
from causalclip.images.zips import Member
from causalclip.languages import ENGLISH, N_, _, current, decimal, figure, is_rtl, number, speaking
from causalclip.private_head import (
    LEAST,
    PrivateHead,
    Trial,
    enough,
    make_private_head,
    re_encode,
)
from causalclip.reference import COUNTED_AS, Profile, threshold, too_few
from causalclip.report.card import render

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.provenance.reading import Provenance

READERS = os.cpu_count() or 1
THUMBNAIL_SIDE = 240  # px on the longer side of the copy that is kept to be looked at
NEAR_BITS = 10  # bits of 64 in which the hashes of a burst's pictures may differ
NOT_READ = N_("Not read: {name}: {sentence}")
NEXT = N_("Use it: {command}")
LESSONS = 50  # pictures of each kind, at most, from which a private head learns
TRIVIAL = 0.9  # share of the pairs in which one kind is the larger one, from which that is said
HELPS = N_(
    "It learned from your {real} real and {generated} generated pictures, and is used. Each "
    "judged without itself, AUC goes from {shipped} to {corrected} (the gain is {low} to {high}, "
    "with 90 % confidence). This is a correction for this source, not a better detector."
)
DOES_NOT_HELP = N_(
    "Learning from your pictures does not surely help here, so it is not used: AUC is {shipped} "
    "without it. More pictures of each kind may change that."
)
TOO_FEW_TO_LEARN = N_(
    "To learn from your pictures, {least} real and {least} generated ones are needed; fifteen of "
    "each help more often."
)
OTHER_SIZES = N_(
    "Your generated pictures differ from the real ones in size. All were made alike before they "
    "were learned from, but what they show may differ, too."
)
OTHER_FORMATS = N_(
    "Your generated pictures are of other formats than the real ones. All were made alike before "
    "they were learned from."
)


@dataclass(frozen=True, slots=True)
class JudgedPicture:
    """What is kept of one picture.

    score: calibrated probability. hash: 64 bits (imagehash.phash). camera, day: as the file says,
    "" where it does not.
    side: the longer one, in pixels. kinds: of its cautions. small: a data address of a small copy.
    answered: whether the detector answers at all; the score of what is no photograph means nothing.
    lesson: what a private head learns from; None where it is not to learn.
    """

    name: str
    score: float
    hash: int
    camera: str
    day: str
    format: str
    side: int
    kinds: tuple[str, ...]
    small: str
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
    """A file that could not be judged, and the sentence that says why."""

    name: str
    sentence: str


def read_members(files: Iterable[tuple[str, str | Path]]) -> Iterator[Member]:
    """(name, bytes or error) of each (name, path)."""
    for name, path in files:
        try:
            yield name, read_file(path)
        except ImageError as error:
            yield name, error


def judge(
    members: Iterable[Member], detector: Detector, *, ahead: int = READERS, lessons: int = 0
) -> Iterator[JudgedPicture | UnreadFile]:
    """Judges every picture as it is, without the check of stability; in order, a bad file costs its
    own row.

    ahead: pictures that are read while one is judged; all of them are in memory.
    lessons: from how many a private head may learn; each is looked at a second time for it.
    """
    with ThreadPoolExecutor(max(1, ahead)) as pool:
        coming: deque[tuple[str, Future[_Decoded]]] = deque()
        for name, content in members:
            # errors in the caller's language
            coming.append((name, pool.submit(copy_context().run, _decode, content)))
            if len(coming) > ahead:
                yield _judged(*coming.popleft(), detector, learn=lessons > 0)
                lessons -= 1
        while coming:
            yield _judged(*coming.popleft(), detector, learn=lessons > 0)
            lessons -= 1


# picture, claims, kinds of cautions, hash
_Decoded = tuple["LoadedImage", "Provenance", tuple[str, ...], int]


def _decode(content: bytes | ImageError) -> _Decoded:
    if isinstance(content, ImageError):
        raise content
    claims, loaded = read_claims(content), load_image(content)
    provenance, cautions = look_closer(loaded, claims)
    return (
        loaded,
        provenance,
        tuple(caution.kind for caution in cautions),
        int(perceptual_hash(loaded.pixels), 16),
    )


def _judged(
    name: str, future: Future[_Decoded], detector: Detector, *, learn: bool
) -> JudgedPicture | UnreadFile:
    from causalclip.report.card import draw_thumbnail

    try:
        loaded, provenance, kinds, hash_ = future.result()
    except ImageError as error:
        return UnreadFile(name, str(error))
    verdict = detector.score(loaded.pixels)
    answered = verdict.band != NO_ANSWER
    lesson = None
    if learn and answered:
        shipped, features = detector.represent(re_encode(loaded.pixels))
        lesson = Lesson(features.astype(np.float16), shipped.logit)
    return JudgedPicture(
        name,
        verdict.probability,
        hash_,
        provenance.camera,
        provenance.day,
        loaded.format,
        max(loaded.width, loaded.height),
        kinds,
        draw_thumbnail(loaded.pixels, side=THUMBNAIL_SIDE),
        answered=answered,
        lesson=lesson,
    )


@dataclass(frozen=True, slots=True)
class Learned:
    """What both kinds of pictures taught.

    private: None where it does not surely help. real, generated: the pictures that taught it, each
    with the score that it gets without itself. warnings: sentences on how the two kinds differ in
    something trivial.
    """

    private: PrivateHead | None
    trial: Trial
    real: Sequence[JudgedPicture]
    generated: Sequence[JudgedPicture]
    warnings: tuple[str, ...]

    def sentences(self) -> list[str]:
        """Whether it helps, and by how much."""
        shipped = decimal(self.trial.shipped, digits=2)
        if self.private is None:
            return [_(DOES_NOT_HELP, shipped=shipped), *self.warnings]
        said = _(
            HELPS,
            real=number(self.private.real),
            generated=number(self.private.generated),
            shipped=shipped,
            corrected=decimal(self.trial.corrected, digits=2),
            low=decimal(self.trial.gain[0], digits=2),
            high=decimal(self.trial.gain[2], digits=2),
        )
        return [said, *self.warnings]


def learn(
    photographs: Sequence[JudgedPicture], generated: Sequence[JudgedPicture], detector: Detector
) -> Learned | None:
    """Learns a private head from the pictures with a lesson; None where they are too few."""
    pictures: list[JudgedPicture] = []
    lessons: list[Lesson] = []
    for one in (*photographs, *generated):
        if one.lesson is not None:
            pictures.append(one)
            lessons.append(one.lesson)
    real = sum(one.lesson is not None for one in photographs)
    labels = np.array([0] * real + [1] * (len(pictures) - real))
    if not enough(labels):
        return None
    x = np.array([lesson.features for lesson in lessons], np.float32)
    shipped = np.array([lesson.logit for lesson in lessons])
    private, trial = make_private_head(x, shipped, labels, shares=detector.config.share)
    scores = zip(pictures, trial.scores, strict=True)
    judged = [replace(one, score=sigmoid(float(logit))) for one, logit in scores]
    warnings = tuple(_trivial(pictures[:real], pictures[real:]))
    return Learned(private, trial, judged[:real], judged[real:], warnings)


def _trivial(real: Sequence[JudgedPicture], generated: Sequence[JudgedPicture]) -> Iterator[str]:
    """Sentences on what tells the two kinds apart beside how they were made."""
    sides = [np.array([one.side for one in kind]) for kind in (real, generated)]
    larger = float((sides[1][:, None] > sides[0]).mean())
    smaller = float((sides[1][:, None] < sides[0]).mean())
    if max(larger, smaller) >= TRIVIAL:
        yield _(OTHER_SIZES)
    if {one.format for one in real}.isdisjoint(one.format for one in generated):
        yield _(OTHER_FORMATS)


def make_profile(
    photographs: Sequence[JudgedPicture],
    detector: Detector,
    *,
    at_most: float,
    generated: Sequence[JudgedPicture] = (),
    learned: Learned | None = None,
) -> Profile:
    """The profile of photographs that are known to be real; all of them have an answer
    (`JudgedPicture.answered`).

    Args:
        at_most: the bound on false alarms; where there are too few photographs for it, the profile
            has none.
        generated: pictures that are known to be generated, of which the profile keeps the scores.
        learned: from both. Where it helps, the profile holds the pictures that taught it.
    """
    private = learned.private if learned else None
    if learned and private:
        photographs, generated = learned.real, learned.generated
    counted = highest_of_each(photographs)
    # sizes that there are
    sides = np.quantile([one.side for one in photographs], (0.01, 0.99), method="inverted_cdf")
    return Profile(
        model=detector.name,
        revision=detector.config.revision,
        runtime=detector.runtime,
        made=datetime.now(UTC).replace(microsecond=0).isoformat(),
        scores=tuple(sorted((one.score for one in photographs), reverse=True)),
        counted=counted,
        at_most=None if too_few(len(counted), at_most) else at_most,
        cameras=dict(Counter(one.camera for one in photographs)),
        formats=dict(Counter(one.format for one in photographs)),
        kinds=dict(Counter(kind for one in photographs for kind in one.kinds)),
        sides=(float(sides[0]), float(sides[1])),
        generated=tuple(sorted((one.score for one in generated), reverse=True)),
        private=private,
    )


def highest_of_each(photographs: Sequence[JudgedPicture]) -> tuple[float, ...]:
    """The highest score of each group that counts as one."""
    best: dict[int, float] = {}
    for group, one in zip(groups(photographs), photographs, strict=True):
        best[group] = max(best.get(group, 0.0), one.score)
    return tuple(sorted(best.values(), reverse=True))


def groups(photographs: Sequence[JudgedPicture]) -> list[int]:
    """A number for each photograph, equal for those of one camera and day, and for near-equal
    ones."""
    first: dict[tuple[str, str], int] = {}
    joined = [
        (first.setdefault((one.camera, one.day), i), i)
        for i, one in enumerate(photographs)
        if one.day
    ]
    hashes = np.array([one.hash for one in photographs], np.uint64)
    return [int(label) for label in group_near(hashes, bits=NEAR_BITS, joined=joined)]


class Percent(StrEnum):
    """The bounds that can be asked for."""

    FIVE, TWO, ONE = "5", "2", "1"


def calibrate(
    photos: Annotated[
        list[Path], typer.Argument(help=f"Photographs known to be real, or folders. {ACCEPTED}")
    ],
    generated: Annotated[
        list[Path] | None,
        typer.Option(
            "--generated",
            "--fakes",
            help=f"Pictures known to be generated, or a folder: with {LEAST} or more beside as "
            "many photographs of the same kind, the profile also learns from both.",
        ),
    ] = None,
    at_most: Annotated[
        Percent,
        typer.Option(
            help="Percent of such photographs that may be accused: 59, 149, 299 are needed."
        ),
    ] = Percent.FIVE,
    out: Annotated[Path, typer.Option(help="The output's folder.")] = Path("yardstick"),
    model: Model = "",
    head: Head = "",
    lang: Lang = ENGLISH,
) -> None:
    """Make your own archive the yardstick: profile.json (numbers alone), and summary.html with the
    accused pictures."""
    model = chosen_model(model, head)
    with speaking(lang):
        refused = _calibrate(
            photos, generated or [], load_detector(model), at_most=int(at_most.value) / 100, out=out
        )
    raise typer.Exit(REFUSED if refused else DONE)


def _calibrate(
    photos: list[Path], fakes: list[Path], detector: Detector, *, at_most: float, out: Path
) -> bool:
    """True if a file was refused."""
    with told(OSError):  # before the photographs are judged, which takes minutes
        out.mkdir(parents=True, exist_ok=True)
    lessons = LESSONS if fakes else 0
    real, unread = _judge(photos, detector, lessons=lessons)
    generated, also = _judge(fakes, detector, lessons=lessons)
    unread += also
    unanswered = sum(not one.answered for one in (*real, *generated))
    real, generated = ([one for one in found if one.answered] for found in (real, generated))
    not_read = [_(NOT_READ, name=spelt(one.name), sentence=one.sentence) for one in unread]
    if not real:
        left_out = [_(LEFT_OUT, n=number(unanswered))] if unanswered else []
        typer.echo(
            "\n".join([_("No photograph could be read there."), *left_out, *not_read]), err=True
        )
        return True
    learned = learn(real, generated, detector)
    profile = make_profile(real, detector, at_most=at_most, generated=generated, learned=learned)
    found = CalibrationReport(
        profile=profile,
        photographs=real,
        unread=unread,
        shipped=detector.config.calibration.high,
        at_most=at_most,
        unanswered=unanswered,
        generated=generated,
        learned=learned,
    )
    profile.write(out / "profile.json")
    (out / "summary.html").write_text(found.page(), encoding="utf-8", errors="replace")
    typer.echo("\n".join([*found.sentences(), *not_read]))
    typer.echo(
        _(NEXT, command=f"python -m causalclip detect picture.jpg --profile {out / 'profile.json'}")
    )
    return bool(unread)


def _judge(
    paths: list[Path], detector: Detector, *, lessons: int
) -> tuple[list[JudgedPicture], list[UnreadFile]]:
    files = list(walk(paths))
    members = read_members((str(path), path) for path in files)
    found = judge(members, detector, lessons=lessons)
    rows = list(tqdm(found, total=len(files), unit="picture", disable=not files or None))
    return [one for one in rows if isinstance(one, JudgedPicture)], [
        one for one in rows if not isinstance(one, JudgedPicture)
    ]


LEFT_OUT = N_("Left out, as pictures of their kind get no answer: {n}.")
BARS, WIDTH, HEIGHT = 20, 600, 160
MAX_SHOWN = 200  # photographs that are shown
_render = partial(render, template="archive.html")


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """Judged photographs and the profile that was made of them.

    shipped: the detector's own threshold. at_most: the bound that was asked for. unanswered: how
    many pictures got no answer, and are not in the profile. generated: known to be. learned: from
    both, where they were enough.
    """

    profile: Profile
    photographs: Sequence[JudgedPicture]
    unread: Sequence[UnreadFile]
    shipped: float
    at_most: float
    unanswered: int = 0
    generated: Sequence[JudgedPicture] = ()
    learned: Learned | None = None

    def sentences(self) -> list[str]:
        """What the photographs say of the detector."""
        profile, shipped = self.profile, decimal(self.shipped, digits=2)
        accused = sum(score >= self.shipped for score in profile.scores)
        said = [_("Photographs that were judged: {n}.", n=number(len(profile.scores)))]
        if self.unanswered:
            said.append(_(LEFT_OUT, n=number(self.unanswered)))
        high = N_(
            "Called likely generated at the detector's own threshold ({threshold}), before the "
            "check of stability: {accused}."
        )
        rate = rate_words(
            sum(score >= self.shipped for score in profile.counted), len(profile.counted)
        )
        if len(profile.counted) < len(profile.scores):
            said.append(_(COUNTED_AS, counted=number(len(profile.counted))))
            by = _("With such pictures counted as one: {rate}.", rate=rate)
            said.append(f"{_(high, threshold=shipped, accused=number(accused))} {by}")
        else:
            said.append(_(high, threshold=shipped, accused=rate))
        said.append(self._bound())
        cameras = [name for name in profile.cameras if name]
        if len(cameras) == 1 and not profile.cameras.get(""):
            said.append(
                _(
                    "All are by one camera ({camera}): they speak for that one alone.",
                    camera=cameras[0],
                )
            )
        if self.learned is not None:
            said += self.learned.sentences()
        elif self.generated:
            said.append(_(TOO_FEW_TO_LEARN, least=number(LEAST)))
        return said + (self._missed() if profile.generated else [])

    def _bound(self) -> str:
        percent = figure(100 * self.at_most)
        own = threshold(self.profile.counted, self.at_most)
        if own is None:
            stays = _(
                "The threshold stays as it is; answers will say how many photographs scored as "
                "high."
            )
            return f"{too_few(len(self.profile.counted), self.at_most)} {stays}"
        if own <= self.shipped:
            strict = N_(
                "The promise of {percent} % would hold from {own} on. The detector's own threshold "
                "is stricter, and stays."
            )
            return _(strict, percent=percent, own=decimal(own, digits=4))
        return _(
            "With the profile, the threshold is {own}: at most {percent} of 100 real photographs "
            "like these are expected to reach it; that holds for 95 of 100 archives of this size.",
            percent=percent,
            own=decimal(own, digits=4),
        )

    def _missed(self) -> list[str]:
        """How many of the known generated pictures reach either threshold."""
        generated = self.profile.generated
        thresholds = (
            (
                self.shipped,
                N_("Of the pictures known to be generated, {rate} reach the detector's threshold."),
            ),
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
        accused = sorted(
            (one for one in self.photographs if one.score >= self.shipped),
            key=lambda one: -one.score,
        )
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
        "Histogram of the scores. Photographs: {n}; in the highest bar: {most}. Thresholds: "
        "{shipped} and {high}.",
        n=number(len(scores)),
        most=number(most),
        shipped=decimal(shipped, digits=2),
        high=decimal(high, digits=2),
    )
    lines = [(f"{x * WIDTH:.1f}", dash) for x, dash in ((shipped, "4 4"), (min(1.0, high), "none"))]
    return _render("histogram", alt=words, bars=bars, lines=lines, width=WIDTH, height=HEIGHT)
