"""What is in the table, counted: by set, split and owner, and where the files of one class differ from the other."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from causalclip.dataset.sites import kind_of
from causalclip.dataset.table import LABELS, Picture, by_owner

TOLD = 0.9  # of a class in one format, of which the other class has hardly any
_FORMAT = {"MPO": "JPEG"}


def survey(pictures: Sequence[Picture]) -> dict[str, Any]:
    """Plain numbers: of each set, of each owner, and of the owners whose classes differ in their files."""
    of_set: dict[str, list[Picture]] = defaultdict(list)
    for p in pictures:
        of_set[p.set].append(p)
    return {
        "pictures": len(pictures),
        "owners": len({p.owner for p in pictures}),
        "sets": {name: _set(rows) for name, rows in sorted(of_set.items())},
        "sites": {owner: _site(rows) for owner, rows in by_owner(pictures)},
        "owners_whose_files_tell_the_classes_apart": differing(pictures),
    }


def _set(rows: Sequence[Picture]) -> dict[str, Any]:
    return {
        "pictures": {f"{split} {label}": n for (split, label), n in sorted(_count(rows).items())},
        "owners": dict(sorted(Counter(p.split for p in {(p.owner, p.split): p for p in rows}.values()).items())),
        **{label: _files([p for p in rows if p.label == label]) for label in LABELS},
    }


def _site(rows: Sequence[Picture]) -> str:
    """An owner's classes, formats and sizes in a line."""
    told = []
    for label in LABELS:
        of = [p for p in rows if p.label == label]
        if of:
            formats = ", ".join(f"{n} {name}" for name, n in Counter(p.format for p in of).most_common())
            told.append(f"{label}: {formats}, {median(p.width for p in of):.0f}x{median(p.height for p in of):.0f}")
    return "; ".join(told)


def _count(rows: Iterable[Picture]) -> Counter[tuple[str, str]]:
    return Counter((p.split, p.label) for p in rows)


def _files(rows: Sequence[Picture]) -> dict[str, Any]:
    if not rows:
        return {}
    return {
        "formats": dict(Counter(p.format for p in rows).most_common()),
        "median_width": median(p.width for p in rows),
        "median_height": median(p.height for p in rows),
        "square": round(sum(p.width == p.height for p in rows) / len(rows), 3),
    }


def differing(pictures: Iterable[Picture]) -> dict[str, str]:
    """Owners of both classes of which a format, or a size, says which is which: owner -> what does."""
    told = {}
    for owner, rows in by_owner(pictures):
        values = {"format": [_FORMAT.get(p.format, p.format) for p in rows]}
        values["size"] = [f"{p.width}x{p.height}" for p in rows]
        signs = [
            f"{name} {value}: {real:.0%} of real, {fake:.0%} of fake"
            for name, of in values.items()
            for value, real, fake in _shares(rows, of)
            if max(real, fake) >= TOLD and min(real, fake) <= 1 - TOLD
        ]
        if signs and kind_of(rows) == "both":
            told[owner] = "; ".join(signs)
    return told


def _shares(rows: Sequence[Picture], values: Sequence[str]) -> Iterator[tuple[str, float, float]]:
    n = Counter(p.label for p in rows)
    of = Counter((p.label, value) for p, value in zip(rows, values, strict=True))
    for value in sorted(set(values)):
        yield value, of["real", value] / max(1, n["real"]), of["fake", value] / max(1, n["fake"])
