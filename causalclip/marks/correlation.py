"""A search for a mark's template at a place of a picture: correlation of grey values without a
smooth background, and of gradient sizes."""

from functools import lru_cache

import cv2
import numpy as np

from causalclip.images.formats import Box
from causalclip.images.jpeg import LUMA

AT_ONCE = 1_000_000  # pixels: as float32 their three channels take 12 bytes each
NOWHERE: Box = (0, 0, 0, 0)
LOOK_RADIUS = 2  # px around the best place of the grey values, where it is looked closely
POLYNOMIALS = 6  # polynomials of degree 2 in x and y: what a background may be under a mark


def correlate(
    region: np.ndarray, template: np.ndarray, *, outline: float = -1.0
) -> tuple[float, int, int]:
    """Return the score, 0 to 2, of a template's best place in a region, and x and y of its corner.

    The score is the correlation of grey values, without what a smooth background explains, and that
    of gradient sizes: the first alone is high on any bright blob, the second on any outline.

    Args:
        region: float32 [H, W].
        template: float32 [h, w].
        outline: a place where gradient sizes correlate less has the score 0.
    """
    height, width = template.shape
    basis = _polynomials(height, width)
    windows = _windows(region, height, width)
    greys = _unit(windows - (windows @ basis) @ basis.T)
    flat = template.reshape(1, -1)
    template_grey = _unit(flat - (flat @ basis) @ basis.T)

    edges = _windows(gradient(region), height, width)
    edges = _unit(edges - edges.mean(1, keepdims=True))
    template_edges = gradient(template).reshape(1, -1)
    template_edges = _unit(template_edges - template_edges.mean())

    edge_scores = edges @ template_edges.T
    scores = np.where(edge_scores >= outline, greys @ template_grey.T + edge_scores, 0.0)[:, 0]
    best = int(np.argmax(scores))
    columns = region.shape[1] - width + 1
    return float(scores[best]), best % columns, best // columns


def look_closely(
    region: np.ndarray,
    template: np.ndarray,
    *,
    flat: np.ndarray | None = None,
    least: float = -1.0,
    outline: float = -1.0,
) -> tuple[float, int, int]:
    """Correlate as `correlate` does, only around the place where grey values alone correlate best.

    Args:
        flat: the region without its background, where the place is looked for in that.
        least: a region in which they correlate less everywhere has the score 0.
    """
    plane = region if flat is None else flat
    glance = cv2.matchTemplate(plane, template, cv2.TM_CCOEFF_NORMED)
    if glance.max() < least:
        return 0.0, 0, 0
    height, width = template.shape
    x, y = (max(0, place - LOOK_RADIUS) for place in cv2.minMaxLoc(glance)[3])
    near = region[y : y + height + 2 * LOOK_RADIUS, x : x + width + 2 * LOOK_RADIUS]
    score, across, down = correlate(near, template, outline=outline)
    return score, x + across, y + down


@lru_cache(maxsize=64)
def _polynomials(height: int, width: int) -> np.ndarray:
    """Return an orthonormal basis [height * width, 6] of 1, x, y, x², xy, y²."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y]).reshape(POLYNOMIALS, -1)
    return np.linalg.qr(terms.T)[0].astype(np.float32)


def grey_of(pixels: np.ndarray) -> np.ndarray:
    """Return the luminance of uint8 RGB [H, W, 3], float32 [H, W] of 0 to 255."""
    grey = np.empty(pixels.shape[:2], np.float32)
    rows = max(1, AT_ONCE // max(1, pixels.shape[1]))
    for top in range(0, len(grey), rows):
        grey[top : top + rows] = pixels[top : top + rows].astype(np.float32) @ LUMA
    return grey


def gradient(grey: np.ndarray) -> np.ndarray:
    """Return the size of the Sobel gradient of float32 [H, W]."""
    return np.hypot(
        cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)
    )


def _windows(region: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return every window of a region as a row, [N, height * width]."""
    return np.lib.stride_tricks.sliding_window_view(region, (height, width)).reshape(
        -1, height * width
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; flat ones stay near 0, so that noise is no mark."""
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-3 * rows.shape[1] ** 0.5)
