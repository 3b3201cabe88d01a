"""What the tables must obey, and which rows of the table a run is about."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from causalclip.images.hashes import near_pairs
from training.dataset.table import LABELS, Picture, Site, by_owner, read_table
from training.detector.data import BadManifest, Record

USED = ("train", "test")
NEAR_BITS = 4  # bits of 64 in which the perceptual hashes of near-copies may differ
_EXAMPLES = 2  # of evidence, the commonest
_NAMED = 8  # generators, the commonest
SAMPLE = 50
AN_OWNER = 15  # pictures of one owner in the sample
# pictures of one source and class, at most: more of the same teach nothing
# (training/tables/README.md)
A_CLASS = 25
A_GENERATOR = 200  # of a generator or collection of `broad`
NOT_WHOLE = "edits", "compare"  # sets that whole pictures are not learned from
_FREE = re.compile(
    r"\b(MIT|Apache|BSD|CC0|CC[- ]BY|Unlicense|ISC|MPL|A?GPL|LGPL|Unsplash|Pexels|public domain)",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"unknown|none|\bNC\b|non-?commercial|research|mixed|no derivat|\bND\b", re.IGNORECASE
)


def find_faults(
    pictures: Sequence[Picture], sites: Sequence[Site], reserved: frozenset[str] = frozenset()
) -> list[str]:
    """Return sentences on what breaks a rule; none for a table that may be used.

    A picture stands in the table once. No owner, picture or near-copy is in two of the splits that
    are used. Nothing reserved is in it. A pair is of one owner, and one of it is an edit. Every
    owner has its row among the sites.
    """
    times = Counter(p.sha256 for p in pictures)
    faults = [
        f"The file {sha256} stands in the table {n} times." for sha256, n in times.items() if n > 1
    ]
    for owner, rows in by_owner(pictures):
        if len(splits := sorted({p.split for p in rows} & {*USED})) > 1:
            faults.append(f"{owner} is in two splits: {', '.join(splits)}.")
    train, test = ([p for p in pictures if p.split == split and p.phash] for split in USED)
    for i, k in _near_copies(train, test):
        faults.append(
            f"{train[i].repo}: {train[i].path} is a near-copy of {test[k].repo}: {test[k].path}, a "
            "test's."
        )
    for repo in sorted({p.repo for p in pictures}):
        if is_reserved(repo, reserved):
            faults.append(f"{repo} is reserved: it must not be in the table.")
    pairs = defaultdict(list)
    for p in pictures:
        pairs[p.pair].append(p)
    for name, rows in pairs.items():
        if name and len({p.owner for p in rows}) > 1:
            faults.append(f"The pair {name} is of more than one owner.")
        if name and all(p.label == "real" for p in rows):
            faults.append(f"The pair {name} has no edited picture.")
    alone = {p.owner for p in pictures} ^ {s.owner for s in sites}
    faults += [f"{owner} is in only one of the two tables." for owner in sorted(alone)]
    miscounted = {s.owner for s in {*sites} ^ {*describe(pictures, sites)}} - alone
    return faults + [
        f"The row of {owner} does not count its pictures." for owner in sorted(miscounted)
    ]


def read_reserved(path: Path | None) -> frozenset[str]:
    """Read hashes of what must not be in the table: SHA-256 of "owner/name" and of "owner", in
    lower case, one a line."""
    return frozenset(path.read_text().split()) if path else frozenset()


def is_reserved(repo: str, reserved: frozenset[str]) -> bool:
    """Return whether a repository ("owner/name"), or all of its owner's, is kept aside."""
    name = repo.lower()
    return any(
        hashlib.sha256(text.encode()).hexdigest() in reserved
        for text in (name, name.partition("/")[0])
    )


def _near_copies(first: Sequence[Picture], second: Sequence[Picture]) -> list[tuple[int, int]]:
    """Return which of `first` are near-copies of which of `second`: pairs of indices, in order. All
    have hashes."""
    hashes = (
        np.array([int(p.phash, 16) for p in pictures], np.uint64) for pictures in (first, second)
    )
    return [(int(i), int(k)) for i, k in near_pairs(*hashes, bits=NEAR_BITS)]


def _kind_of(pictures: Sequence[Picture]) -> str:
    """Return what an owner's pictures are: a Site's kind."""
    if any(p.pair for p in pictures):
        return "edits"
    if sum(p.kind != "photo" for p in pictures) * 2 > len(pictures):
        return "kinds"
    labels = {p.label for p in pictures}
    if len(labels) == 2:
        return "both"
    return "real" if labels == {"real"} else "generated"


