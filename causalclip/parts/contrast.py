"""What each cell has that the rest of its own picture has not: what the trees read of a picture's traces."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from causalclip.parts.traces import Traces

DEPENDS = "level", "texture", "flat", "clip"  # on what a trace depends in any picture
RAW = "level", "texture", "flat", "clip", "comb", "comb_n", "comb_z", "zero", "noise0", "lag_d", "gx", "gy"
WHOLE = "noise0", "noise1", "lag_d", "zero", "comb"  # whose median the trees see


def contrast(traces: Traces) -> np.ndarray:
    """How far each cell lies from what the same picture has for its brightness and texture, float32 as traces.cells.

    In the picture's own deviations (median and median deviation), at most 8.
    """
    flat = traces.cells.reshape(len(traces.cells), -1)
    level, texture, plain, clip = (flat[traces.names.index(name)] for name in DEPENDS)
    base = np.stack([np.ones_like(level), level, texture, texture**2, plain, clip], 1)
    solved = np.linalg.solve(base.T @ base + 0.1 * np.eye(base.shape[1]), base.T @ flat.T)
    off = flat - (base @ solved).T
    off -= np.median(off, 1, keepdims=True)
    off /= 1.4826 * np.median(np.abs(off), 1, keepdims=True) + 0.05
    return np.asarray(off.clip(-8, 8).reshape(traces.cells.shape), np.float32)


def smooth(levels: np.ndarray, size: int = 3) -> np.ndarray:
    """The mean of size x size cells; over the last two axes."""
    sizes = (0,) * (levels.ndim - 2) + (size, size)
    return np.asarray(uniform_filter(levels, sizes, mode="nearest"))


def features(traces: Traces, off: np.ndarray | None = None) -> np.ndarray:
    """float32 [F, rows, columns]: contrasts of 3 x 3 and 5 x 5 cells, their size, some traces, and the picture's own.

    off: the picture's contrast, where it is known.
    """
    off = contrast(traces) if off is None else off
    raw = traces.cells[[traces.names.index(name) for name in RAW]]
    median = np.median(traces.cells.reshape(len(traces.cells), -1), 1)
    own = np.concatenate([traces.whole, median[[traces.names.index(name) for name in WHOLE]]])
    spread = np.broadcast_to(own[:, None, None], (len(own), *off.shape[1:]))
    return np.concatenate([smooth(off), smooth(off, 5), np.abs(smooth(off)), raw, spread]).astype(np.float32)


def history(traces: Traces, off: np.ndarray) -> np.ndarray:
    """float32 [rows, columns]: how much less of the picture's earlier compression a cell has than the rest of it."""
    near = smooth(off)
    return np.asarray(-near[traces.names.index("comb")] - near[traces.names.index("zero")])
