"""A picture's corners, brought to the sizes at which a mark of any size is looked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from causalclip.images.formats import Box
from causalclip.marks.correlation import grey_of
from causalclip.marks.logos import MIN_WIDTH, template_at

Corner = Literal["bottom right", "bottom left", "top left", "top right"]
CORNERS: tuple[Corner, ...] = "bottom right", "bottom left", "top left", "top right"


@dataclass(frozen=True, slots=True)
class Region:
    """A corner of a picture, in which a mark of one size is as wide as its template.

    Attributes:
        grey: float32 [h, w] of 0 to 255.
        zoom: of the picture to it.
        height, width: of the picture.
    """

    grey: np.ndarray
    zoom: float
    corner: Corner
    height: int
    width: int

    def box(self, x: int, y: int, template: np.ndarray) -> Box:
        """Return where in the picture a template lies whose corner is at (x, y) of the region."""
        rows, columns = self.grey.shape
        is_right, is_bottom = "right" in self.corner, "bottom" in self.corner
        left = self.width - (columns - x) / self.zoom if is_right else x / self.zoom
        top = self.height - (rows - y) / self.zoom if is_bottom else y / self.zoom
        height, width = template.shape
        right, bottom = left + width / self.zoom, top + height / self.zoom
        return round(left), round(top), round(right), round(bottom)


def regions(
    pixels: np.ndarray,
    corner: Corner,
    shares: Iterable[float],
    *,
    template_width: int,
    reach: float,
    depth: float,
) -> Iterator[Region]:
    """Yield the corner for each size that a mark may have.

    Args:
        pixels: uint8 RGB [H, W, 3].
        shares: widths of the mark that grow, in widths of the picture; those are left out that are
            too narrow to be told from chance, or do not fit.
        reach, depth: the part of the corner that is looked at, in widths of the mark.
    """
    height, width = pixels.shape[:2]
    sizes = [share * width for share in shares if share * width >= MIN_WIDTH]
    sizes = [size for size in sizes if depth * size <= height]  # no strip has one
    if not sizes:
        return
    # 1. The corner, no larger than the smallest mark needs.
    rows, columns = _slices(corner, depth * sizes[-1], reach * sizes[-1])
    once = min(1.0, template_width / sizes[0])
    grey = cv2.resize(
        grey_of(pixels[rows, columns]), None, fx=once, fy=once, interpolation=cv2.INTER_AREA
    )
    # 2. Size by size, as large as the templates.
    for size in sizes:
        zoom = template_width / size
        again = zoom / once
        rows, columns = _slices(corner, depth * size * once, reach * size * once)
        kernel = cv2.INTER_AREA if again < 1 else cv2.INTER_LINEAR
        copy = cv2.resize(grey[rows, columns], None, fx=again, fy=again, interpolation=kernel)
        yield Region(copy, zoom, corner, height, width)


def _slices(corner: Corner, depth: float, reach: float) -> tuple[slice, slice]:
    rows, columns = round(depth), round(reach)
    return (
        slice(-rows, None) if "bottom" in corner else slice(rows),
        slice(-columns, None) if "right" in corner else slice(columns),
    )


@lru_cache(maxsize=16)
def template_as_wide(name: str, width: int) -> np.ndarray:
    """Return a template of logos.TEMPLATES at a width in px, float32 [H, width] of 0 to 1."""
    template = template_at(name, 1.0)
    size = width, round(width * template.shape[0] / template.shape[1])
    return cv2.resize(template, size, interpolation=cv2.INTER_AREA)
