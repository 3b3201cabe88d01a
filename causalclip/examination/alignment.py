"""One copy laid over the other, on one grid, at the coarser one's resolution; of a page, the
picture inside it.

Which points two pictures have in common: SIFT with Hellinger's kernel (Arandjelovic and Zisserman,
CVPR 2012, "RootSIFT") first, ORB where it finds too little; MAGSAC++ (Barath et al., CVPR 2020,
through OpenCV) for the homography; each on the picture and on its mirror image. Two photographs of
one place from two points do not lie over each other by a homography, but every point of one lies on
a line of the other (epipolar geometry; Hartley and Zisserman, Multiple View Geometry, chapter 9).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import cv2
import numpy as np

from causalclip.images.formats import Box
from causalclip.images.subimages import find_pictures

WORK = 800  # px on the long side of what is compared
INSIDE = 2  # pictures inside one that are tried, the largest first
REFINE = 480  # px on the long side where the placement is refined

Sections = tuple[Box | None, Box | None]  # of either picture; None: the whole of it
Sizes = tuple[tuple[int, int], tuple[int, int]]  # width and height of either picture


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two copies on one grid. a, b: float32 [h, w, 3], 0 to 255. inside: bool [h, w], where both
    show something.

    to_a, to_b: [3, 3], from the grid's pixels to those of either picture (of b: mirrored first, if
    it was).
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
    back_fine, back_coarse = (
        np.linalg.inv(to_grid),
        _scaling(coarse.shape[1] / size[0], coarse.shape[0] / size[1]),
    )
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


def _warp(
    fine: np.ndarray, to_grid: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The finer picture on the grid, shrunk by area first; and where it lies, without its outermost
    pixels."""
    zoom = scale(to_grid, fine.shape)
    if zoom < 1:
        small = max(1, round(fine.shape[1] * zoom)), max(1, round(fine.shape[0] * zoom))
        to_grid = to_grid @ _scaling(fine.shape[1] / small[0], fine.shape[0] / small[1])
        fine = cv2.resize(fine, small, interpolation=cv2.INTER_AREA)
    laid = cv2.warpPerspective(
        fine, to_grid, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    cover = np.zeros(fine.shape[:2], np.uint8)
    cover[2:-2, 2:-2] = 1
    return laid, cv2.warpPerspective(cover, to_grid, size, flags=cv2.INTER_NEAREST).astype(bool)


def _refined(base: np.ndarray, fine: np.ndarray, to_grid: np.ndarray) -> np.ndarray:
    """The placement after ECC (Evangelidis and Psarakis, PAMI 2008); as it was where that finds
    nothing better."""
    zoom = min(1.0, REFINE / max(base.shape[:2]))
    size = max(1, round(base.shape[1] * zoom)), max(1, round(base.shape[0] * zoom))
    small = _scaling(zoom, zoom)
    template = cv2.resize(
        cv2.cvtColor(base, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA
    )
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
    found: np.ndarray = (
        np.linalg.inv(small) @ np.linalg.inv(step.astype(np.float64)) @ small @ to_grid
    )
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
    """What is compared of either picture, the whole of (width, height) if it is; of the second as
    it is mirrored."""
    (first, second), (of_a, of_b) = boxes, sizes
    second = (
        (of_b[0] - second[2], second[1], of_b[0] - second[0], second[3])
        if second and mirrored
        else second
    )
    return first or (0, 0, *of_a), second or (0, 0, *of_b)


def in_whole(aligned: Alignment, compared: tuple[Box, Box]) -> Alignment:
    """Parts that were laid over each other, with the grid's places in the whole pictures."""
    first, second = (
        np.array([[1, 0, box[0]], [0, 1, box[1]], [0, 0, 1]], np.float64) for box in compared
    )
    return replace(aligned, to_a=first @ aligned.to_a, to_b=second @ aligned.to_b)


SEARCHED_SIDE = 1000  # px on the long side of what is searched for points
MIN_SIDE = 480  # px: a smaller picture is enlarged to it, or it has too few points
MIN_SHORT_SIDE = 8  # px of the short side of what is searched: a banner has no points
POINTS, CONTRAST = 3000, 0.02
RATIO = 0.8  # a match must be so much nearer than the second best (Lowe, IJCV 2004)
MAX_ERROR = 3.0  # px at SEARCHED_SIDE: how far a point may land from its match
MIN_MATCHES = 12  # matches below which no homography is tried
ENOUGH_MATCHES = 40  # matches that agree, with which nothing else is tried
# Of the points of the picture that has fewer: below it the mirror image is tried, too, as a room is
# nearly its own.
CLEAR_SHARE = 1 / 3
# Of two points of view: more and fainter points than for a copy, as few of a place are seen from
# both sides.
EPIPOLAR_POINTS, EPIPOLAR_CONTRAST = 4000, 0.01
EPIPOLAR_NEAR = 1.5  # px at SEARCHED_SIDE, from a point to its line
EPIPOLAR_LEAST = 8  # matches below which no geometry is tried

Method = Literal["SIFT", "ORB"]


@dataclass(frozen=True, slots=True)
class Placement:
    """How `b` lies over `a`.

    homography: [3, 3], from pixels of b (mirrored first, if `mirrored`) to pixels of a. mirrored:
    left and right.
    inliers: matches that agree with it. share: of all matches. spread: the area of their hull, of
    the smaller picture.
    """

    homography: np.ndarray
    mirrored: bool
    inliers: int
    share: float
    spread: float
    method: Method


@dataclass(frozen=True, slots=True)
class Keypoints:
    """at: [N, 2], px of what was searched. described: [N, D]."""

    at: np.ndarray
    described: np.ndarray


class KeypointIndex:
    """A picture at search size, and the points that are found in it: once each, however many it is
    laid over.

    Args:
        pixels: uint8 RGB [H, W, 3].
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.grey, self.zoom = search_image(pixels)
        self._found: dict[tuple[Method, bool], Keypoints] = {}

    def points(self, method: Method, *, mirrored: bool = False) -> Keypoints:
        """Of the picture, or of its mirror image."""
        if (method, mirrored) not in self._found:
            grey = np.ascontiguousarray(self.grey[:, ::-1]) if mirrored else self.grey
            self._found[method, mirrored] = find(grey, method)
        return self._found[method, mirrored]


def place(a: KeypointIndex, b: KeypointIndex) -> Placement | None:
    """The best placement of one picture over another; None where nothing agrees."""
    best: Placement | None = None
    methods: tuple[Method, ...] = ("SIFT", "ORB")
    for method in methods:
        points = a.points(method)
        for mirrored in (False, True):
            there = b.points(method, mirrored=mirrored)
            found = _fit(points, there, method, mirrored, min(a.grey.size, b.grey.size))
            if found and (best is None or found.inliers > best.inliers):
                best = found
            needed = max(
                ENOUGH_MATCHES, 0 if mirrored else CLEAR_SHARE * min(len(points.at), len(there.at))
            )
            if best and best.inliers >= needed:
                return _in_full(best, a.zoom, b.zoom)
    return _in_full(best, a.zoom, b.zoom) if best else None


def _in_full(best: Placement, zoom_a: float, zoom_b: float) -> Placement:
    """The placement between the pictures at their own sizes."""
    full = np.diag([1 / zoom_a, 1 / zoom_a, 1]) @ best.homography @ np.diag([zoom_b, zoom_b, 1])
    return replace(best, homography=full / full[2, 2])


def search_image(pixels: np.ndarray, *, smallest: int = MIN_SIDE) -> tuple[np.ndarray, float]:
    """Luminance at search size with its contrast evened out, and the zoom that took it there."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    zoom = search_zoom(grey.shape, smallest=smallest)
    if zoom != 1:
        # a banner gets that narrow
        size = max(1, round(grey.shape[1] * zoom)), max(1, round(grey.shape[0] * zoom))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    return cv2.createCLAHE(2.0, (8, 8)).apply(grey), zoom


def search_zoom(shape: tuple[int, ...], *, smallest: int = MIN_SIDE) -> float:
    """The zoom at which a picture of that shape (rows, columns) is searched."""
    long = max(shape[:2])
    return min(SEARCHED_SIDE, max(smallest, long)) / long


def find(
    grey: np.ndarray, method: Method, *, points: int = POINTS, contrast: float = CONTRAST
) -> Keypoints:
    """The most distinct points of a picture; contrast: what a SIFT point must have at least."""
    none = Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, 1), np.float32))
    if min(grey.shape) < MIN_SHORT_SIDE:  # SIFT's own octaves get down to nothing there
        return none
    finder: Any = (
        cv2.SIFT.create(nfeatures=points, contrastThreshold=contrast)
        if method == "SIFT"
        else cv2.ORB.create(points)
    )
    found, described = finder.detectAndCompute(grey, None)
    if described is None:
        return none
    if method == "SIFT":
        described = np.sqrt(described / np.maximum(described.sum(1, keepdims=True), 1e-6))
    return Keypoints(np.array([p.pt for p in found], np.float32), described)


