"""One copy laid over the other, on one grid, at the coarser one's resolution; of a page, the picture inside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import cv2
import numpy as np

from causalclip.evidence.keypoints import Placement
from causalclip.images.inside import Box, find_pictures

WORK = 800  # px on the long side of what is compared
INSIDE = 2  # pictures inside one that are tried, the largest first
REFINE = 480  # px on the long side where the placement is refined

Sections = tuple[Box | None, Box | None]  # of either picture; None: the whole of it
Sizes = tuple[tuple[int, int], tuple[int, int]]  # width and height of either picture


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two copies on one grid. a, b: float32 [h, w, 3], 0 to 255. inside: bool [h, w], where both show something.

    to_a, to_b: [3, 3], from the grid's pixels to those of either picture (of b: mirrored first, if it was).
    zoom: pixels of the grid per pixel of the coarser picture.
    """

    a: np.ndarray
    b: np.ndarray
    inside: np.ndarray
    to_a: np.ndarray
    to_b: np.ndarray
    zoom: float


def lay_over(a: np.ndarray, b: np.ndarray, placement: Placement) -> Alignment:
    """Both pictures (uint8 RGB) on the grid of the coarser one; b as the placement mirrors it."""
    b = np.ascontiguousarray(b[:, ::-1]) if placement.mirrored else b
    b_is_finer = scale(placement.homography, b.shape) < 1  # a pixel of b is smaller than one of a
    coarse, fine = (a, b) if b_is_finer else (b, a)
    fine_to_coarse = placement.homography if b_is_finer else np.linalg.inv(placement.homography)
    zoom = min(1.0, WORK / max(coarse.shape[:2]))
    size = max(1, round(coarse.shape[1] * zoom)), max(1, round(coarse.shape[0] * zoom))
    base = cv2.resize(coarse, size, interpolation=cv2.INTER_AREA) if zoom < 1 else coarse
    to_grid = _scaling(size[0] / coarse.shape[1], size[1] / coarse.shape[0]) @ fine_to_coarse
    to_grid = _refined(base, fine, to_grid)
    laid, inside = _warp(fine, to_grid, size)
    back_fine, back_coarse = np.linalg.inv(to_grid), _scaling(coarse.shape[1] / size[0], coarse.shape[0] / size[1])
    first, second = (base, laid) if b_is_finer else (laid, base)
    to_a, to_b = (back_coarse, back_fine) if b_is_finer else (back_fine, back_coarse)
    return Alignment(first.astype(np.float32), second.astype(np.float32), inside, to_a, to_b, zoom)


def scale(homography: np.ndarray, shape: tuple[int, ...]) -> float:
    """How much larger the middle of a picture of that shape gets."""
    x, y = shape[1] / 2, shape[0] / 2
    corners = np.array([[x, y], [x + 1, y], [x, y + 1]], np.float64)
    to = cv2.perspectiveTransform(corners[None], homography)[0]
    return float(np.sqrt(abs(np.linalg.det(np.stack([to[1] - to[0], to[2] - to[0]])))))


def _scaling(x: float, y: float) -> np.ndarray:
    """Pixels' middles stay at their places: (i + 1/2) x - 1/2."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _warp(fine: np.ndarray, to_grid: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The finer picture on the grid, shrunk by area first; and where it lies, without its outermost pixels."""
    zoom = scale(to_grid, fine.shape)
    if zoom < 1:
        small = max(1, round(fine.shape[1] * zoom)), max(1, round(fine.shape[0] * zoom))
        to_grid = to_grid @ _scaling(fine.shape[1] / small[0], fine.shape[0] / small[1])
        fine = cv2.resize(fine, small, interpolation=cv2.INTER_AREA)
    laid = cv2.warpPerspective(fine, to_grid, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    cover = np.zeros(fine.shape[:2], np.uint8)
    cover[2:-2, 2:-2] = 1
    return laid, cv2.warpPerspective(cover, to_grid, size, flags=cv2.INTER_NEAREST).astype(bool)


def _refined(base: np.ndarray, fine: np.ndarray, to_grid: np.ndarray) -> np.ndarray:
    """The placement after ECC (Evangelidis and Psarakis, PAMI 2008); as it was where that finds nothing better."""
    zoom = min(1.0, REFINE / max(base.shape[:2]))
    size = max(1, round(base.shape[1] * zoom)), max(1, round(base.shape[0] * zoom))
    small = _scaling(zoom, zoom)
    template = cv2.resize(cv2.cvtColor(base, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    laid, inside = _warp(fine, small @ to_grid, size)
    moving = cv2.cvtColor(laid, cv2.COLOR_RGB2GRAY)
    if inside.sum() < 1000:
        return to_grid
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-5)
    step: Any = np.eye(3, dtype=np.float32)
    try:
        before = cv2.computeECC(template, moving, inside.astype(np.uint8))
        after, step = cv2.findTransformECC(
            template, moving, step, cv2.MOTION_HOMOGRAPHY, criteria, inside.astype(np.uint8), 5
        )
    except cv2.error:  # it does not converge on what has no texture
        return to_grid
    moved = np.abs(step - np.eye(3)) @ np.array([size[0], size[1], 1])
    if after <= before or moved[:2].max() > 6:
        return to_grid
    found: np.ndarray = np.linalg.inv(small) @ np.linalg.inv(step.astype(np.float64)) @ small @ to_grid
    return found / found[2, 2]


def sections(a: np.ndarray, b: np.ndarray) -> Iterator[Sections]:
    """Which parts of two pictures are tried; none of two plain photographs."""
    of_a, of_b = ([None, *(found.box for found in find_pictures(p)[:INSIDE])] for p in (a, b))
    yield from (pair for pair in product(of_a, of_b) if any(pair))


def cut(pixels: np.ndarray, box: Box | None) -> np.ndarray:
    """What is in a box."""
    if box is None:
        return pixels
    left, top, right, bottom = box
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def regions(boxes: Sections, sizes: Sizes, *, mirrored: bool) -> tuple[Box, Box]:
    """What is compared of either picture, the whole of (width, height) if it is; of the second as it is mirrored."""
    (first, second), (of_a, of_b) = boxes, sizes
    second = (of_b[0] - second[2], second[1], of_b[0] - second[0], second[3]) if second and mirrored else second
    return first or (0, 0, *of_a), second or (0, 0, *of_b)


def in_whole(aligned: Alignment, compared: tuple[Box, Box]) -> Alignment:
    """Parts that were laid over each other, with the grid's places in the whole pictures."""
    first, second = (np.array([[1, 0, box[0]], [0, 1, box[1]], [0, 0, 1]], np.float64) for box in compared)
    return replace(aligned, to_a=first @ aligned.to_a, to_b=second @ aligned.to_b)
