"""Signs of an earlier JPEG compression, from the pixels: coefficients that keep to the steps of a coarser table.

A block's DCT coefficients, once rounded to multiples of a step, stay near them through a later, finer compression
(double quantisation: Lukas and Fridrich, 2003). Scaling, turning or a crop off the 8 px grid erase the sign, so that
its absence means nothing.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import dct

from causalclip.provenance.jpegtables import standard_table

WINDOW = 512  # px, from the middle, on the grid that starts at the top left
MODES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2), (0, 3), (3, 0))
QUALITIES = tuple(range(20, 96))
FOUND = 0.35  # mean agreement from which an earlier compression is reported; see benchmarks/cautions.json
MIN_COUNT = 400  # coefficients that are not zero: fewer say too little


@dataclass(frozen=True, slots=True)
class History:
    """quality: of the earlier compression, roughly; None if none was found. agreement: the best, in [-1, 1]."""

    quality: int | None
    agreement: float


def find_history(pixels: np.ndarray, *, last: int | None) -> History:
    """Looks for a JPEG compression before the last one.

    Args:
        pixels: uint8 RGB [H, W, 3], not turned or scaled since decoding.
        last: quality of the file's own compression; None for a file that is no JPEG.
    """
    coefficients = _coefficients(pixels)
    own = standard_table(last) if last else np.ones((8, 8), int)
    agreement = np.full(len(QUALITIES), -1.0)
    known: dict[tuple[int, int], tuple[float, int]] = {}
    for i, table in enumerate(_tables()):
        agreement[i] = _agreement(coefficients, table, own, known)
    best = int(agreement.argmax())
    found = bool(agreement[best] >= FOUND)
    return History(QUALITIES[best] if found else None, float(agreement[best]))


def _coefficients(pixels: np.ndarray) -> np.ndarray:
    """float32 [modes, blocks]: the DCT coefficients of the luminance, in JPEG's scale."""
    height, width = pixels.shape[:2]
    top, left = (max(0, (side - WINDOW) // 2) // 8 * 8 for side in (height, width))
    cut = pixels[top : top + WINDOW, left : left + WINDOW].astype(np.float32)
    rows, columns = cut.shape[0] // 8, cut.shape[1] // 8
    grey = (cut @ np.array([0.299, 0.587, 0.114], np.float32))[: rows * 8, : columns * 8] - 128
    basis = _basis()
    along = grey.reshape(-1, 8) @ basis.T  # every row of every block
    spectrum = (basis @ along.reshape(rows, 8, -1)).reshape(rows, len(basis), columns, -1)
    return np.stack([spectrum[:, u, :, v].ravel() for u, v in MODES])


@lru_cache(maxsize=1)
def _basis() -> np.ndarray:
    """float32 [frequencies of MODES, 8]: the orthonormal DCT of a row of 8."""
    most = 1 + max(max(mode) for mode in MODES)
    return np.asarray(dct(np.eye(8), axis=0, norm="ortho")[:most], np.float32)


@lru_cache(maxsize=1)
def _tables() -> list[np.ndarray]:
    return [standard_table(q) for q in QUALITIES]


def _agreement(
    coefficients: np.ndarray, table: np.ndarray, own: np.ndarray, known: dict[tuple[int, int], tuple[float, int]]
) -> float:
    """How well the coefficients keep to the table's steps: the mean of cos(2 pi c / step) over the large ones.

    known: sum and count of those of a mode with a step, which many tables have; filled here.
    """
    total = count = 0.0
    for mode, (u, v) in enumerate(MODES):
        step, last = int(table[u, v]), int(own[u, v])
        if step <= max(1.5 * last, 3):
            continue  # finer than the last compression: whatever was there before is gone
        if (mode, step) not in known:
            values = coefficients[mode]
            large = values[np.abs(values) > 0.5 * step]
            known[mode, step] = float(np.cos(2 * np.pi / step * large).sum()), len(large)
        total += known[mode, step][0]
        count += known[mode, step][1]
    return total / count if count >= MIN_COUNT else -1.0
