"""The European Union's icons for generated content, in any corner, at any size."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from causalclip.images.formats import Box
from causalclip.marks.corners import CORNERS, Corner, regions, template_as_wide
from causalclip.marks.correlation import look_closely

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
    matches = [match for corner in CORNERS for match in _look_in_corner(pixels, corner)]
    return max(matches, key=lambda match: match[2], default=None)


def _look_in_corner(
    pixels: np.ndarray, corner: Corner
) -> Iterator[tuple[Icon, Corner, float, Box]]:
    """Yield the icons in a corner, at sizes that grow."""
    whole = regions(
        pixels,
        corner,
        ICON_SHARES,
        template_width=ICON_WIDTH,
        reach=ICON_REACH,
        depth=ICON_DEPTH,
    )
    for region in whole:
        for icon in ICONS:
            template = template_as_wide(icon.template, ICON_WIDTH)
            glance = cv2.matchTemplate(region.grey, template, cv2.TM_CCOEFF_NORMED)
            if np.abs(glance).max() < ICON_GLANCE:
                continue
            # Grey values correlate best where it is dark, and least where it is light.
            is_dark = glance.max() > -glance.min()
            score, x, y = look_closely(region.grey, template if is_dark else 1 - template)
            if score >= SURE_ICON:
                yield icon, corner, score, region.box(x, y, template)
