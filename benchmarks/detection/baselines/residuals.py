"""A small branch beside CLIP: statistics of what a picture's neighbours do not tell of its pixels.

Co-occurrences of quantised noise residuals (Fridrich and Kodovsky, Rich models for steganalysis, IEEE TIFS 2012), of
the brightness, in two directions: how a sensor, a codec or a decoder spreads its noise, and nothing of what is shown.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import median_filter
from tqdm import tqdm

from causalclip.training.data import Record, training_view

LIMIT = 2  # residuals are clipped to it, in quantisation steps
STEPS = 1.0, 3.0  # of the quantisation, in 1/255
ORDER = 3  # neighbouring residuals of one co-occurrence
SIZE = 224


def residual_features(records: Sequence[Record], root: Path) -> np.ndarray:
    """float32 [N, D] of the middle of every file, as copy 0 of causalclip.training.features sees it."""
    rows = []
    for record in tqdm(records, desc="residuals"):
        with Image.open(root / record.path) as file:
            view = training_view(file.convert("RGB"), record.kind, size=SIZE, rng=None)
        rows.append(cooccurrences(np.asarray(view.convert("L"), dtype=np.float32)))
    return np.stack(rows)


def cooccurrences(brightness: np.ndarray) -> np.ndarray:
    """Square roots of the relative frequencies of ORDER residuals in a row, float32 [D], of brightness [H, W]."""
    found = []
    for residual in residuals(brightness):
        for step in STEPS:
            levels = np.clip(np.round(residual / step), -LIMIT, LIMIT).astype(int) + LIMIT
            for plane in (levels, levels.T):
                found.append(_frequencies(plane))
    return np.sqrt(np.concatenate(found)).astype(np.float32)


def residuals(x: np.ndarray) -> list[np.ndarray]:
    """Of the 3 x 3 median, and of second differences along both directions: each [H', W']."""
    across = x[1:-1, 2:] - 2 * x[1:-1, 1:-1] + x[1:-1, :-2]
    down = x[2:, 1:-1] - 2 * x[1:-1, 1:-1] + x[:-2, 1:-1]
    return [x - median_filter(x, 3), across / 2, down / 2]


def _frequencies(levels: np.ndarray) -> np.ndarray:
    """Of every run of ORDER levels along the rows; a run, its mirror and its negative count as one kind."""
    base, width = 2 * LIMIT + 1, levels.shape[1] - ORDER + 1
    code = sum(levels[:, i : i + width] * base**i for i in range(ORDER))
    counts = np.bincount(code.ravel(), minlength=base**ORDER).reshape((base,) * ORDER)
    counts = counts + counts.transpose() + (counts + counts.transpose())[::-1, ::-1, ::-1]
    return counts.ravel() / counts.sum()
