"""Adding drafts whose labels a person confirmed to the table: what is known already stays out, splits are drawn."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from causalclip.dataset.hashes import NEAR, as_bits
from causalclip.dataset.rules import is_reserved
from causalclip.dataset.sites import Site, describe
from causalclip.dataset.splits import settle, split_new
from causalclip.dataset.table import COLUMNS, BadTable, Picture, as_picture

MOST = 25  # pictures of a class and owner
_EMPTY = {"set": "sites", "kind": "photo", "licence": "none stated"}
_SETS = {"alike": "sites", "fresh": "sites", "broad": "sites", "edits": "edits2"}  # those that were measured on stay


@dataclass(frozen=True, slots=True)
class Added:
    """Both tables with what was added, and why the other rows of the drafts were left out, with their numbers."""

    pictures: list[Picture]
    sites: list[Site]
    new: int
    left_out: Counter[str]


def read_draft(path: Path) -> list[Picture]:
    """The rows of a draft: the table's columns by name, of which those that are not there are empty, or the usual.

    Raises BadTable with the line and what is wrong with it: a label that nobody confirmed is wrong, too.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        if missing := {"label", "repo", "sha256", "evidence"} - set(reader.fieldnames or ()):
            raise BadTable(f"{path.name} lacks the columns {', '.join(sorted(missing))}.")
        rows = list(reader)
    return [_completed(row, path.name, line) for line, row in enumerate(rows, 2)]


def _completed(row: dict[str, str], name: str, line: int) -> Picture:
    owner = row["repo"].partition("/")[0].lower()
    full = {column: row.get(column) or _EMPTY.get(column, "") for column in COLUMNS}
    full |= {"site": owner, "family": full["family"] or owner, "split": "train"}
    full |= {"set": _SETS.get(full["set"], full["set"]), "pasted": full["pasted"].replace("unknown", "")}
    try:
        return as_picture(full, line)
    except BadTable as error:
        raise BadTable(f"{name}: {error}") from None


def read_words(path: Path) -> list[Site]:
    """What was written down about owners: a CSV with owner, shown (or shows) and remarks."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, restval=""))
    if rows and not ("owner" in rows[0] and {"shown", "shows"} & set(rows[0])):
        raise BadTable(f"{path.name} needs the columns owner and shown.")
    blank = dict.fromkeys(("kind", "classes", "generators", "evidence", "split"), "")
    shown = [r.get("shown") or r.get("shows", "") for r in rows]
    return [
        Site(owner=r["owner"].lower(), shown=what, remarks=r.get("remarks", ""), **blank)
        for r, what in zip(rows, shown, strict=True)
    ]


def add(
    drafts: Sequence[Picture],
    pictures: Sequence[Picture],
    sites: Iterable[Site],
    *,
    words: Iterable[Site] = (),
    reserved: frozenset[str] = frozenset(),
) -> Added:
    """The tables with what of the drafts is new.

    Left out are reserved repositories, files and near-copies of pictures that are there, and what is more than MOST of
    a class and owner. A picture and its edits may look alike.
    """
    left_out: Counter[str] = Counter()
    kept = _few_of_each(_unknown(_allowed(drafts, reserved, left_out), pictures, left_out), left_out)
    alone = {name for name, n in Counter(p.pair for p in kept).items() if n == 1}
    kept = [replace(p, pair="") if p.pair in alone else p for p in kept]
    rows = settle([*pictures, *split_new(kept, pictures)])
    described = [*sites, *words]
    return Added(rows, describe(rows, described), len(kept), left_out)


def _allowed(drafts: Iterable[Picture], reserved: frozenset[str], left_out: Counter[str]) -> list[Picture]:
    names = {repo: is_reserved(repo, reserved) for repo in {p.repo for p in drafts}}
    kept = [p for p in drafts if not names[p.repo]]
    left_out["reserved"] += len(list(drafts)) - len(kept)
    return kept


def _unknown(drafts: Iterable[Picture], pictures: Iterable[Picture], left_out: Counter[str]) -> list[Picture]:
    """Drafts without files and near-copies of what is in the table, or came before in the drafts."""
    known = list(pictures)
    files = {p.sha256 for p in known}
    hashes, pairs = [p.phash for p in known if p.phash], [p.pair for p in known if p.phash]
    kept: list[Picture] = []
    bits = as_bits(hashes)
    for p in sorted(drafts, key=lambda p: (not p.pair, p.order)):  # a picture counts first as one of a pair
        near = np.bitwise_count(bits ^ np.uint64(int(p.phash or "0", 16))) <= NEAR if p.phash else np.zeros(0, bool)
        if p.sha256 in files:
            left_out["known"] += 1
        elif any(not p.pair or pairs[i] != p.pair for i in np.flatnonzero(near)):
            left_out["near-copy"] += 1
        else:
            kept.append(p)
            files.add(p.sha256)
            if p.phash:
                bits = np.append(bits, as_bits([p.phash]))
                pairs.append(p.pair)
    return kept


def _few_of_each(pictures: Iterable[Picture], left_out: Counter[str]) -> list[Picture]:
    of: Counter[tuple[str, str, str]] = Counter()
    kept = []
    for p in pictures:
        of[p.owner, p.label, p.set] += 1
        if of[p.owner, p.label, p.set] > MOST and not p.pair:
            left_out["more than enough of a class and owner"] += 1
        else:
            kept.append(p)
    return kept
