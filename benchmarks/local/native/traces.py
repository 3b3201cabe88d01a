"""What a file's own history leaves place by place, at native size: earlier JPEG compression, its grid, noise, colour.

The first round (benchmarks.local.regions) looked at delivered copies of at most 1,024 px. Scaling and saving once more
wipe out the traces that are read here, so nothing is done to a file before it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import dct

from benchmarks.local.native.noise import content, noise

BLOCK = 8
CELLS = (1400, 32), (2800, 64), (10**9, 96)  # longest side up to: px of a cell
FREQUENCIES = sorted(
    ((i, j) for i in range(BLOCK) for j in range(BLOCK) if i + j > 0), key=lambda f: (f[0] + f[1], f[0])
)[:27]
STEPS = range(2, 41)  # quantisation steps that are tried for an earlier compression
FEW, CLEAR, STRONG = 60, 6.0, 0.12  # coefficients, deviations and mean cosine below which no step is taken for found
OFFSETS = (3, 2), (5, 6), (2, 5)  # from the picture's grid: where no grid is, for comparison
BANDS = (1, 3), (3, 6), (6, 9), (9, 15)
BASIS = dct(np.eye(BLOCK, dtype=np.float32), axis=0, norm="ortho").astype(np.float32)


@dataclass(frozen=True, slots=True)
class Traces:
    """cells: float32 [len(names), rows, columns]. whole: float32 [5], of the picture: how much more of its coefficients
    are 0 on its grid than off it, the mean strength of an earlier compression, of grid lines down and across, cell."""

    names: tuple[str, ...]
    cells: np.ndarray
    whole: np.ndarray
    cell: int


def traces(pixels: np.ndarray, table: np.ndarray | None) -> Traces:
    """Of a picture (uint8 RGB [H, W, 3]) as its file holds it. table: a JPEG's luminance quantisation [64]."""
    cell = next(px for side, px in CELLS if max(pixels.shape[:2]) <= side)
    rows, columns = pixels.shape[0] // cell, pixels.shape[1] // cell
    seen = pixels[: rows * cell, : columns * cell]
    luma = seen.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) - 128
    lines = _lines(luma)
    grid = _Grid(luma, cell, tuple(place for place, _ in lines))
    found = {
        **grid.history(table),
        **noise(seen, luma, rows, columns),
        **content(luma, rows, columns),
        **grid.bands(),
        **_own_grid(luma, cell, grid.at),
    }
    whole = np.array([grid.gain, grid.strength, *(clear for _, clear in lines), cell], np.float32)
    return Traces(tuple(found), np.stack([np.asarray(v, np.float32) for v in found.values()]), whole, cell)


