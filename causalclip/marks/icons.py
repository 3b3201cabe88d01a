"""The European Union's icons for generated content, in any corner, at any size."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from causalclip.images.formats import Box
from causalclip.marks.correlation import grey_of, look_closely
from causalclip.marks.logos import LEAST_WIDTH, template_at

Corner = Literal["bottom right", "bottom left", "top left", "top right"]
CORNERS: tuple[Corner, ...] = "bottom right", "bottom left", "top left", "top right"
ICON_SHARES = tuple(0.08 * 1.08**step for step in range(20))  # of the picture's width
ICON_WIDTH = 96  # px of an icon in the copy of the corner that is searched
ICON_REACH, ICON_DEPTH = 1.5, 0.6  # of the corner, in widths of the icon
ICON_GLANCE = 0.5  # correlation of grey values alone, below which a place is not looked at closely
SURE_ICON = 1.2  # the least score, of at most 2


@dataclass(frozen=True, slots=True)
class Icon:
    """An icon, as the European Commission published it on 10 June 2026: light words on a dark pill
    (its template), or dark words on a light one.

    Attributes:
        template: its name in the templates of logos.
        words: what stands on it.
        edited: whether it says that a picture was edited, not that it was generated.
    """

    template: str
    words: str
    edited: bool = False


ICONS = (
    Icon("eu-generated", "AI GENERATED"),
    Icon("eu-modified", "AI MODIFIED", edited=True),
)


def find_icon(pixels: np.ndarray) -> tuple[Icon, Corner, float, Box] | None:
    """Return the icon, its corner, its score and its box in uint8 RGB [H, W, 3]; None without
    one."""
    height, width = pixels.shape[:2]
    sizes = [share * width for share in ICON_SHARES if share * width >= LEAST_WIDTH]
    sizes = [size for size in sizes if ICON_DEPTH * size <= height]  # no strip has one
    matches = [
        match for corner in CORNERS if sizes for match in _look_in_corner(pixels, corner, sizes)
    ]
    return max(matches, key=lambda match: match[2], default=None)


def _look_in_corner(
    pixels: np.ndarray, corner: Corner, sizes: list[float]
) -> list[tuple[Icon, Corner, float, Box]]:
    """Return the icons in a corner, at sizes that grow."""
    # 1. The corner, no larger than the smallest icon needs
    height, width = pixels.shape[:2]
    is_right, is_bottom = "right" in corner, "bottom" in corner
    reach, depth = (round(share * sizes[-1]) for share in (ICON_REACH, ICON_DEPTH))
    columns = slice(-reach, None) if is_right else slice(reach)
    rows = slice(-depth, None) if is_bottom else slice(depth)
    grey = grey_of(pixels[rows, columns])
    once = min(1.0, ICON_WIDTH / sizes[0])
    grey = cv2.resize(grey, None, fx=once, fy=once, interpolation=cv2.INTER_AREA)

    matches = []
    for size in sizes:
        # 2. Bring it to the templates' size
        zoom = ICON_WIDTH / size
        reach, depth = (round(share * size * once) for share in (ICON_REACH, ICON_DEPTH))
        columns = slice(-reach, None) if is_right else slice(reach)
        rows = slice(-depth, None) if is_bottom else slice(depth)
        again = zoom / once
        kernel = cv2.INTER_AREA if again < 1 else cv2.INTER_LINEAR
        region = cv2.resize(grey[rows, columns], None, fx=again, fy=again, interpolation=kernel)

        # 3. Look closely where the grey values alone correlate best, or least for a light icon
        for icon in ICONS:
            template = _icon_at(icon.template)
            glance = cv2.matchTemplate(region, template, cv2.TM_CCOEFF_NORMED)
            if np.abs(glance).max() < ICON_GLANCE:
                continue
            is_dark = glance.max() > -glance.min()
            score, x, y = look_closely(region, template if is_dark else 1 - template)
            if score < SURE_ICON:
                continue
            left = width - (region.shape[1] - x) / zoom if is_right else x / zoom
            top = height - (region.shape[0] - y) / zoom if is_bottom else y / zoom
            right, bottom = left + template.shape[1] / zoom, top + template.shape[0] / zoom
            box = round(left), round(top), round(right), round(bottom)
            matches.append((icon, corner, score, box))
    return matches


@lru_cache(maxsize=len(ICONS))
def _icon_at(name: str) -> np.ndarray:
    """Return an icon's template as it is in the copy that is searched, float32 [H, W] of 0 to 1."""
    template = template_at(name, 1.0)
    size = ICON_WIDTH, round(ICON_WIDTH * template.shape[0] / template.shape[1])
    return cv2.resize(template, size, interpolation=cv2.INTER_AREA)
