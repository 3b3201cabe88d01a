"""Traces of a file, place by place: earlier compression, its grid, noise, colour and mosaic; each cell in numbers.

A picture is read as it is, without scaling: scaling and saving anew wipe these traces out, so that what was replaced
and what was there before differ most in files that nothing happened to since. A cell is a square of 32 px or more.

Comparing an earlier compression's steps from place to place: Bianchi and Piva, "Image forgery localization via
block-grained analysis of JPEG artifacts", IEEE TIFS 7(3), 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from causalclip.parts.grid import BLOCK, Grid, Place, bends, find_lines
from causalclip.parts.noise import content, mosaic, noise

CELLS = (1400, 32), (2800, 64), (10**9, 96)  # longest side up to: px of a cell
BAND = 1_000_000  # pixels that are read at once, which bounds the memory
NAMES = (
    *("zero", "comb", "comb_n", "comb_z"),
    *(f"{name}{scale}" for scale in range(3) for name in ("noise", "low", "mean")),
    *("chroma_r", "chroma2_r", "chroma_b", "chroma2_b", "cfa"),
    *("level", "texture", "flat", "clip"),
    *("lag_x", "lag_y", "lag_d", "lag_x2", "lag_y2"),
    *("band1", "band3", "band6", "band9"),
    *("gy", "gyo", "gx", "gxo"),
)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Traces:
    """cells: float32 [len(names), rows, columns]. whole: float32 [5], of the picture: how much more of its coefficients
    are 0 on its grid than off it, the mean strength of an earlier compression, of grid lines down and across, cell."""

    names: tuple[str, ...]
    cells: np.ndarray
    whole: np.ndarray
    cell: int


def cell_of(height: int, width: int) -> int:
    """px of a cell's side in a picture of that size."""
    return next(px for side, px in CELLS if max(height, width) <= side)


def read_traces(pixels: np.ndarray, table: np.ndarray | None) -> Traces:
    """Of a picture (uint8 RGB [H, W, 3]) as its file holds it. table: a JPEG's luminance quantisation [64]."""
    cell = cell_of(*pixels.shape[:2])
    rows, columns = (n // cell for n in pixels.shape[:2])
    seen = pixels[: rows * cell, : columns * cell]
    luma = np.concatenate([seen[top:bottom].astype(np.float32) @ LUMA - 128 for top, bottom in _strips(seen.shape)])
    lines = find_lines(luma)
    (down, _), (across, _) = lines
    grid = Grid(luma, cell, (down, across))
    found = grid.history(table) | grid.bands() | _banded(seen, luma, cell, grid.at)
    whole = np.array([grid.gain, grid.strength, *(clear for _, clear in lines), cell], np.float32)
    return Traces(NAMES, np.stack([np.asarray(found[name], np.float32) for name in NAMES]), whole, cell)


def _strips(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    step = max(1, BAND // shape[1])
    return ((top, min(top + step, shape[0])) for top in range(0, shape[0], step))


def _banded(seen: np.ndarray, luma: np.ndarray, cell: int, at: Place) -> dict[str, np.ndarray]:
    """What depends on a cell and its next neighbours alone, a band of cells after the other."""
    rows, columns = luma.shape[0] // cell, luma.shape[1] // cell
    step, found = max(1, BAND // (cell * luma.shape[1])), []
    for first in range(0, rows, step):
        last = min(rows, first + step)
        near = slice(max(0, first - 1), min(rows, last + 1))
        colours, plane = (whole[near.start * cell : near.stop * cell] for whole in (seen, luma))
        high = near.stop - near.start
        read = noise(colours, plane, high, columns) | content(plane, high, columns)
        kept = {name: values[first - near.start :][: last - first] for name, values in read.items()}
        colours, plane = (_around(whole, first, last, cell) for whole in (seen, luma))
        read = mosaic(colours, last - first + 2, columns) | _own_grid(plane, cell, at)
        found.append(kept | {name: values[1:-1] for name, values in read.items()})
    return {name: np.concatenate([band[name] for band in found]) for name in found[0]}


def _around(whole: np.ndarray, first: int, last: int, cell: int) -> np.ndarray:
    """A band with the row of cells on either side; beyond the picture's first comes its last."""
    rows = whole.shape[0] // cell
    return np.concatenate([whole[r % rows * cell :][:cell] for r in range(first - 1, last + 1)])


def _own_grid(luma: np.ndarray, cell: int, at: Place) -> dict[str, np.ndarray]:
    """Whether each cell shows edges of blocks where the picture has them, or elsewhere."""
    rows, columns = luma.shape[0] // cell, luma.shape[1] // cell
    found = {}
    for axis, name in ((0, "gy"), (1, "gx")):
        split = bends(luma, axis).reshape(rows, cell, columns, cell)
        lines = (split.mean(3).transpose(0, 2, 1) if axis == 0 else split.mean(1)).reshape(rows, columns, -1, BLOCK)
        edge = lines.mean(2) + np.roll(lines.mean(2), 1, 2)
        edge = np.log(edge + 0.1)
        edge -= edge.mean(2, keepdims=True)
        found[name], found[f"{name}o"] = edge[..., at[axis]], np.delete(edge, at[axis], 2).max(2)
    return found
