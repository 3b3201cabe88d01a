"""Changed parts: connected blocks that differ far more than compression explains."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import label, maximum_filter, minimum_filter

from causalclip.compare.blocks import BLOCK, Blocks

# z that a change reaches somewhere, and everywhere. These numbers were set on copies of training pictures that nobody
# changed, by owner; docs/tried.md says how.
HIGH, LOW = 27.0, 6.0
# z times the share of its structure that a change takes away: a part of a copy that nobody changed differs in tone or
# sharpness and keeps its structure.
LOST = 1.5
# Less z is enough for a part that is so large a share of the picture: where compression alone differs, it does so in
# specks.
WIDE, WIDELY = 0.011, 14.0
# Where a textured block shows something else altogether, however coarse both copies are: its structure's correlation is
# below FOREIGN in so many blocks that touch.
FOREIGN, TOGETHER = 0.65, 3
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


def outline(mask: np.ndarray, to_picture: np.ndarray, side: int = BLOCK) -> np.ndarray:
    """The corners [K, 2], in pixels of a picture, of the convex hull of a part's blocks; side: a block's, in pixels."""
    rows, columns = np.nonzero(mask)
    corners = [
        np.stack([columns * side / 2 + dx, rows * side / 2 + dy], 1)
        for dx in (side / 4, side * 3 / 4)
        for dy in (side / 4, side * 3 / 4)
    ]
    hull = cv2.convexHull(np.concatenate(corners).astype(np.float32))
    return np.asarray(cv2.perspectiveTransform(hull.astype(np.float64), to_picture)[:, 0])
