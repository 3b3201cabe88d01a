"""Noise and content place by place: what is left of a plane when its content goes, and what that depends on."""

from __future__ import annotations

import cv2
import numpy as np

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
    """Whether green was measured on one lattice of pixels and made up on the other, as under a colour filter."""
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
    lags = {f"lag_{name}": _split(bend * other, rows, columns).mean(2) / energy for name, other in moved.items()}
    return {
        "level": mean / 64,
        "texture": _log(spread) / 2,
        "flat": _split((np.abs(luma - np.roll(luma, 1, 1)) < 0.5).astype(np.float32), rows, columns).mean(2),
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
