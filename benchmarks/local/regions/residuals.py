"""What is left of a picture when its content is taken away: noise, compression and resampling, place by place.

One number a cell and statistic, mostly logarithms, so that a difference is a ratio. They say nothing about what a part
shows; a part that came from elsewhere may differ in them from the rest.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.fft import dct

from benchmarks.local.regions.cells import CELL, grid_of

GHOSTS = 60, 75, 85, 95  # JPEG qualities that the picture is saved with once more
BANDS = ((1, 3), (3, 6), (6, 9), (9, 15))  # of an 8 x 8 DCT, by the sum of its two frequencies
BLOCK = 8
NAMES = (
    "level",
    "texture",
    "laplacian",
    "diagonal noise",
    "chroma noise",
    "chroma texture",
    "flat",
    "clipped",
    "lag across",
    "lag down",
    "lag diagonal",
    *(f"band {a}-{b}" for a, b in BANDS),
    "own grid",
    "picture's grid",
    *(f"ghost {q}" for q in GHOSTS),
)


def residual_cells(picture: np.ndarray) -> np.ndarray:
    """NAMES' statistics of a working picture (uint8 RGB [H, W, 3]), float32 [R, rows, columns]."""
    rows, columns = grid_of(*picture.shape[:2])
    seen = np.ascontiguousarray(picture[: rows * CELL, : columns * CELL])
    luma, red, blue = cv2.split(cv2.cvtColor(seen, cv2.COLOR_RGB2YCrCb).astype(np.float32))
    mean = _mean(luma)
    texture = np.sqrt(np.maximum(_mean(luma**2) - mean**2, 0))
    laplacian = cv2.Laplacian(luma, cv2.CV_32F)
    diagonal = cv2.filter2D(luma, cv2.CV_32F, np.array([[1, -1], [-1, 1]], np.float32) / 2)
    chroma = [cv2.Laplacian(plane, cv2.CV_32F) for plane in (red, blue)]
    tint = [np.sqrt(np.maximum(_mean(plane**2) - _mean(plane) ** 2, 0)) for plane in (red, blue)]
    step = np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    maps = [
        mean / 64,
        _log(texture),
        _log(_mean(np.abs(laplacian))),
        _log(_median(np.abs(diagonal))),
        _log(_mean(np.abs(chroma[0])) + _mean(np.abs(chroma[1]))),
        _log(tint[0] + tint[1]),
        _mean((step < 1).astype(np.float32)),
        _mean(((luma < 3) | (luma > 252)).astype(np.float32)),
        *_lags(laplacian),
        *_bands(luma),
        *_grids(luma),
        *_ghosts(seen, luma),
    ]
    return np.stack(maps).astype(np.float32)


def contrast(residuals: np.ndarray) -> np.ndarray:
    """Statistics [R, rows, columns], and beside them how far each lies from what the same picture has: [2 R, ...].

    What it has is predicted from the cell's level, texture and flatness by least squares over the picture's own cells;
    the unit is the picture's own spread.
    """
    R, h, w = residuals.shape
    flat = residuals.reshape(R, -1)
    base = np.stack([np.ones(h * w), flat[0], flat[1], flat[1] ** 2, flat[6]], 1)
    solved = np.linalg.solve(base.T @ base + 1e-1 * np.eye(base.shape[1]), base.T @ flat.T)
    off = flat - (base @ solved).T
    off /= 1.4826 * np.median(np.abs(off - np.median(off, 1, keepdims=True)), 1, keepdims=True) + 0.05
    return np.concatenate([flat, off.clip(-8, 8)]).reshape(2 * R, h, w).astype(np.float32)


def _log(x: np.ndarray) -> np.ndarray:
    return np.log(x + 0.05)


def _cells(plane: np.ndarray) -> np.ndarray:
    """[H, W] -> [rows, columns, CELL * CELL]."""
    rows, columns = plane.shape[0] // CELL, plane.shape[1] // CELL
    return plane.reshape(rows, CELL, columns, CELL).transpose(0, 2, 1, 3).reshape(rows, columns, -1)


def _mean(plane: np.ndarray) -> np.ndarray:
    return np.asarray(_cells(plane).mean(2))


def _median(plane: np.ndarray) -> np.ndarray:
    return np.asarray(np.median(_cells(plane), 2))


def _lags(residual: np.ndarray) -> list[np.ndarray]:
    """How far a residual goes with its neighbour's: resampling and denoising leave it smooth."""
    energy = _mean(residual**2) + 0.05
    moved = (np.roll(residual, 1, 1), np.roll(residual, 1, 0), np.roll(residual, (1, 1), (0, 1)))
    return [_mean(residual * other) / energy for other in moved]


def _bands(luma: np.ndarray) -> list[np.ndarray]:
    """Energy by frequency, of 8 x 8 blocks."""
    h, w = luma.shape
    blocks = luma.reshape(h // BLOCK, BLOCK, w // BLOCK, BLOCK).transpose(0, 2, 1, 3)
    basis = dct(np.eye(BLOCK, dtype=np.float32), axis=0, norm="ortho")
    power = (basis @ blocks @ basis.T) ** 2
    order = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    n = CELL // BLOCK
    maps = []
    for low, high in BANDS:
        energy = power[..., (order >= low) & (order < high)].mean(-1)
        maps.append(_log(energy.reshape(h // CELL, n, w // CELL, n).mean((1, 3))) / 2)
    return maps


def _grids(luma: np.ndarray) -> list[np.ndarray]:
    """How clearly a JPEG grid is seen: at the place where a cell has it itself, and where the picture has it."""
    across = np.abs(2 * luma - np.roll(luma, 1, 1) - np.roll(luma, -1, 1))
    down = np.abs(2 * luma - np.roll(luma, 1, 0) - np.roll(luma, -1, 0))
    own, shared = [], []
    for plane, axis in ((across, 3), (down, 2)):
        rows, columns = plane.shape[0] // CELL, plane.shape[1] // CELL
        split = plane.reshape(rows, CELL, columns, CELL)
        lines = split.mean(1) if axis == 3 else split.mean(3).transpose(0, 2, 1)
        phases = np.log(lines.reshape(rows, columns, -1, BLOCK).mean(2) + 0.05)
        phases = phases - phases.mean(2, keepdims=True)
        place = int(phases.mean((0, 1)).argmax())
        own.append(phases.max(2))
        shared.append(phases[..., place])
    return [own[0] + own[1], shared[0] + shared[1]]


def _ghosts(seen: np.ndarray, luma: np.ndarray) -> list[np.ndarray]:
    """What saving once more changes: least near the quality that a part was last saved with."""
    maps = []
    for quality in GHOSTS:
        _, data = cv2.imencode(".jpg", luma.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        again = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)
        maps.append(_log(_mean((again - luma) ** 2)) / 2)
    return maps
