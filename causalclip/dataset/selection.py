"""Which rows of the table a run is about: a split, some owners, the small free sample, or what training learns from."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from causalclip.dataset.table import LABELS, Picture, read_table
from causalclip.training.data import BadManifest, Record

SAMPLE = 50
AN_OWNER = 15  # pictures of one owner in the sample
A_CLASS = 25  # pictures of one source and class, at most: more of the same teach nothing (data/README.md)
NOT_WHOLE = "edits", "compare"  # sets that whole pictures are not learned from
_FREE = re.compile(
    r"\b(MIT|Apache|BSD|CC0|CC[- ]BY|Unlicense|ISC|MPL|A?GPL|LGPL|Unsplash|Pexels|public domain)", re.IGNORECASE
)
_BOUND = re.compile(r"unknown|none|\bNC\b|non-?commercial|research|mixed|no derivat|\bND\b", re.IGNORECASE)


def has_clear_licence(licence: str) -> bool:
    """Whether a row's licence is one that lets anybody use the picture."""
    return bool(_FREE.search(licence)) and not _BOUND.search(licence)


def can_be_sampled(picture: Picture) -> bool:
    """Whether it is a whole test photograph with a clear licence: what the sample is drawn from."""
    whole = picture.kind == "photo" and not picture.crop and not picture.pair and not picture.set.startswith("edits")
    return whole and picture.split == "test" and has_clear_licence(picture.licence)


def choose(pictures: Iterable[Picture], *, split: str = "", sites: int = 0, sample: bool = False) -> list[Picture]:
    """The rows of a split; of so many of their owners, drawn by a hash; or the sample of SAMPLE test pictures."""
    rows = [p for p in pictures if not split or p.split == split]
    if sample:
        rows = _sample(rows)
    if sites:
        drawn = set(sorted({p.owner for p in rows}, key=_lot)[:sites])
        rows = [p for p in rows if p.owner in drawn]
    return rows


def _sample(pictures: Iterable[Picture]) -> list[Picture]:
    """As many real as generated photographs of the test sets, with clear licences, few of each owner."""
    drawn: list[Picture] = []
    of_owner: Counter[str] = Counter()
    of_label: Counter[str] = Counter()
    for p in sorted(pictures, key=lambda p: _lot(p.sha256)):
        if can_be_sampled(p) and of_owner[p.owner] < AN_OWNER and of_label[p.label] < SAMPLE // len(LABELS):
            of_owner[p.owner] += 1
            of_label[p.label] += 1
            drawn.append(p)
    return drawn


def _lot(name: str) -> bytes:
    return hashlib.sha256(f"causalclip sample 1/{name}".encode()).digest()


def read_originals(table: str | Path, folder: str | Path, *, split: str = "train", each: int = A_CLASS) -> list[Record]:
    """The table's pictures of a split whose originals lie in the folder (`python -m causalclip data collect`).

    each: of one source, class and kind, at most; which ones is settled by their hashes.

    Raises:
        BadTable: it is no table of the data set.
        BadManifest: none of its originals are in the folder.
    """
    found = {file.stem: file.relative_to(folder).as_posix() for file in Path(folder).glob("??/*.*")}
    cells: dict[tuple[str, str, str], list[Picture]] = defaultdict(list)
    for picture in read_table(table):
        if picture.split == split and _is_of_one_class(picture) and picture.sha256 in found:
            cells[_source(picture), picture.label, picture.kind].append(picture)
    if not cells:
        raise BadManifest(f"None of the originals of the split {split!r} are in {folder}: collect them first.")
    kept = [p for _, rows in sorted(cells.items()) for p in sorted(rows, key=lambda p: p.sha256)[:each]]
    return [_record(p, found[p.sha256]) for p in kept]


def _is_of_one_class(picture: Picture) -> bool:
    """Whether its label holds for every pixel: an edit counts only where all of it was made anew."""
    edited = picture.set == "edits2" and picture.label == "fake"
    return picture.set not in NOT_WHOLE and (not edited or picture.pasted == "no")


def _source(picture: Picture) -> str:
    """Whose pictures they are; in `broad`, which holds collections of many generators, what made them."""
    return (picture.generator or picture.family or picture.owner) if picture.set == "broad" else picture.owner


def _record(picture: Picture, path: str) -> Record:
    return Record(
        path=path,
        label=int(picture.label == "fake"),
        source=_source(picture),
        split=picture.split,
        set=picture.set,
        view="picture",
        picture=picture.sha256,
        family=picture.family or picture.owner,
        original=picture.path,
        owner=picture.owner,
        crop=picture.crop,
        grid=picture.grid,
        kind=picture.kind,
    )
