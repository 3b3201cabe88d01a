"""Traces of a file, place by place: earlier compression, its grid, noise, colour and mosaic; each
cell in numbers.

A picture is read as it is, without scaling: scaling and saving anew wipe these traces out, so that
what was replaced and what was there before differ most in files that nothing happened to since. A
cell is a square of 32 px or more.

Comparing an earlier compression's steps from place to place: Bianchi and Piva, "Image forgery
localization via block-grained analysis of JPEG artifacts", IEEE TIFS 7(3), 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.fft import dct

CELLS = (1400, 32), (2800, 64), (10**9, 96)  # longest side up to: px of a cell
BAND_PIXELS = 1_000_000  # pixels that are read at once, which bounds the memory
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
    """cells: float32 [len(names), rows, columns]. whole: float32 [5], of the picture: how much more
    of its coefficients are 0 on its grid than off it, the mean strength of an earlier compression,
    of grid lines down and across, cell."""

    names: tuple[str, ...]
    cells: np.ndarray
    whole: np.ndarray
    cell: int


def cell_of(height: int, width: int) -> int:
    """px of a cell's side in a picture of that size."""
    return next(px for side, px in CELLS if max(height, width) <= side)


def read_traces(pixels: np.ndarray, table: np.ndarray | None) -> Traces:
    """Of a picture (uint8 RGB [H, W, 3]) as its file holds it. table: a JPEG's luminance
    quantisation [64]."""
    cell = cell_of(*pixels.shape[:2])
    rows, columns = (n // cell for n in pixels.shape[:2])
    seen = pixels[: rows * cell, : columns * cell]
    luma = np.concatenate(
        [seen[top:bottom].astype(np.float32) @ LUMA - 128 for top, bottom in _strips(seen.shape)]
    )
    lines = find_lines(luma)
    (down, _), (across, _) = lines
    grid = Grid(luma, cell, (down, across))
    found = grid.history(table) | grid.bands() | _banded(seen, luma, cell, grid.at)
    whole = np.array([grid.gain, grid.strength, *(clear for _, clear in lines), cell], np.float32)
    return Traces(
        NAMES, np.stack([np.asarray(found[name], np.float32) for name in NAMES]), whole, cell
    )


def _strips(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    step = max(1, BAND_PIXELS // shape[1])
    return ((top, min(top + step, shape[0])) for top in range(0, shape[0], step))


def _banded(seen: np.ndarray, luma: np.ndarray, cell: int, at: Place) -> dict[str, np.ndarray]:
    """What depends on a cell and its next neighbours alone, a band of cells after the other."""
    rows, columns = luma.shape[0] // cell, luma.shape[1] // cell
    step, found = max(1, BAND_PIXELS // (cell * luma.shape[1])), []
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
        lines = (split.mean(3).transpose(0, 2, 1) if axis == 0 else split.mean(1)).reshape(
            rows, columns, -1, BLOCK
        )
        edge = lines.mean(2) + np.roll(lines.mean(2), 1, 2)
        edge = np.log(edge + 0.1)
        edge -= edge.mean(2, keepdims=True)
        found[name], found[f"{name}o"] = edge[..., at[axis]], np.delete(edge, at[axis], 2).max(2)
    return found


BLOCK = 8
FREQUENCIES = sorted(
    ((i, j) for i in range(BLOCK) for j in range(BLOCK) if i + j > 0),
    key=lambda f: (f[0] + f[1], f[0]),
)[:27]
STEPS = range(2, 41)  # quantisation steps that are tried for an earlier compression
# below them no step is taken for found
MIN_COEFFICIENTS, MIN_DEVIATIONS, MIN_COSINE = 60, 6.0, 0.12
OFFSETS = (3, 2), (5, 6), (2, 5)  # from the picture's grid: where no grid is, for comparison
BANDS = (1, 3), (3, 6), (6, 9), (9, 15)
BASIS = dct(np.eye(BLOCK, dtype=np.float32), axis=0, norm="ortho").astype(np.float32)
ROWS = 32  # of blocks, that are transformed at once
SAMPLE = 20_000  # blocks from which the steps are estimated
Place = tuple[int, int]  # row and column, in px below BLOCK


def bends(luma: np.ndarray, axis: int) -> np.ndarray:
    """How far each pixel lies from the line through its neighbours, at most 20: high beside a
    block's edge."""
    return np.minimum(np.abs(2 * luma - np.roll(luma, 1, axis) - np.roll(luma, -1, axis)), 20)


def find_lines(luma: np.ndarray) -> list[tuple[int, float]]:
    """Down, then across: where each eighth line stands out as a block's edge, and how much."""
    down, across = np.zeros(luma.shape[0]), np.zeros(luma.shape[1])
    step = ROWS * BLOCK
    for top in range(0, luma.shape[0], step):
        first, last = max(0, top - 1), min(luma.shape[0], top + step + 1)
        down[top : top + step] = bends(luma[first:last], 0).mean(1)[top - first :][:step]
        across += bends(luma[top : top + step], 1).sum(0)
    return [_clearest(profile[2:-2]) for profile in (down, across / luma.shape[0])]


def _clearest(bend: np.ndarray) -> tuple[int, float]:
    mean = np.roll(bend[: len(bend) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(0), 2)
    edge = mean + np.roll(mean, 1)
    return int(edge.argmax()), float(edge.max() / (np.median(edge) + 1e-6))


class Grid:
    """The blocks of the picture's grid: of a JPEG's own, or of where lines show one, whichever
    leaves more zeros.

    luma: float32 [H, W], less 128. cell: px, a multiple of BLOCK. shown: where lines show a grid.
    """

    def __init__(self, luma: np.ndarray, cell: int, shown: Place) -> None:
        self.shape, self.cell = (luma.shape[0] // cell, luma.shape[1] // cell), cell
        off = [((shown[0] + down) % BLOCK, (shown[1] + across) % BLOCK) for down, across in OFFSETS]
        self.control = np.mean([self._zeros(luma, at) for at in off], 0)
        self.gain = -np.inf
        for at in sorted({(0, 0), shown}):
            zeros = self._zeros(luma, at)
            gain = float(np.mean(zeros - self.control))
            if gain > self.gain:
                self.gain, self.at, self.zeros = gain, at, zeros
        self.coefficients = np.concatenate([blocks for _, blocks in _transformed(luma, self.at)])
        self.rich = _rich(self.coefficients)
        self.strength = 0.0

    def _zeros(self, luma: np.ndarray, at: Place) -> np.ndarray:
        """Zeros a block that is not flat, by cell, of the blocks that begin at `at`."""
        shape = tuple((n - o) // BLOCK for n, o in zip(luma.shape, at, strict=True))
        rich, zeros = np.zeros(shape), np.zeros(shape)
        for first, blocks in _transformed(luma, at):
            rows = slice(first, first + len(blocks))
            rich[rows] = _rich(blocks)
            zeros[rows] = (np.abs(blocks[..., 1:]) < 0.5).sum(-1) * rich[rows]
        return self.summed(zeros, at) / np.maximum(1, self.summed(rich, at))

    def summed(self, values: np.ndarray, at: Place) -> np.ndarray:
        """A number a block [h, w] -> its sum in every cell, by the block's middle."""
        rows, columns = (
            np.minimum((np.arange(n) * BLOCK + o + BLOCK // 2) // self.cell, most - 1)
            for n, o, most in zip(values.shape, at, self.shape, strict=True)
        )
        total = np.zeros(self.shape)
        np.add.at(total, (rows[:, None], columns[None]), values)
        return total

    def history(self, table: np.ndarray | None) -> dict[str, np.ndarray]:
        """Zeros on the grid against off it, and how well coefficients keep to the steps of an
        earlier compression.

        The steps are those that the picture as a whole keeps to; a part that came without that
        compression does not.
        """
        kept, due = np.zeros(self.rich.shape), np.zeros(self.rich.shape)
        sample = self.coefficients[self.rich]
        sample = sample[:: max(1, len(sample) // SAMPLE)]
        strengths = []
        for i, j in FREQUENCIES:
            k = i * BLOCK + j
            last = float(table[k]) if table is not None and self.at == (0, 0) else 0.0
            strength, step = _step(sample[:, k], last)
            strengths.append(strength)
            if step:
                found = self.coefficients[..., k]
                counted = (np.abs(found) > 0.6 * step) & self.rich
                kept += np.where(counted, strength * np.cos(2 * np.pi * found / step), 0)
                due += np.where(counted, strength**2, 0)
        self.strength = float(np.mean(strengths))
        n, d = self.summed(kept, self.at), self.summed(due, self.at)
        return {
            "zero": np.log((self.zeros + 1) / (self.control + 1)),
            "comb": np.where(d > 0, n / np.maximum(d, 1e-6), 1),
            "comb_n": np.log1p(d),
            "comb_z": (n - d) / np.sqrt(0.5 * d + 1),
        }

    def bands(self) -> dict[str, np.ndarray]:
        """Energy by frequency."""
        order = np.add.outer(np.arange(BLOCK), np.arange(BLOCK)).ravel()
        count = np.maximum(1, self.summed(np.ones(self.rich.shape), self.at))
        found = {}
        for low, high in BANDS:
            power = (self.coefficients[..., (order >= low) & (order < high)] ** 2).mean(-1)
            found[f"band{low}"] = np.log(self.summed(power, self.at) / count + 0.02) / 2
        return found


def _transformed(luma: np.ndarray, at: Place) -> Iterator[tuple[int, np.ndarray]]:
    """DCT of the blocks that begin at `at`, some rows of them at once: (first row, float32 [rows,
    columns, 64])."""
    h, w = ((n - o) // BLOCK for n, o in zip(luma.shape, at, strict=True))
    for first in range(0, h, ROWS):
        rows, top = min(ROWS, h - first), at[0] + first * BLOCK
        blocks = luma[top : top + rows * BLOCK, at[1] : at[1] + w * BLOCK]
        blocks = blocks.reshape(rows, BLOCK, w, BLOCK).transpose(0, 2, 1, 3)
        yield first, (BASIS @ blocks @ BASIS.T).reshape(rows, w, BLOCK * BLOCK)


def _rich(blocks: np.ndarray) -> np.ndarray:
    """Which blocks are not flat: bool [rows, columns]."""
    return np.asarray(np.abs(blocks[..., 1:]).max(-1) > 1)


def _step(values: np.ndarray, last: float) -> tuple[float, int]:
    """How strongly coefficients gather at multiples of a step, and the largest step for which that
    is clear; (0, 0).

    Divisors of the last compression's step are left out: everything keeps to them.
    """
    size, best = np.abs(values), (0.0, 0)
    for step in STEPS:
        if last and abs(last / step - round(last / step)) < 1e-6:
            continue
        counted = size > 0.6 * step
        if counted.sum() < MIN_COEFFICIENTS:
            break
        mean = float(np.cos(2 * np.pi * values[counted] / step).mean())
        if mean * np.sqrt(2 * counted.sum()) > MIN_DEVIATIONS and mean > max(
            MIN_COSINE, 0.9 * best[0]
        ):
            best = max(mean, best[0]), step
    return best


SCALES = 3  # of noise in luminance


def noise(seen: np.ndarray, luma: np.ndarray, rows: int, columns: int) -> dict[str, np.ndarray]:
    """Noise in luminance at three scales and in colour at two."""
    found, plane = {}, luma
    for scale in range(SCALES):
        cells = _split(_diagonal(plane), rows, columns)
        found[f"noise{scale}"] = _log(np.median(cells, 2))
        found[f"low{scale}"] = _log(np.quantile(cells, 0.2, axis=2))
        found[f"mean{scale}"] = _log(cells.mean(2))
        plane = _half(plane)
    green = seen[..., 1].astype(np.float32)
    for name, channel in (("r", 0), ("b", 2)):
        tint = seen[..., channel].astype(np.float32) - green
        found[f"chroma_{name}"] = _log(_split(_diagonal(tint), rows, columns).mean(2))
        found[f"chroma2_{name}"] = _log(_split(_diagonal(_half(tint)), rows, columns).mean(2))
    return found


def mosaic(seen: np.ndarray, rows: int, columns: int) -> dict[str, np.ndarray]:
    """Whether green was measured on one lattice of pixels and made up on the other, as under a
    colour filter."""
    green = seen[..., 1].astype(np.float32)
    off = green - sum(np.roll(green, by, axis) for by in (1, -1) for axis in (0, 1)) / 4
    odd = np.add.outer(np.arange(green.shape[0]), np.arange(green.shape[1])) % 2
    one, other = (_split(off**2 * lattice, rows, columns).mean(2) for lattice in (odd, 1 - odd))
    return {"cfa": _log(one) - _log(other)}


def content(luma: np.ndarray, rows: int, columns: int) -> dict[str, np.ndarray]:
    """What the rest depends on, and how far a residual goes with its neighbour's."""
    mean = _split(luma, rows, columns).mean(2)
    spread = np.maximum(_split(luma**2, rows, columns).mean(2) - mean**2, 0)
    bend = cv2.Laplacian(luma, cv2.CV_32F)
    energy = _split(bend**2, rows, columns).mean(2) + 0.05
    moves = {"x": (0, 1), "y": (1, 0), "d": (1, 1), "x2": (0, 2), "y2": (2, 0)}
    moved = {name: np.roll(bend, by, (0, 1)) for name, by in moves.items()}
    lags = {
        f"lag_{name}": _split(bend * other, rows, columns).mean(2) / energy
        for name, other in moved.items()
    }
    return {
        "level": mean / 64,
        "texture": _log(spread) / 2,
        "flat": _split(
            (np.abs(luma - np.roll(luma, 1, 1)) < 0.5).astype(np.float32), rows, columns
        ).mean(2),
        "clip": _split(((luma < -125) | (luma > 124)).astype(np.float32), rows, columns).mean(2),
        **lags,
    }


def _diagonal(plane: np.ndarray) -> np.ndarray:
    """What is left of a plane without its slopes and its straight edges across and down."""
    found = np.abs(plane[:-1, :-1] - plane[1:, :-1] - plane[:-1, 1:] + plane[1:, 1:]) / 2
    return np.pad(found, ((0, 1), (0, 1)), mode="edge")


def _split(plane: np.ndarray, rows: int, columns: int) -> np.ndarray:
    px = plane.shape[0] // rows
    whole = plane[: rows * px, : columns * px].reshape(rows, px, columns, px)
    return whole.transpose(0, 2, 1, 3).reshape(rows, columns, -1)


def _half(plane: np.ndarray) -> np.ndarray:
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def _log(x: np.ndarray) -> np.ndarray:
    return np.log(x + 0.02)
