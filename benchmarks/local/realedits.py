"""Edits that people published, against their originals: is what was changed framed, and how well?

Of the set `edits`, and of `edits2` those that were pasted back or of which that is not known. What really differs is
known from the pair: where both align (benchmarks.detection.edits by shifting, benchmarks.local.regions.pairs by the
comparison's own alignment) and most of the picture was kept.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.detection.edits import edited_region, find_edits, open_pair
from benchmarks.local.regions.pairs import compare_pair, open_picture, pairs_of
from causalclip.dataset.table import PICTURES, read_table

Real = tuple[
    str, np.ndarray, np.ndarray, np.ndarray | str
]  # name, edit, original, mask of the edit or why there is none


def edits(root: Path) -> Iterator[Real]:
    """The set `edits` of the packed test pictures."""
    named: set[str] = set()
    for pair in find_edits(root / "manifest.csv"):
        name, number = pair.name, 2
        while name in named:
            name, number = f"{pair.name} ({number})", number + 1
        named.add(name)
        edit, original = open_pair(pair, root)
        yield name, np.asarray(edit), np.asarray(original), edited_region(edit, original)


def edits2(originals: Path) -> Iterator[Real]:
    """The test pairs of `edits2` that were not made anew, of the originals that the table names."""
    for edit, original in sorted(pairs_of(read_table(PICTURES), "test"), key=lambda pair: pair[0].sha256):
        if edit.pasted == "no" or not all(
            any((originals / p.sha256[:2]).glob(f"{p.sha256}.*")) for p in (edit, original)
        ):
            continue
        pixels = _small(open_picture(edit, originals)), _small(open_picture(original, originals))
        known = compare_pair(*pixels)
        mask = known if isinstance(known, str) else known.mask
        yield f"{edit.owner} {edit.sha256[:8]}{', pasted back' if edit.pasted else ''}", *pixels, mask


def _small(picture: Image.Image, side: int = 1024) -> np.ndarray:
    picture.thumbnail((side, side))
    return np.asarray(picture)


def covered(boxes: list[tuple[int, int, int, int]], mask: np.ndarray) -> float:
    """Intersection over union of all boxes together with a mask."""
    framed = np.zeros(mask.shape, bool)
    for left, top, right, bottom in boxes:
        framed[top:bottom, left:right] = True
    union = (framed | mask).sum()
    return float((framed & mask).sum() / union) if union else 0.0
