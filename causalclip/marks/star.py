"""Gemini's star, stamped in the bottom right corner."""

from functools import lru_cache

import cv2
import numpy as np

from causalclip.images.formats import Box
from causalclip.marks.correlation import NOWHERE, grey_of, look_closely

# Size / geometric mean of the picture's sides, margin / size, and least score. Its size and place
# follow from the picture's, and only those places are looked at: somewhere in a corner, a star's
# template reaches a correlation of 0.7 by chance. August 2025: 48 px and a margin of 32 px in one
# megapixel, 96 and 64 in four and sixteen. Since May 2026: margins of twice the size, 192 and
# 96 px, and once 89 px.
STAR_LAYOUTS = (
    (0.0469, 2 / 3, 0.88),
    (0.0234, 2 / 3, 1.05),
    (0.0231, 2.0, 1.05),
    (0.0469, 2.0, 1.05),
    (0.0233, 89 / 48, 1.05),
)
# (least and most of size / short side, margin / size)
CROPPED_STAR = ((0.042, 0.078, 2 / 3), (0.026, 0.036, 2.0))
STAR_SIZES = sorted({round(14 * 1.06**step) for step in range(39)})  # 14 to 128 px
SMALL_STAR = 20  # px: below this, chance reaches more
LARGE_STAR = 48  # px: a larger star is looked for in a smaller copy
SURE_SMALL_STAR, SURE_CROPPED_STAR = 1.2, 1.25
STAR_OUTLINE = 0.3  # least correlation of gradient sizes: of one glint on a glass, it was 0.29
STAR_GLANCE = 0.1  # correlation of grey values alone, below which a place is not looked at closely


def find_star(pixels: np.ndarray) -> tuple[float, Box] | None:
    """Return score and box of the star in uint8 RGB [H, W, 3]; None without one."""
    stars: list[tuple[float, Box]] = []
    height, width = pixels.shape[:2]
    mean = (height * width) ** 0.5
    for share, margin, sure in STAR_LAYOUTS:
        for size in sorted({round(share * mean * scale) for scale in (0.975, 1, 1.025)}):
            score, box = _look_for_star(pixels, size, margin, slack=max(1, round(0.03 * size)))
            if score >= (sure if size >= SMALL_STAR else SURE_SMALL_STAR):
                stars.append((score, box))
    return max(stars, default=None) or _find_cropped_star(pixels)


def _find_cropped_star(pixels: np.ndarray) -> tuple[float, Box] | None:
    """Return score and box of a star in a picture that was cropped, whose size tells less."""
    short = min(pixels.shape[:2])
    stars: list[tuple[float, Box]] = []
    for least, most, margin in CROPPED_STAR:
        for size in STAR_SIZES:
            if not least <= size / short <= most:
                continue
            score, box = _look_for_star(pixels, size, margin, slack=max(2, round(0.08 * size)))
            if score >= SURE_CROPPED_STAR:
                stars.append((score, box))
    return max(stars, default=None)


def _look_for_star(
    pixels: np.ndarray, size: int, margin: float, *, slack: int
) -> tuple[float, Box]:
    """Return score and box of the best star of `size` px at its place, plus and minus `slack` px; a
    large one is looked for in a smaller copy."""
    if size < 12:
        return 0.0, NOWHERE
    edge = max(2, size // 5)
    side = size + 2 * edge
    x, y = (round(length - margin * size - size) - edge - slack for length in pixels.shape[1::-1])
    region = pixels[max(0, y) : y + side + 2 * slack, max(0, x) : x + side + 2 * slack]
    if min(x, y) < 0 or min(region.shape[:2]) < side:
        return 0.0, NOWHERE
    region = grey_of(region)
    zoom = min(1.0, LARGE_STAR / size)
    if zoom < 1:
        region = cv2.resize(region, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    template = star_opacity(round(size * zoom), round(edge * zoom))
    if min(region.shape) < len(template):
        return 0.0, NOWHERE
    score, right, down = look_closely(region, template, least=STAR_GLANCE, outline=STAR_OUTLINE)
    left, top = round(x + right / zoom) + edge, round(y + down / zoom) + edge
    return score, (left, top, left + size, top + size)


@lru_cache(maxsize=128)
def star_opacity(size: int, edge: int = 0) -> np.ndarray:
    """Return the star's opacity, 0 to 1, float32 [size + 2 edge, size + 2 edge].

    It is |x| + |y| <= 1 outside four circles, whose centres are (±1.52, ±1.52) and which touch its
    points.
    """
    fine = (np.arange(8 * size) + 0.5) / (4 * size) - 1
    x, y = np.abs(np.meshgrid(fine, fine))
    inside = (x + y <= 1) & (np.hypot(x - 1.52, y - 1.52) > np.hypot(0.52, 1.52))
    return np.pad(inside.reshape(size, 8, size, 8).mean((1, 3)), edge).astype(np.float32)
