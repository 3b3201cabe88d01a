"""One copy laid over the other, on one grid, at the coarser one's resolution; of a page, the
picture inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import cv2
import numpy as np

from causalclip.compare.keypoints import Placement
from causalclip.images.formats import Box
from causalclip.images.subimages import find_pictures

WORK_SIDE = 800  # px on the long side of what is compared
MAX_INSIDE = 2  # pictures inside one that are tried, the largest first
REFINE_SIDE = 480  # px on the long side where the placement is refined

Sections = tuple[Box | None, Box | None]  # of either picture; None: the whole of it
Sizes = tuple[tuple[int, int], tuple[int, int]]  # width and height of either picture


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two copies on one grid.

    Attributes:
        a, b: float32 [h, w, 3], 0 to 255.
        inside: bool [h, w], where both show something.
        to_a, to_b: [3, 3], from the grid's pixels to those of either picture (of b: mirrored
            first, if it was).
        zoom: pixels of the grid per pixel of the coarser picture.
    """

    a: np.ndarray
    b: np.ndarray
    inside: np.ndarray
    to_a: np.ndarray
    to_b: np.ndarray
    zoom: float


def lay_over(a: np.ndarray, b: np.ndarray, placement: Placement) -> Alignment:
    """Lay both pictures, uint8 RGB [H, W, 3] each, on the grid of the coarser one.

    b is mirrored as the placement says.
    """
    # 1. Which one is coarser: it makes the grid
    b = np.ascontiguousarray(b[:, ::-1]) if placement.mirrored else b
    b_is_finer = scale(placement.homography, b.shape) < 1  # a pixel of b is smaller than one of a
    coarse, fine = (a, b) if b_is_finer else (b, a)
    fine_to_coarse = placement.homography if b_is_finer else np.linalg.inv(placement.homography)
    zoom = min(1.0, WORK_SIDE / max(coarse.shape[:2]))
    size = max(1, round(coarse.shape[1] * zoom)), max(1, round(coarse.shape[0] * zoom))

    # 2. The finer one on that grid
    base = cv2.resize(coarse, size, interpolation=cv2.INTER_AREA) if zoom < 1 else coarse
    to_grid = _scaling(size[0] / coarse.shape[1], size[1] / coarse.shape[0]) @ fine_to_coarse
    to_grid = _refine_placement(base, fine, to_grid)
    fine_on_grid, inside = _warp(fine, to_grid, size)

    # 3. Both, by the names of the pictures again
    to_fine = np.linalg.inv(to_grid)
    to_coarse = _scaling(coarse.shape[1] / size[0], coarse.shape[0] / size[1])
    first, second = (base, fine_on_grid) if b_is_finer else (fine_on_grid, base)
    return Alignment(
        a=first.astype(np.float32),
        b=second.astype(np.float32),
        inside=inside,
        to_a=to_coarse if b_is_finer else to_fine,
        to_b=to_fine if b_is_finer else to_coarse,
        zoom=zoom,
    )


def scale(homography: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return how much larger a homography makes the middle of a picture of that shape."""
    x, y = shape[1] / 2, shape[0] / 2
    corners = np.array([[x, y], [x + 1, y], [x, y + 1]], np.float64)
    images = cv2.perspectiveTransform(corners[None], homography)[0]
    sides = np.stack([images[1] - images[0], images[2] - images[0]])
    return float(np.sqrt(abs(np.linalg.det(sides))))


def _scaling(x: float, y: float) -> np.ndarray:
    """Return the scaling that keeps the middles of pixels at their places: (i + 1/2) x - 1/2."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _warp(
    fine: np.ndarray, to_grid: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the finer picture on the grid, and where it lies, without its outermost pixels.

    It is shrunk by area first.
    """
    zoom = scale(to_grid, fine.shape)
    if zoom < 1:
        small = max(1, round(fine.shape[1] * zoom)), max(1, round(fine.shape[0] * zoom))
        to_grid = to_grid @ _scaling(fine.shape[1] / small[0], fine.shape[0] / small[1])
        fine = cv2.resize(fine, small, interpolation=cv2.INTER_AREA)
    on_grid = cv2.warpPerspective(
        fine, to_grid, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    cover = np.zeros(fine.shape[:2], np.uint8)
    cover[2:-2, 2:-2] = 1
    return on_grid, cv2.warpPerspective(cover, to_grid, size, flags=cv2.INTER_NEAREST).astype(bool)


def _refine_placement(base: np.ndarray, fine: np.ndarray, to_grid: np.ndarray) -> np.ndarray:
    """Refine the placement by ECC (Evangelidis and Psarakis, PAMI 2008), where that finds a better
    one."""
    # 1. Both in small and in grey
    zoom = min(1.0, REFINE_SIDE / max(base.shape[:2]))
    size = max(1, round(base.shape[1] * zoom)), max(1, round(base.shape[0] * zoom))
    small = _scaling(zoom, zoom)
    template = cv2.resize(
        cv2.cvtColor(base, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA
    )
    on_grid, inside = _warp(fine, small @ to_grid, size)
    moving = cv2.cvtColor(on_grid, cv2.COLOR_RGB2GRAY)
    if inside.sum() < 1000:
        return to_grid

    # 2. The step that makes them most alike
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-5)
    step: Any = np.eye(3, dtype=np.float32)
    try:
        before = cv2.computeECC(template, moving, inside.astype(np.uint8))
        after, step = cv2.findTransformECC(
            template, moving, step, cv2.MOTION_HOMOGRAPHY, criteria, inside.astype(np.uint8), 5
        )
    except cv2.error:  # it does not converge on what has no texture
        return to_grid

    # 3. The step, unless it gains nothing or goes far
    shift = np.abs(step - np.eye(3)) @ np.array([size[0], size[1], 1])
    if after <= before or shift[:2].max() > 6:
        return to_grid
    back = np.linalg.inv(step.astype(np.float64))
    product: np.ndarray = np.linalg.inv(small) @ back @ small @ to_grid
    return product / product[2, 2]


def sections(a: np.ndarray, b: np.ndarray) -> Iterator[Sections]:
    """Yield which parts of two pictures are tried; none of two plain photographs."""
    parts_a, parts_b = (
        [None, *(picture.box for picture in find_pictures(pixels)[:MAX_INSIDE])]
        for pixels in (a, b)
    )
    yield from (pair for pair in product(parts_a, parts_b) if any(pair))


def cut(pixels: np.ndarray, box: Box | None) -> np.ndarray:
    """Return what is in a box."""
    if box is None:
        return pixels
    left, top, right, bottom = box
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def regions(boxes: Sections, sizes: Sizes, *, mirrored: bool) -> tuple[Box, Box]:
    """Return the box that is compared of either picture; of the second as it is mirrored."""
    first, second = boxes
    size_a, size_b = sizes
    if second and mirrored:
        left, top, right, bottom = second
        second = (size_b[0] - right, top, size_b[0] - left, bottom)
    return first or (0, 0, *size_a), second or (0, 0, *size_b)


def in_whole(aligned: Alignment, boxes: tuple[Box, Box]) -> Alignment:
    """Return parts that were laid over each other with the grid's places in the whole pictures."""
    shift_a, shift_b = (
        np.array([[1, 0, box[0]], [0, 1, box[1]], [0, 0, 1]], np.float64) for box in boxes
    )
    return replace(aligned, to_a=shift_a @ aligned.to_a, to_b=shift_b @ aligned.to_b)
