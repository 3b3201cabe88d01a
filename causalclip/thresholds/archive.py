"""Pictures of an archive, judged and made a profile (causalclip.profile)."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from causalclip.evidence.examination import look_closer, perceptual_hash, read_claims
from causalclip.evidence.words import NO_ANSWER
from causalclip.images.archives import Member
from causalclip.images.formats import ImageError
from causalclip.images.loading import LoadedImage, load_image, read_file
from causalclip.profile import Profile, too_few

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.provenance.reading import Provenance

READERS = os.cpu_count() or 1
SMALL = 240  # px on the longer side of the copy that is kept to be looked at
NEAR = 10  # bits of 64 in which the hashes of a burst's pictures may differ


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
    from causalclip.report.drawing import draw_thumbnail

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
        draw_thumbnail(loaded.pixels, side=SMALL),
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
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs: list[tuple[int, int]] = []
    first: dict[tuple[str, str], int] = {}
    hashes = np.array([one.hash for one in photographs], np.uint64)
    for i, one in enumerate(photographs):
        if one.day:
            pairs.append((first.setdefault((one.camera, one.day), i), i))
        near = np.bitwise_count(hashes[:i] ^ hashes[i]) <= NEAR
        pairs += [(int(j), i) for j in np.flatnonzero(near)]
    rows, columns = np.array(pairs, int).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(photographs),) * 2)
    return [int(label) for label in connected_components(graph, directed=False)[1]]