def _fit(a: Keypoints, b: Keypoints, method: Method, mirrored: bool, area: int) -> Placement | None:
    pairs = matches(a.described, b.described, cv2.NORM_L2 if method == "SIFT" else cv2.NORM_HAMMING)
    if len(pairs) < MIN_MATCHES:
        return None
    to, of = a.at[pairs[:, 0]], b.at[pairs[:, 1]]
    cv2.setRNGSeed(0)  # the same two pictures get the same answer
    homography, inside = cv2.findHomography(
        of, to, cv2.USAC_MAGSAC, MAX_ERROR, maxIters=5000, confidence=0.999
    )
    if homography is None or inside is None or inside.sum() < MIN_MATCHES // 2:
        return None
    agreed = inside.ravel().astype(bool)
    hulls = [cv2.contourArea(cv2.convexHull(points[agreed])) for points in (to, of)]
    return Placement(
        homography, mirrored, int(agreed.sum()), float(agreed.mean()), max(hulls) / area, method
    )


def matches(a: np.ndarray, b: np.ndarray, norm: int) -> np.ndarray:
    """Rows of (point of a, point of b), [M, 2]: nearest to each other, and clearly nearer than the
    second best."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros((0, 2), int)
    matcher = cv2.BFMatcher(norm)
    there, back = (
        {m.queryIdx: m.trainIdx for m in _clear(matcher, *pair)} for pair in ((a, b), (b, a))
    )
    return np.array([(i, j) for i, j in there.items() if back.get(j) == i], int).reshape(-1, 2)


def _clear(matcher: Any, of: np.ndarray, to: np.ndarray) -> list[Any]:
    return [
        best
        for best, second in matcher.knnMatch(of, to, k=2)
        if best.distance < RATIO * second.distance
    ]


@dataclass(frozen=True, slots=True)
class Epipolar:
    """inliers: matches that agree with one geometry. share: of all. spread: area of their hull, the
    smaller."""

    inliers: int
    share: float
    spread: float


NOTHING = Epipolar(0, 0.0, 0.0)


def epipolar(a: np.ndarray, b: np.ndarray) -> Epipolar:
    """How many points of two pictures (uint8 RGB [H, W, 3]) agree with two views of one rigid
    scene."""
    greys = [search_image(p, smallest=SEARCHED_SIDE)[0] for p in (a, b)]
    first, second = (
        find(grey, "SIFT", points=EPIPOLAR_POINTS, contrast=EPIPOLAR_CONTRAST) for grey in greys
    )
    pairs = matches(first.described, second.described, cv2.NORM_L2)
    if len(pairs) < EPIPOLAR_LEAST:
        return NOTHING
    to, of = first.at[pairs[:, 0]], second.at[pairs[:, 1]]
    cv2.setRNGSeed(0)  # the same two pictures get the same answer
    geometry, inside = cv2.findFundamentalMat(of, to, cv2.USAC_MAGSAC, EPIPOLAR_NEAR, 0.999, 10000)
    if geometry is None or inside is None:
        return NOTHING
    agreed = inside.ravel().astype(bool)
    if not agreed.any():
        return NOTHING
    spread = min(
        cv2.contourArea(cv2.convexHull(p[agreed])) / g.size
        for p, g in zip((to, of), greys, strict=True)
    )
    return Epipolar(int(agreed.sum()), float(agreed.mean()), spread)
