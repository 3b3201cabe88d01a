"""Finding the pictures of a repository that may be worth a row: large enough, no icons, not known yet."""

import hashlib
import io
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from causalclip.dataset.collecting.repositories import Repository
from causalclip.dataset.gathering.evidence import Evidence, find_evidence
from causalclip.dataset.hashes import NEAR, as_bits, perceptual_hash
from causalclip.dataset.table import Picture, is_safe
from causalclip.pictures.formats import ENDINGS, MAX_BYTES, ImageError
from causalclip.pictures.loading import load_image

SMALLEST = 300  # pixels of the shorter side
LONGEST = 3.0  # times the shorter side
FEWEST_BYTES = 12_000
COLOURS = 200  # of a picture at 64 x 64 px; drawings and logos have fewer
THUMB = 150  # pixels of the longer side, on the contact sheet
_ICON = re.compile(r"icon|logo|sprite|avatar|thumb(nail)?s?[/_.-]|badge|og-image|node_modules|/flags?/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that a person may take. width, height: of the file as stored. thumb: upright, for the sheet."""

    path: str
    sha256: str
    phash: str
    width: int
    height: int
    format: str
    evidence: Evidence
    thumb: Image.Image


def find_candidates(
    repository: Repository, commit: str, known: Iterable[Picture], *, most: int, under: str = "", match: str = ""
) -> tuple[list[Candidate], Counter[str]]:
    """At most `most` candidates, drawn from each folder in turn, and why others were left out, with their numbers.

    under: only paths that begin so. match: only paths in which this regular expression is found.
    """
    left_out: Counter[str] = Counter()
    files, hashes = {p.sha256 for p in known}, as_bits([p.phash for p in known if p.phash])
    added = repository.added(commit)
    found: list[Candidate] = []
    with repository.reader() as reader:
        for path, oid in _order(repository.files(commit), under, match):
            if len(found) == most:
                break
            data = reader.read(oid)
            candidate = "its bytes are not there" if data is None else _look(data, path, added.get(path, ""), files)
            if isinstance(candidate, Candidate) and _near(candidate, hashes):
                candidate = "it is a near-copy of a known one"
            if isinstance(candidate, str):
                left_out[candidate] += 1
                continue
            files.add(candidate.sha256)
            hashes = np.append(hashes, as_bits([candidate.phash]))
            found.append(candidate)
    return found, left_out


def _order(files: Iterable[tuple[str, str, int]], under: str, match: str) -> Iterator[tuple[str, str]]:
    """Path and object of what may be pictures: one of each folder in turn, within a folder by chance."""
    folders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, oid, size in files:
        wanted = path.startswith(under) and re.search(match, path) and path.lower().endswith(ENDINGS)
        if wanted and FEWEST_BYTES <= size <= MAX_BYTES and not _ICON.search(path) and is_safe(path):
            folders[os.path.dirname(path)].append((path, oid))
    pools = [random.Random(name).sample(items, len(items)) for name, items in sorted(folders.items())]
    while pools:
        for pool in pools:
            yield pool.pop()
        pools = [pool for pool in pools if pool]


def _look(data: bytes, path: str, added: str, known: set[str]) -> Candidate | str:
    """The picture as a candidate, or why it is none."""
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 in known:
        return "it is known"
    try:
        loaded = load_image(data)
        evidence = find_evidence(data, path, added)
        with Image.open(io.BytesIO(data)) as file:
            (width, height), name = file.size, file.format or ""
        phash = perceptual_hash(data)
    except (ImageError, OSError, ValueError):
        return "it does not decode"
    if min(width, height) < SMALLEST:
        return "it is too small"
    if max(width, height) > LONGEST * min(width, height):
        return "it is too narrow"
    thumb = Image.fromarray(loaded.pixels)
    if len(set(thumb.resize((64, 64)).get_flattened_data())) < COLOURS:
        return "it has few colours"
    thumb.thumbnail((THUMB, THUMB))
    return Candidate(path, sha256, phash, width, height, name, evidence, thumb)


def _near(candidate: Candidate, hashes: np.ndarray) -> bool:
    return bool((np.bitwise_count(hashes ^ as_bits([candidate.phash])) <= NEAR).any())


def most_common(left_out: Counter[str]) -> Sequence[str]:
    """Lines that say what was left out."""
    return [f"{number:,} left out: {reason}." for reason, number in left_out.most_common()]
