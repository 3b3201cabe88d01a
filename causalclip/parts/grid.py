"""A picture's grid of 8 x 8 blocks, and what is left in it of a compression before the last one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.fft import dct

BLOCK = 8
FREQUENCIES = sorted(
    ((i, j) for i in range(BLOCK) for j in range(BLOCK) if i + j > 0), key=lambda f: (f[0] + f[1], f[0])
)[:27]
STEPS = range(2, 41)  # quantisation steps that are tried for an earlier compression
FEW, CLEAR, STRONG = 60, 6.0, 0.12  # coefficients, deviations and mean cosine below which no step is taken for found
OFFSETS = (3, 2), (5, 6), (2, 5)  # from the picture's grid: where no grid is, for comparison
BANDS = (1, 3), (3, 6), (6, 9), (9, 15)
BASIS = dct(np.eye(BLOCK, dtype=np.float32), axis=0, norm="ortho").astype(np.float32)
ROWS = 32  # of blocks, that are transformed at once
SAMPLE = 20_000  # blocks from which the steps are estimated
Place = tuple[int, int]  # row and column, in px below BLOCK


def bends(luma: np.ndarray, axis: int) -> np.ndarray:
    """How far each pixel lies from the line through its neighbours, at most 20: high beside a block's edge."""
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
    """The blocks of the picture's grid: of a JPEG's own, or of where lines show one, whichever leaves more zeros.

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
        """Zeros on the grid against off it, and how well coefficients keep to the steps of an earlier compression.

        The steps are those that the picture as a whole keeps to; a part that came without that compression does not.
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
    """DCT of the blocks that begin at `at`, some rows of them at once: (first row, float32 [rows, columns, 64])."""
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
