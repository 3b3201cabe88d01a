"""Records of pictures, from a manifest; folds of held-out groups, environments, pairs. Offline."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LIKE = "alike", "sites", "edits2"  # sets of training pictures of like content, whose held-out groups are owners
NEEDED = ("path", "label", "source", "split")


class BadManifest(ValueError):
    """A manifest does not hold what a run needs; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Record:
    """A picture to learn from, or to be judged.

    path: relative to a root. picture: the same for all files of one original. family: generators that share a backbone,
    or a site. original: the name of the file that it came from, where known. owner: whose site it is, where known.
    kind: photo, or what else it is (causalclip.dataset.table.KINDS). crop: "x0,y0,x1,y1", the only part to be used.
    grid: "2x2", a sheet of that many pictures. view: of manifests that hold two files a picture, "crop" for a window
    cut out of it.
    """

    path: str
    label: int
    source: str
    split: str
    set: str
    view: str
    picture: str
    family: str
    original: str = ""
    owner: str = ""
    crop: str = ""
    grid: str = ""
    kind: str = "photo"

    @property
    def group(self) -> str:
        """What must not be on both sides of a validation split: a family of generators, a site, a real collection."""
        if self.set in LIKE:
            return "site " + (self.owner or re.sub(r"-(ai|real)$", "", self.family))
        return f"family {self.family}" if self.label else f"collection {self.source}"


def read_manifest(path: str | Path) -> list[Record]:
    """Rows of a CSV: path, label (real or fake), source, split, and where they are known set, view, picture, family.

    Raises:
        BadManifest: it is no CSV text, a column or all rows are missing, or a label is neither real nor fake.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows, columns = list(reader), reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error):
        raise BadManifest(f"{Path(path).name} is not a CSV table in UTF-8.") from None
    missing = [name for name in NEEDED if name not in columns]
    if missing or not rows:
        raise BadManifest(
            f"The manifest needs rows and the columns {', '.join(NEEDED)}; missing: {', '.join(missing) or 'rows'}."
        )
    wrong = sorted({r["label"] for r in rows} - {"real", "fake"})
    if wrong:
        raise BadManifest(f"Labels must be real or fake; the manifest also has {wrong[:5]}.")
    return [
        Record(
            path=r["path"],
            label=int(r["label"] == "fake"),
            source=r["source"],
            split=r["split"],
            set=r.get("set") or "all",
            view=r.get("view") or "picture",
            picture=r.get("picture") or r["path"],
            family=r.get("family") or r["source"],
            original=r.get("repo_path") or "",
        )
        for r in rows
    ]


def assign_folds(records: Iterable[Record], *, folds: int = 5, seed: int = 0) -> dict[str, int]:
    """Whole groups (families, sites, collections) to folds, balanced in every set and class: group -> fold."""
    cells = sorted({(r.set, r.label) for r in records})
    counts: dict[str, np.ndarray] = {}
    seen: set[str] = set()
    for r in records:
        if r.picture not in seen:
            seen.add(r.picture)
            counts.setdefault(r.group, np.zeros(len(cells)))[cells.index((r.set, r.label))] += 1
    names = sorted(counts)
    np.random.default_rng(seed).shuffle(names)
    total = np.sum(list(counts.values()), axis=0)
    load = np.zeros((folds, len(cells)))
    fold_of = {}
    for name in sorted(names, key=lambda n: -counts[n].sum()):
        spread = [((load + np.eye(folds)[f][:, None] * counts[name]) / total).std(0).sum() for f in range(folds)]
        fold_of[name] = int(np.argmin(spread))
        load[fold_of[name]] += counts[name]
    return fold_of


def assign_environments(records: Sequence[Record], *, seed: int = 0) -> np.ndarray:
    """The environment of every record, [N]: its site, collection or family of generators.

    One that shows a single class is joined with one of the same set that shows the other, so that in each environment
    both can be told apart; what is left over is spread over the environments of its set.
    """
    rng = np.random.default_rng(seed)
    classes: dict[tuple[str, str], set[int]] = {}
    for r in records:
        classes.setdefault((r.set, r.group), set()).add(r.label)
    number: dict[tuple[str, str], int] = {}
    for name in sorted({s for s, _ in classes}):
        groups = sorted(g for s, g in classes if s == name)
        rng.shuffle(groups)
        both, real, generated = ([g for g in groups if classes[name, g] == kinds] for kinds in ({0, 1}, {0}, {1}))
        first, count = len(set(number.values())), len(both) + max(1, min(len(real), len(generated)))
        for i, group in enumerate(both):
            number[name, group] = first + i
        joined = max(1, count - len(both))
        for kind in (real, generated):
            for i, group in enumerate(kind):
                number[name, group] = first + len(both) + i % joined
    return np.array([number[r.set, r.group] for r in records])


def find_pairs(records: Sequence[Record]) -> np.ndarray:
    """Counterfactual pairs among records of one view: rows of (real, its AI edit), [P, 2].

    A site that shows both under one name says so by it: `06-beach-real.jpg` and `06-beach-fake.jpg`.
    """
    by_name: dict[tuple[str, str], dict[int, int]] = {}
    for row, record in enumerate(records):
        name = Path(record.original).stem.lower()
        stem = re.sub(r"(^|[-_])(real|fake|ai)($|[-_])", "-", name)
        if record.set in LIKE and stem != name and re.search("[a-z]", stem):  # a number alone says nothing
            by_name.setdefault((record.group, stem), {})[record.label] = row
    pairs = [(both[0], both[1]) for both in by_name.values() if len(both) == 2]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
