"""Which owners are trained on, and which ones test: drawn once by a seed, never chosen."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from causalclip.dataset.hashes import near_pairs
from causalclip.dataset.sites import kind_of
from causalclip.dataset.table import Picture, by_owner

SALT = "causalclip sites 1"
DRAWN = ("sites", "kinds", "edits2")  # the sets whose owners were drawn
TESTED = {"edits": 8, "both": 5, "real": 5, "generated": 5, "kinds": 5}  # one owner of so many, by kind


def draw(kinds: dict[str, str], drawn: dict[str, tuple[int, int]] | None = None, *, salt: str = SALT) -> set[str]:
    """The owners that test, of `kinds` (owner -> kind): in each kind those with the smallest hashes.

    drawn: by kind, how many owners were drawn from before, and how many of them test. So many more are drawn that of
    all in a kind one of TESTED tests, rounded up. What pictures look like, or how hard they are, has no part in it.
    """
    of_kind: dict[str, list[str]] = defaultdict(list)
    for owner, kind in kinds.items():
        of_kind[kind].append(owner)
    tested: set[str] = set()
    for kind, owners in of_kind.items():
        before, testing = (drawn or {}).get(kind, (0, 0))
        owners.sort(key=lambda owner: hashlib.sha256(f"{salt}/{owner}".encode()).digest())
        tested.update(owners[: max(0, -(-(before + len(owners)) // TESTED[kind]) - testing)])
    return tested


def split_new(pictures: Iterable[Picture], known: Iterable[Picture]) -> list[Picture]:
    """New pictures with their split: drawn for owners that `known` lacks; the owner's own where it is known."""
    owners = dict(by_owner(known))
    before = {owner: {p.split for p in rows} for owner, rows in owners.items()}
    drawn: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for owner, rows in owners.items():
        if any(p.set in DRAWN for p in rows):
            n, testing = drawn[kind_of(rows)]
            drawn[kind_of(rows)] = n + 1, testing + ("test" in before[owner])
    new = list(pictures)
    tested = draw({owner: kind_of(rows) for owner, rows in by_owner(new) if owner not in before}, drawn)
    return [replace(p, split=_split(p.owner, before, tested)) for p in new]


def _split(owner: str, before: dict[str, set[str]], tested: set[str]) -> str:
    if owner not in before:
        return "test" if owner in tested else "train"
    return "aside" if "test" in before[owner] else "train"  # a test set that was measured on does not grow


def settle(pictures: Iterable[Picture]) -> list[Picture]:
    """The same rows; a training row goes aside where its owner, or a near-copy of it, is in a test set."""
    rows = list(pictures)
    test = [p for p in rows if p.split == "test"]
    owners = {p.owner for p in test}
    train = [p for p in rows if p.split == "train"]
    hashed, tested = [p for p in train if p.phash], [p.phash for p in test if p.phash]
    copies = {hashed[i].sha256 for i, _ in near_pairs([p.phash for p in hashed], tested)}
    return [
        replace(p, split="aside") if p.split == "train" and (p.owner in owners or p.sha256 in copies) else p
        for p in rows
    ]
