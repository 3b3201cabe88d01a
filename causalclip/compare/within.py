"""The picture inside a screenshot or a page: compared instead of the page, whose words no copy shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from causalclip.compare.alignment import Aligned
from causalclip.pictures.inside import find_pictures

Box = tuple[int, int, int, int]  # left, top, right, bottom
Parts = tuple[Box | None, Box | None]  # of either picture; None: the whole of it
Sizes = tuple[tuple[int, int], tuple[int, int]]
MOST = 2  # pictures inside one that are tried, the largest first


def parts(a: np.ndarray, b: np.ndarray) -> Iterator[Parts]:
    """Which parts of two pictures are tried; none of two plain photographs."""
    of_a, of_b = ([None, *(found.box for found in find_pictures(p)[:MOST])] for p in (a, b))
    yield from (pair for pair in product(of_a, of_b) if any(pair))


def cut(pixels: np.ndarray, box: Box | None) -> np.ndarray:
    """What is in a box."""
    if box is None:
        return pixels
    left, top, right, bottom = box
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def regions(boxes: Parts, sizes: Sizes, *, mirrored: bool) -> tuple[Box, Box]:
    """What is compared of either picture, the whole of (width, height) if it is; of the second as it is mirrored."""
    (first, second), (of_a, of_b) = boxes, sizes
    second = (of_b[0] - second[2], second[1], of_b[0] - second[0], second[3]) if second and mirrored else second
    return first or (0, 0, *of_a), second or (0, 0, *of_b)


def in_whole(aligned: Aligned, compared: tuple[Box, Box]) -> Aligned:
    """Parts that were laid over each other, with the grid's places in the whole pictures."""
    to_a, to_b = (_shift(box) @ to for box, to in zip(compared, (aligned.to_a, aligned.to_b), strict=True))
    return replace(aligned, to_a=to_a, to_b=to_b)


def _shift(box: Box) -> np.ndarray:
    return np.array([[1, 0, box[0]], [0, 1, box[1]], [0, 0, 1]], np.float64)
