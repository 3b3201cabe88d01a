"""Which rows a run is about: a split, some sites, or the small sample with clear licences."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from causalclip.dataset.table import LABELS, Picture

SAMPLE = 50
_A_SITE = 15  # pictures of one owner in the sample
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
        if can_be_sampled(p) and of_owner[p.owner] < _A_SITE and of_label[p.label] < SAMPLE // len(LABELS):
            of_owner[p.owner] += 1
            of_label[p.label] += 1
            drawn.append(p)
    return drawn


def _lot(name: str) -> bytes:
    return hashlib.sha256(f"causalclip sample 1/{name}".encode()).digest()
