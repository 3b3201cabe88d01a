"""Is there a picture in it at all? One colour, even noise and an even pattern have nothing that could be judged."""

from __future__ import annotations

import numpy as np
from PIL import Image

GRID = 16  # cells across and down
SIDE = 1024  # px on the long side of what is looked at; rows and columns are dropped before
EVEN = 0.01  # of the variance of grey, at least, lies between the cells: 1,200 pictures had 0.14 to 0.99, close-ups of
# gravel, brick and grass 0.03 to 0.05, noise 0.001
FLAT = 1.0  # grey levels of standard deviation, at least; the same pictures had 11 or more


def is_blank(pixels: np.ndarray) -> bool:
    """Whether all parts of a picture (uint8 RGB [H, W, 3]) are equally bright on average, so that nothing is in it."""
    step = max(1, max(pixels.shape[:2]) // SIDE)
    grey = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).convert("L")
    variance = float(np.asarray(grey, np.float32).var())
    cells = np.asarray(grey.resize((GRID, GRID), Image.Resampling.BOX), np.float32)
    return variance < FLAT**2 or float(cells.var()) < EVEN * variance
