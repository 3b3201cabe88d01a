"""Blind spots of a verdict's map: places without the fine detail that generators and cameras
leave traces in.

Where a place has none (flat), or has lost it to the ends of the scale (blown
out, black) or to compression, a map's level is the model's guess from around it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalclip.images.jpeg import BLOCK, block_grid, luminance
from causalclip.maps.attribution import covered_cells

if TYPE_CHECKING:
    from causalclip.detection import Detection

Reason = Literal["flat", "blown out", "black", "too compressed"]
MIN_CELL_SIDE = 16  # px
MAX_CELLS = 96  # on the long side
# px of a cell's height that are read at most, so that 50 million pixels cost little more than one
MAX_READ_HEIGHT = 24
# of a cell's pixels whose curvature is no more than rounding leaves (1 level): then it is flat
MIN_FLAT_SHARE = 0.9
BRIGHT, DARK = 250, 5  # levels of luminance from which, and up to which, nothing is left of a pixel
MIN_LOST_SHARE = 0.5  # of a cell's pixels that are at an end of the scale
# the steps across the borders of blocks against all others, of a place and its neighbours, from
# which compression has left nothing but blocks
MIN_BLOCK_STEPS = 2.0


def low_information(pixels: np.ndarray) -> np.ndarray:
    """Return where a map of a picture, uint8 RGB [H, W, 3], cannot know.

    Returns:
        bool [rows, columns], a grid over all of the picture.
    """
    return np.any(list(reasons(pixels).values()), axis=0)


def unknown_share(detection: Detection, grid: np.ndarray | None) -> float:
    """Return the share of the picture, in [0, 1], of which its map cannot know.

    grid: `low_information` of the picture; what lies outside every view counts, too. None where
    nobody looked: then the share is 0.
    """
    if grid is None:
        return 0.0
    rows, columns = grid.shape
    return float((grid | ~covered_cells(detection, columns=columns, rows=rows)).mean())


def reasons(pixels: np.ndarray) -> dict[Reason, np.ndarray]:
    """Return each reason's places in a picture, uint8 RGB [H, W, 3]: bool [rows, columns] each."""
    # 1. What each cell is like
    down, across = (_edges(side, max(pixels.shape[:2])) for side in pixels.shape[:2])
    phase = block_grid(pixels)
    rows = [
        _measure_row(pixels, top, bottom, across, phase) for top, bottom in itertools.pairwise(down)
    ]
    quiet, bright, dark, border, inner = np.moveaxis(np.array(rows), 1, 0)

    # 2. Where that leaves nothing to judge
    steps = (_neighbourhood_mean(border) + 0.25) / (_neighbourhood_mean(inner) + 0.25)
    return {
        "flat": _majority(quiet >= MIN_FLAT_SHARE),
        "blown out": bright >= MIN_LOST_SHARE,
        "black": dark >= MIN_LOST_SHARE,
        "too compressed": _majority(steps >= MIN_BLOCK_STEPS)
        if phase
        else np.zeros_like(quiet, bool),
    }


def _edges(side: int, long: int) -> np.ndarray:
    """Return where cells begin and end along a side, in px."""
    cells = max(1, min(MAX_CELLS, long // MIN_CELL_SIDE) * side // long)
    return np.linspace(0, side, cells + 1).astype(int)


def _measure_row(
    pixels: np.ndarray, top: int, bottom: int, across: np.ndarray, phase: tuple[int, int] | None
) -> np.ndarray:
    """Measure a row of cells.

    Returns:
        [5, columns]: the shares that are quiet, bright and dark; the mean step across the borders
        of blocks, and elsewhere.
    """
    strip = luminance(pixels[top : min(bottom, top + MAX_READ_HEIGHT)]).astype(np.int16)

    # 1. Where the luminance bends more than by rounding
    curvature = np.ones(strip.shape, bool)
    curvature[:, 1:-1] = np.abs(np.diff(strip, n=2, axis=1)) > 1
    curvature[1:-1] |= np.abs(np.diff(strip, n=2, axis=0)) > 1
    curvature[:, [0, -1]] = curvature[:, [1, -2]]

    # 2. The steps from column to column, and which of them cross the border of a block
    steps = np.abs(np.diff(strip, axis=1)).mean(0)
    steps = np.append(steps, steps[-1:])
    borders = np.zeros(strip.shape[1], bool)
    borders[(phase or (0, 0))[1] :: BLOCK] = True

    # 3. Cell by cell
    planes = (~curvature).mean(0), (strip >= BRIGHT).mean(0), (strip <= DARK).mean(0)
    shares = [_mean(plane, across, np.ones(len(plane))) for plane in planes]
    return np.array([*shares, _mean(steps, across, borders), _mean(steps, across, ~borders)])


def _mean(values: np.ndarray, across: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of columns in each cell, [columns]."""
    weight = weights.astype(float)
    total = np.add.reduceat(values * weight, across[:-1])
    return np.asarray(total / np.maximum(np.add.reduceat(weight, across[:-1]), 1e-9))


def _neighbourhood_mean(values: np.ndarray) -> np.ndarray:
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(values, 3, mode="nearest"))


def _majority(cells: np.ndarray) -> np.ndarray:
    """Return cells as most of their neighbours are, so that no single ones stand out."""
    return _neighbourhood_mean(cells.astype(float)) > 0.5
