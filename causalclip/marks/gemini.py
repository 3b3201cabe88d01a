"""Gemini's star: four points, white and half transparent, in the bottom right corner.

Its size and its place follow from the picture's size. Only these places are looked at: somewhere in a corner, a star's
template reaches a correlation of 0.7 by chance.
"""

from functools import lru_cache

import cv2
import numpy as np

from causalclip.marks.mark import NOWHERE, Box, grey_of, look_closely

# (size / geometric mean of the sides, margin / size, least score). August 2025: 48 px and a margin of 32 px in one
# megapixel, 96 and 64 in four and sixteen. Since May 2026: margins of twice the size, 192 and 96 px, and once 89 px.
LAYOUTS = (
    (0.0469, 2 / 3, 0.88),
    (0.0234, 2 / 3, 1.05),
    (0.0231, 2.0, 1.05),
    (0.0469, 2.0, 1.05),
    (0.0233, 89 / 48, 1.05),
)
FREE = ((0.042, 0.078, 2 / 3), (0.026, 0.036, 2.0))  # (least and most of size / short side, margin / size), if cropped
SIZES = sorted({round(14 * 1.06**step) for step in range(39)})  # 14 to 128 px
SMALL = 20  # px: below this, chance reaches more
LARGE = 48  # px: a larger star is looked for in a smaller copy
SURE_SMALL, SURE_FREE = 1.2, 1.25
OUTLINE = 0.3  # least correlation of gradient sizes: of one glint on a glass, it was 0.29
GLANCE = 0.1  # correlation of grey values alone, below which a place is not looked at closely


def find_star(pixels: np.ndarray) -> tuple[float, Box] | None:
    """Score and box of the star in uint8 RGB [H, W, 3]; None without one."""
    found: list[tuple[float, Box]] = []
    height, width = pixels.shape[:2]
    mean, short = (height * width) ** 0.5, min(height, width)
    for share, margin, sure in LAYOUTS:
        for size in sorted({round(share * mean * scale) for scale in (0.975, 1, 1.025)}):
            score, box = _look(pixels, size, margin, slack=max(1, round(0.03 * size)))
            if score >= (sure if size >= SMALL else SURE_SMALL):
                found.append((score, box))
    if not found:
        for least, most, margin in FREE:
            for size in SIZES:
                if least <= size / short <= most:
                    score, box = _look(pixels, size, margin, slack=max(2, round(0.08 * size)))
                    if score >= SURE_FREE:
                        found.append((score, box))
    return max(found, default=None)


def _look(pixels: np.ndarray, size: int, margin: float, *, slack: int) -> tuple[float, Box]:
    """Looks for a star of `size` px at its place, plus and minus `slack` px; a large one in a copy of the place."""
    if size < 12:
        return 0.0, NOWHERE
    edge = max(2, size // 5)
    side = size + 2 * edge
    x, y = (round(length - margin * size - size) - edge - slack for length in pixels.shape[1::-1])
    region = pixels[max(0, y) : y + side + 2 * slack, max(0, x) : x + side + 2 * slack]
    if min(x, y) < 0 or min(region.shape[:2]) < side:
        return 0.0, NOWHERE
    region = grey_of(region)
    zoom = min(1.0, LARGE / size)
    if zoom < 1:
        region = cv2.resize(region, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    template = star(round(size * zoom), round(edge * zoom))
    if min(region.shape) < len(template):
        return 0.0, NOWHERE
    score, right, down = look_closely(region, template, least=GLANCE, outline=OUTLINE)
    left, top = round(x + right / zoom) + edge, round(y + down / zoom) + edge
    return score, (left, top, left + size, top + size)


@lru_cache(maxsize=128)
def star(size: int, edge: int = 0) -> np.ndarray:
    """The star's opacity, 0 to 1, float32 [size + 2 edge, size + 2 edge]: |x| + |y| <= 1 outside four circles, whose
    centres are (±1.52, ±1.52) and which touch its points."""
    fine = (np.arange(8 * size) + 0.5) / (4 * size) - 1
    x, y = np.abs(np.meshgrid(fine, fine))
    inside = (x + y <= 1) & (np.hypot(x - 1.52, y - 1.52) > np.hypot(0.52, 1.52))
    return np.pad(inside.reshape(size, 8, size, 8).mean((1, 3)), edge).astype(np.float32)
