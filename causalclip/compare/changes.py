"""Changed parts: connected blocks that differ far more than compression explains."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import find_objects, label, maximum_filter, minimum_filter

from causalclip.compare.blocks import BLOCK, STRIDE, Blocks

# z that a change reaches somewhere, and everywhere; set by hand on about 70 copies of training pictures.
HIGH, LOW = 18.0, 6.0
# z times the share of its structure that a change takes away: a part of a copy that nobody changed differs in tone or
# sharpness and keeps its structure (0.36 at most in 52 copies of training pictures).
LOST = 0.6
# Less z is enough for a part that is so large a share of the picture: where compression alone differs, it does so in
# specks (0.0043 at most in the same 52 copies).
WIDE, WIDELY = 0.01, 10.0
# Where a textured block shows something else altogether, however coarse both copies are: its structure's correlation is
# below FOREIGN in so many blocks that touch (none of 29 copies that nobody changed has one below 0.65).
FOREIGN, TOGETHER = 0.4, 4
SMALLEST = 0.001  # of the picture
MOST = 24  # changes that are told one by one, the largest first


@dataclass(frozen=True, slots=True)
class Part:
    """A changed part on the grid of blocks.

    mask: bool [rows, columns]. strength: its highest smoothed z. lost: strength x (1 - its mean similarity).
    """

    mask: np.ndarray
    strength: float
    lost: float


def find_parts(blocks: Blocks, *, high: float = HIGH, low: float = LOW, lost: float = LOST) -> list[Part]:
    """The changed parts, strongest first: over `low` everywhere, and over `high` somewhere, wide, or of other shape."""
    smooth = smoothed(blocks)
    foreign = blocks.textured & (blocks.similarity < FOREIGN) & minimum_filter(blocks.inside, 3, mode="constant")
    groups, count = label((smooth > low) | foreign, np.ones((3, 3)))
    cells = blocks.inside.sum()
    parts = []
    for i in range(1, count + 1):
        mask = groups == i
        peak = float(smooth[mask].max())
        part = Part(mask, peak, peak * (1 - float(blocks.similarity[mask].mean())))
        needed = min(high, WIDELY) if mask.sum() >= WIDE * cells else high
        changed = part.strength > needed or part.lost > lost or foreign[mask].sum() >= TOGETHER
        if changed and mask.sum() >= max(2, SMALLEST * cells):
            parts.append(part)
    return sorted(parts, key=lambda part: -part.strength)[:MOST]


def smoothed(blocks: Blocks) -> np.ndarray:
    """z where a block and its neighbours agree: the mean of the weaker half of each 2 x 2 (opening), edges left out."""
    inside = minimum_filter(blocks.inside, 3, mode="constant")
    opened = maximum_filter(minimum_filter(blocks.z, 2), 2, origin=-1)
    return np.where(inside, opened, 0)


def outline(mask: np.ndarray, to_picture: np.ndarray) -> np.ndarray:
    """The corners [K, 2], in pixels of a picture, of the convex hull of a part's blocks."""
    rows, columns = np.nonzero(mask)
    corners = [
        np.stack([columns * STRIDE + dx, rows * STRIDE + dy], 1)
        for dx in (BLOCK / 4, BLOCK * 3 / 4)
        for dy in (BLOCK / 4, BLOCK * 3 / 4)
    ]
    hull = cv2.convexHull(np.concatenate(corners).astype(np.float32))
    return np.asarray(cv2.perspectiveTransform(hull.astype(np.float64), to_picture)[:, 0])


def bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a mask."""
    found: tuple[slice, slice] = find_objects(mask.astype(np.int8))[0]
    return found
