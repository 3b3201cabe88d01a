"""What the table must obey, as far as it can be seen without a picture."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from causalclip.dataset.hashes import near_pairs
from causalclip.dataset.sites import Site
from causalclip.dataset.table import Picture

USED = ("train", "test")


def find_faults(
    pictures: Sequence[Picture], sites: Sequence[Site], reserved: frozenset[str] = frozenset()
) -> list[str]:
    """Sentences on what breaks a rule; nothing for a table that may be used.

    A picture stands in the table once. No owner, picture or near-copy is in two of the splits that are used. Nothing
    reserved is in it. A pair is of one owner, and one of it is an edit. Every owner has its row among the sites.
    """
    return [
        *_repeated(pictures),
        *_owners(pictures),
        *_copies(pictures),
        *_reserved(pictures, reserved),
        *_pairs(pictures),
        *_sites(pictures, sites),
    ]


def read_reserved(path: Path | None) -> frozenset[str]:
    """Hashes of what must not be in the table: SHA-256 of "owner/name" and of "owner", in lower case, one a line."""
    return frozenset(path.read_text().split()) if path else frozenset()


def is_reserved(repo: str, reserved: frozenset[str]) -> bool:
    """Whether a repository ("owner/name"), or all of its owner's, is kept aside."""
    name = repo.lower()
    return any(hashlib.sha256(text.encode()).hexdigest() in reserved for text in (name, name.partition("/")[0]))


def _repeated(pictures: Iterable[Picture]) -> list[str]:
    times = Counter(p.sha256 for p in pictures)
    return [f"The file {sha256} stands in the table {n} times." for sha256, n in times.items() if n > 1]


def _owners(pictures: Iterable[Picture]) -> list[str]:
    splits = defaultdict(set)
    for p in pictures:
        if p.split in USED:
            splits[p.owner].add(p.split)
    return [f"{owner} is in two splits: {', '.join(sorted(s))}." for owner, s in splits.items() if len(s) > 1]


def _copies(pictures: Iterable[Picture]) -> list[str]:
    of = {split: [p for p in pictures if p.split == split and p.phash] for split in USED}
    faults = []
    for a, b in combinations(USED, 2):
        for i, k in near_pairs([p.phash for p in of[a]], [p.phash for p in of[b]]):
            one, other = of[a][i], of[b][k]
            faults.append(f"{one.repo}: {one.path} ({a}) is a near-copy of {other.repo}: {other.path} ({b}).")
    return faults


def _reserved(pictures: Iterable[Picture], reserved: frozenset[str]) -> list[str]:
    repos = sorted({p.repo for p in pictures})
    return [f"{repo} is reserved: it must not be in the table." for repo in repos if is_reserved(repo, reserved)]


def _pairs(pictures: Iterable[Picture]) -> list[str]:
    of = defaultdict(list)
    for p in pictures:
        if p.pair:
            of[p.pair].append(p)
    faults = []
    for name, rows in of.items():
        if len({p.owner for p in rows}) > 1:
            faults.append(f"The pair {name} is of more than one owner.")
        if all(p.label == "real" for p in rows):
            faults.append(f"The pair {name} has no edited picture.")
    return faults


def _sites(pictures: Iterable[Picture], sites: Iterable[Site]) -> list[str]:
    owners, described = {p.owner for p in pictures}, {s.owner for s in sites}
    return [f"{owner} is in only one of the two tables." for owner in sorted(owners ^ described)]