def describe(pictures: Iterable[Picture], known: Iterable[Site] = ()) -> list[Site]:
    """A row an owner: counted from the pictures, `shown` and `remarks` as they were known."""
    words = {site.owner: site for site in known}
    sites = []
    for owner, rows in by_owner(pictures):
        labels = Counter(p.label for p in rows)
        generators = _commonest(p.generator for p in rows if p.generator)
        more = [f"and {len(generators) - _NAMED} more"] if len(generators) > _NAMED else []
        before = words.get(owner)
        sites.append(
            Site(
                owner=owner,
                kind=_kind_of(rows),
                classes=", ".join(
                    f"{labels[name]} {name}" for name in ("real", "fake") if labels[name]
                ),
                shown=before.shown if before else "",
                generators="; ".join(generators[:_NAMED] + more),
                evidence=" / ".join(_commonest(p.evidence for p in rows)[:_EXAMPLES]),
                remarks=before.remarks if before else "",
                split="+".join(sorted({p.split for p in rows}, reverse=True)),
            )
        )
    return sites


def _commonest(texts: Iterable[str]) -> list[str]:
    times = Counter(texts)
    return sorted(times, key=lambda text: (-times[text], text))


def has_clear_licence(licence: str) -> bool:
    """Return whether a row's licence is one that lets anybody use the picture."""
    return bool(_FREE.search(licence)) and not _BOUND.search(licence)


def can_be_sampled(picture: Picture) -> bool:
    """Return whether it is a whole test photograph with a clear licence: what the sample is drawn
    from."""
    whole = (
        picture.kind == "photo"
        and not picture.crop
        and not picture.pair
        and not picture.set.startswith("edits")
    )
    return whole and picture.split == "test" and has_clear_licence(picture.licence)


def choose(
    pictures: Iterable[Picture], *, split: str = "", sites: int = 0, sample: bool = False
) -> list[Picture]:
    """The rows of a split; of so many of their owners, drawn by a hash; or the sample of SAMPLE
    test pictures."""
    rows = [p for p in pictures if not split or p.split == split]
    if sample:
        rows = _sample(rows)
    if sites:
        owners = set(sorted({p.owner for p in rows}, key=_lot)[:sites])
        rows = [p for p in rows if p.owner in owners]
    return rows


def _sample(pictures: Iterable[Picture]) -> list[Picture]:
    """Draw as many real as generated photographs of the test sets, with clear licences, few of each
    owner."""
    sample: list[Picture] = []
    of_owner: Counter[str] = Counter()
    of_label: Counter[str] = Counter()
    for p in sorted(pictures, key=lambda p: _lot(p.sha256)):
        if (
            can_be_sampled(p)
            and of_owner[p.owner] < AN_OWNER
            and of_label[p.label] < SAMPLE // len(LABELS)
        ):
            of_owner[p.owner] += 1
            of_label[p.label] += 1
            sample.append(p)
    return sample


def _lot(name: str) -> bytes:
    return hashlib.sha256(f"causalclip sample 1/{name}".encode()).digest()


def read_originals(
    table: str | Path,
    folder: str | Path,
    *,
    split: str = "train",
    each: int = A_CLASS,
    broad: int = A_GENERATOR,
) -> list[Record]:
    """The table's pictures of a split whose originals lie in the folder (`python -m training data
    collect`).

    each: of one source, class and kind, at most; which ones is settled by their hashes. broad: the
        same of the set `broad`, whose sources are generators and collections.

    Raises:
        BadTable: it is no table of the data set.
        BadManifest: none of its originals are in the folder.
    """
    files = {file.stem: file.relative_to(folder).as_posix() for file in Path(folder).glob("??/*.*")}
    cells: dict[tuple[str, str, str], list[Picture]] = defaultdict(list)
    for picture in read_table(table):
        if picture.split == split and _is_of_one_class(picture) and picture.sha256 in files:
            cells[_source(picture), picture.label, picture.kind].append(picture)
    if not cells:
        raise BadManifest(
            f"None of the originals of the split {split!r} are in {folder}: collect them first."
        )
    most = {True: broad, False: each}
    pictures = [
        p
        for _, rows in sorted(cells.items())
        for p in sorted(rows, key=lambda p: p.sha256)[: most[rows[0].set == "broad"]]
    ]
    return [_record(p, files[p.sha256]) for p in pictures]


def _is_of_one_class(picture: Picture) -> bool:
    """Return whether its label holds for every pixel: an edit counts only where all of it was made
    anew."""
    is_edit = picture.set == "edits2" and picture.label == "fake"
    return picture.set not in NOT_WHOLE and (not is_edit or picture.pasted == "no")


def _source(picture: Picture) -> str:
    """Return whose pictures they are; in `broad`, which holds collections of many generators, what
    made them."""
    return (
        (picture.generator or picture.family or picture.owner)
        if picture.set == "broad"
        else picture.owner
    )


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
