"""Photographs of an archive, read side by side and judged one after the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalclip.evidence.examination import look_closer, perceptual_hash, read_claims
from causalclip.evidence.words import NO_ANSWER
from causalclip.pictures.archives import Member
from causalclip.pictures.formats import ImageError
from causalclip.pictures.loading import LoadedImage, load_image

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.provenance.reading import Provenance

READERS = os.cpu_count() or 1
SMALL = 240  # px on the longer side of what is kept to be looked at


@dataclass(frozen=True, slots=True)
class Looked:
    """What is kept of one photograph.

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
class Refused:
    """A file that could not be judged, and the sentence that says why."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Read:
    loaded: LoadedImage
    provenance: Provenance
    kinds: tuple[str, ...]
    hash: int


def look(members: Iterable[Member], detector: Detector, *, ahead: int = READERS) -> Iterator[Looked | Refused]:
    """Judges every picture as it is, without the check of stability; in order, a bad file costs its own row.

    ahead: pictures that are read while one is judged; all of them are in memory.
    """
    with ThreadPoolExecutor(max(1, ahead)) as pool:
        coming: deque[tuple[str, Future[_Read]]] = deque()
        for name, content in members:
            coming.append((name, pool.submit(copy_context().run, _read, content)))  # who reads speaks the same language
            if len(coming) > ahead:
                yield _judged(*coming.popleft(), detector)
        while coming:
            yield _judged(*coming.popleft(), detector)


def _read(content: bytes | ImageError) -> _Read:
    if isinstance(content, ImageError):
        raise content
    claims, loaded = read_claims(content), load_image(content)
    provenance, cautions = look_closer(loaded, claims)
    kinds = tuple(caution.kind for caution in cautions)
    return _Read(loaded, provenance, kinds, int(perceptual_hash(loaded.pixels), 16))


def _judged(name: str, future: Future[_Read], detector: Detector) -> Looked | Refused:
    from causalclip.report.document import draw_thumbnail

    try:
        read = future.result()
    except ImageError as error:
        return Refused(name, str(error))
    loaded, camera, day = read.loaded, read.provenance.camera, read.provenance.day
    verdict = detector.judge(loaded.pixels)
    score, answered = verdict.probability, verdict.band != NO_ANSWER
    side, small = max(loaded.width, loaded.height), draw_thumbnail(loaded.pixels, side=SMALL)
    return Looked(name, score, read.hash, camera, day, loaded.format, side, read.kinds, small, answered)
