"""The table's pictures as training takes them: records of those originals that were collected. Offline."""

from collections import defaultdict
from pathlib import Path

from causalclip.dataset.table import Picture, read_table
from causalclip.training.data import BadManifest, Record

A_CLASS = 25  # pictures of one source and class, at most: more of the same teach nothing (data/README.md)
ASIDE = "edits", "compare"  # sets that whole pictures are not learned from


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
    return picture.set not in ASIDE and (not edited or picture.pasted == "no")


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