class _Grid:
    """The blocks of the picture's grid: of a JPEG's own, or of where lines show one, whichever leaves more zeros."""

    def __init__(self, luma: np.ndarray, cell: int, shown: tuple[int, ...]) -> None:
        self.shape, self.cell = (luma.shape[0] // cell, luma.shape[1] // cell), cell
        off = [self._zeros(luma, tuple((s + o) % BLOCK for s, o in zip(shown, by, strict=True)))[2] for by in OFFSETS]
        self.control, self.gain, self.strength = np.mean(off, 0), -np.inf, 0.0
        for at in {(0, 0), shown}:
            coefficients, rich, zeros = self._zeros(luma, at)
            gain = float(np.mean(zeros - self.control))
            if gain > self.gain:
                self.gain, self.at, self.coefficients, self.rich, self.zeros = gain, at, coefficients, rich, zeros

    def _zeros(self, luma: np.ndarray, at: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """DCT of the blocks [h, w, 64] that begin at `at`, which of them are not flat, and zeros a block by cell."""
        h, w = ((n - o) // BLOCK for n, o in zip(luma.shape, at, strict=True))
        blocks = luma[at[0] : at[0] + h * BLOCK, at[1] : at[1] + w * BLOCK]
        blocks = blocks.reshape(h, BLOCK, w, BLOCK).transpose(0, 2, 1, 3)
        coefficients = (BASIS @ blocks @ BASIS.T).reshape(h, w, BLOCK * BLOCK)
        size = np.abs(coefficients[..., 1:])
        rich = size.max(-1) > 1
        count = np.maximum(1, self.summed(rich.astype(float), at))
        return coefficients, rich, self.summed((size < 0.5).sum(-1) * rich, at) / count

    def summed(self, values: np.ndarray, at: tuple[int, ...]) -> np.ndarray:
        """A number a block [h, w] -> its sum in every cell, by the block's middle."""
        rows, columns = (
            np.minimum((np.arange(n) * BLOCK + o + BLOCK // 2) // self.cell, most - 1)
            for n, o, most in zip(values.shape, at, self.shape, strict=True)
        )
        total = np.zeros(self.shape)
        np.add.at(total, (rows[:, None], columns[None]), values)
        return total

    def history(self, table: np.ndarray | None) -> dict[str, np.ndarray]:
        """Zeros on the grid against off it, and how well coefficients keep to the steps of an earlier compression.

        The steps are those that the picture as a whole keeps to; a part that came without that compression does not.
        """
        kept, due = np.zeros(self.rich.shape), np.zeros(self.rich.shape)
        sample = self.coefficients[self.rich]
        sample = sample[:: max(1, len(sample) // 20000)]
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
        power, order = self.coefficients**2, np.add.outer(np.arange(BLOCK), np.arange(BLOCK)).ravel()
        count = np.maximum(1, self.summed(np.ones(self.rich.shape), self.at))
        means = {a: power[..., (order >= a) & (order < b)].mean(-1) for a, b in BANDS}
        return {f"band{a}": np.log(self.summed(mean, self.at) / count + 0.02) / 2 for a, mean in means.items()}


def _step(values: np.ndarray, last: float) -> tuple[float, int]:
    """How strongly coefficients gather at multiples of a step, and the largest step for which that is clear; (0, 0).

    Divisors of the last compression's step are left out: everything keeps to them.
    """
    size, best = np.abs(values), (0.0, 0)
    for step in STEPS:
        if last and abs(last / step - round(last / step)) < 1e-6:
            continue
        counted = size > 0.6 * step
        if counted.sum() < FEW:
            break
        mean = float(np.cos(2 * np.pi * values[counted] / step).mean())
        if mean * np.sqrt(2 * counted.sum()) > CLEAR and mean > max(STRONG, 0.9 * best[0]):
            best = max(mean, best[0]), step
    return best


def _lines(luma: np.ndarray) -> list[tuple[int, float]]:
    """Down, then across: where each eighth line stands out as a block's edge, and how much."""
    found = []
    for axis in (0, 1):
        bend = np.minimum(np.abs(2 * luma - np.roll(luma, 1, axis) - np.roll(luma, -1, axis)), 20).mean(1 - axis)[2:-2]
        mean = np.roll(bend[: len(bend) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(0), 2)
        edge = mean + np.roll(mean, 1)
        found.append((int(edge.argmax()), float(edge.max() / (np.median(edge) + 1e-6))))
    return found


def _own_grid(luma: np.ndarray, cell: int, at: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Whether each cell shows edges of blocks where the picture has them, or elsewhere."""
    rows, columns = luma.shape[0] // cell, luma.shape[1] // cell
    found = {}
    for axis, name in ((0, "gy"), (1, "gx")):
        bend = np.minimum(np.abs(2 * luma - np.roll(luma, 1, axis) - np.roll(luma, -1, axis)), 20)
        split = bend.reshape(rows, cell, columns, cell)
        lines = (split.mean(3).transpose(0, 2, 1) if axis == 0 else split.mean(1)).reshape(rows, columns, -1, BLOCK)
        edge = lines.mean(2) + np.roll(lines.mean(2), 1, 2)
        edge = np.log(edge + 0.1)
        edge -= edge.mean(2, keepdims=True)
        found[name], found[f"{name}o"] = edge[..., at[axis]], np.delete(edge, at[axis], 2).max(2)
    return found
