"""python -m causalclip calibrate PHOTOS [--fakes KNOWN]: pictures of an archive, judged and made a profile."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from tqdm import tqdm

from causalclip.cli_helpers import DONE, REFUSED, Head, Lang, Model, chosen_model, load_detector, told, walk
from causalclip.evidence.examination import look_closer, perceptual_hash, read_claims
from causalclip.evidence.words import NO_ANSWER
from causalclip.images.formats import ACCEPTED, ImageError, spelt
from causalclip.images.hashes import group_near
from causalclip.images.loading import LoadedImage, load_image, read_file
from causalclip.images.zips import Member
from causalclip.languages import ENGLISH, N_, _, number, speaking
from causalclip.profile import Profile, too_few

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.provenance.reading import Provenance

READERS = os.cpu_count() or 1
THUMBNAIL_SIDE = 240  # px on the longer side of the copy that is kept to be looked at
NEAR_BITS = 10  # bits of 64 in which the hashes of a burst's pictures may differ
NOT_READ = N_("Not read: {name}: {sentence}")
NEXT = N_("Use it: {command}")


@dataclass(frozen=True, slots=True)
class JudgedPicture:
    """What is kept of one picture.

    score: calibrated probability. hash: 64 bits (imagehash.phash). camera, day: as the file says, "" where it does not.
    side: the longer one, in pixels. kinds: of its cautions. small: a data address of a small copy. answered: whether
    the detector answers at all; the score of what is no photograph means nothing.
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
    members: Iterable[Member], detector: Detector, *, ahead: int = READERS
) -> Iterator[JudgedPicture | UnreadFile]:
    """Judges every picture as it is, without the check of stability; in order, a bad file costs its own row.

    ahead: pictures that are read while one is judged; all of them are in memory.
    """
    with ThreadPoolExecutor(max(1, ahead)) as pool:
        coming: deque[tuple[str, Future[_Decoded]]] = deque()
        for name, content in members:
            coming.append((name, pool.submit(copy_context().run, _decode, content)))  # errors in the caller's language
            if len(coming) > ahead:
                yield _judged(*coming.popleft(), detector)
        while coming:
            yield _judged(*coming.popleft(), detector)


_Decoded = tuple["LoadedImage", "Provenance", tuple[str, ...], int]  # picture, claims, kinds of cautions, hash


def _decode(content: bytes | ImageError) -> _Decoded:
    if isinstance(content, ImageError):
        raise content
    claims, loaded = read_claims(content), load_image(content)
    provenance, cautions = look_closer(loaded, claims)
    return loaded, provenance, tuple(caution.kind for caution in cautions), int(perceptual_hash(loaded.pixels), 16)


def _judged(name: str, future: Future[_Decoded], detector: Detector) -> JudgedPicture | UnreadFile:
    from causalclip.report.card import draw_thumbnail

    try:
        loaded, provenance, kinds, hash_ = future.result()
    except ImageError as error:
        return UnreadFile(name, str(error))
    verdict = detector.judge(loaded.pixels)
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
        answered=verdict.band != NO_ANSWER,
    )


def make_profile(
    photographs: Sequence[JudgedPicture], detector: Detector, *, at_most: float, generated: Sequence[JudgedPicture] = ()
) -> Profile:
    """The profile of photographs that are known to be real; all of them have an answer (`JudgedPicture.answered`).

    Args:
        at_most: the bound on false alarms; where there are too few photographs for it, the profile has none.
        generated: pictures that are known to be generated, of which the profile keeps the scores.
    """
    counted = highest_of_each(photographs)
    sides = np.quantile([one.side for one in photographs], (0.01, 0.99), method="inverted_cdf")  # sizes that there are
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
    )


def highest_of_each(photographs: Sequence[JudgedPicture]) -> tuple[float, ...]:
    """The highest score of each group that counts as one."""
    best: dict[int, float] = {}
    for group, one in zip(groups(photographs), photographs, strict=True):
        best[group] = max(best.get(group, 0.0), one.score)
    return tuple(sorted(best.values(), reverse=True))


def groups(photographs: Sequence[JudgedPicture]) -> list[int]:
    """A number for each photograph, equal for those of one camera and day, and for near-equal ones."""
    first: dict[tuple[str, str], int] = {}
    joined = [(first.setdefault((one.camera, one.day), i), i) for i, one in enumerate(photographs) if one.day]
    hashes = np.array([one.hash for one in photographs], np.uint64)
    return [int(label) for label in group_near(hashes, bits=NEAR_BITS, joined=joined)]


class Percent(StrEnum):
    """The bounds that can be asked for."""

    FIVE, TWO, ONE = "5", "2", "1"


def calibrate(
    photos: Annotated[list[Path], typer.Argument(help=f"Photographs known to be real, or folders. {ACCEPTED}")],
    fakes: Annotated[list[Path] | None, typer.Option(help="Pictures known to be generated, or a folder.")] = None,
    at_most: Annotated[
        Percent, typer.Option(help="Percent of such photographs that may be accused: 59, 149, 299 are needed.")
    ] = Percent.FIVE,
    out: Annotated[Path, typer.Option(help="The output's folder.")] = Path("yardstick"),
    model: Model = "",
    head: Head = "",
    lang: Lang = ENGLISH,
) -> None:
    """Make your own archive the yardstick: profile.json (numbers alone), and summary.html with the accused pictures."""
    model = chosen_model(model, head)
    with speaking(lang):
        refused = _calibrate(photos, fakes or [], load_detector(model), at_most=int(at_most.value) / 100, out=out)
    raise typer.Exit(REFUSED if refused else DONE)


def _calibrate(photos: list[Path], fakes: list[Path], detector: Detector, *, at_most: float, out: Path) -> bool:
    """True if a file was refused."""
    from causalclip.thresholds.report import LEFT_OUT, CalibrationReport

    with told(OSError):  # before the photographs are judged, which takes minutes
        out.mkdir(parents=True, exist_ok=True)
    (real, unread), (generated, also) = _judge(photos, detector), _judge(fakes, detector)
    unread += also
    unanswered = sum(not one.answered for one in (*real, *generated))
    real, generated = ([one for one in found if one.answered] for found in (real, generated))
    not_read = [_(NOT_READ, name=spelt(one.name), sentence=one.sentence) for one in unread]
    if not real:
        left_out = [_(LEFT_OUT, n=number(unanswered))] if unanswered else []
        typer.echo("\n".join([_("No photograph could be read there."), *left_out, *not_read]), err=True)
        return True
    profile = make_profile(real, detector, at_most=at_most, generated=generated)
    found = CalibrationReport(profile, real, unread, detector.config.calibration.high, at_most, unanswered)
    profile.write(out / "profile.json")
    (out / "summary.html").write_text(found.page(), encoding="utf-8", errors="replace")
    typer.echo("\n".join([*found.sentences(), *not_read]))
    typer.echo(_(NEXT, command=f"python -m causalclip detect picture.jpg --profile {out / 'profile.json'}"))
    return bool(unread)


def _judge(paths: list[Path], detector: Detector) -> tuple[list[JudgedPicture], list[UnreadFile]]:
    files = list(walk(paths))
    found = judge(read_members((str(path), path) for path in files), detector)
    rows = list(tqdm(found, total=len(files), unit="picture", disable=not files or None))
    return [one for one in rows if isinstance(one, JudgedPicture)], [
        one for one in rows if not isinstance(one, JudgedPicture)
    ]
