"""Points that two pictures have in common, and the homography that lays one over the other.

SIFT with Hellinger's kernel (Arandjelovic and Zisserman, CVPR 2012, "RootSIFT") first, ORB where it finds too little;
MAGSAC++ (Barath et al., CVPR 2020, through OpenCV) for the homography; each on the picture and on its mirror image.

Two photographs of one place from two points do not lie over each other by a homography, but every point of one lies on
a line of the other (epipolar geometry; Hartley and Zisserman, Multiple View Geometry, chapter 9).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np

SIDE = 1000  # px on the long side of what is searched for points
SMALLEST = 480  # px: a smaller picture is enlarged to it, or it has too few points
NARROWEST = 8  # px of the short side of what is searched: a banner has no points
POINTS, CONTRAST = 3000, 0.02
RATIO = 0.8  # a match must be so much nearer than the second best (Lowe, IJCV 2004)
NEAR = 3.0  # px at SIDE: how far a point may land from its match
LEAST = 12  # matches below which no homography is tried
ENOUGH = 40  # matches that agree, with which nothing else is tried
# Of the points of the picture that has fewer: below it the mirror image is tried, too, as a room is nearly its own.
CLEAR = 1 / 3
# Of two points of view: more and fainter points than for a copy, as few of a place are seen from both sides.
EPIPOLAR_POINTS, EPIPOLAR_CONTRAST = 4000, 0.01
EPIPOLAR_NEAR = 1.5  # px at SIDE, from a point to its line
EPIPOLAR_LEAST = 8  # matches below which no geometry is tried

Method = Literal["SIFT", "ORB"]


@dataclass(frozen=True, slots=True)
class Placement:
    """How `b` lies over `a`.

    homography: [3, 3], from pixels of b (mirrored first, if `mirrored`) to pixels of a. mirrored: left and right.
    inliers: matches that agree with it. share: of all matches. spread: the area of their hull, of the smaller picture.
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
    """A picture at search size, and the points that are found in it: once each, however many it is laid over.

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
            needed = max(ENOUGH, 0 if mirrored else CLEAR * min(len(points.at), len(there.at)))
            if best and best.inliers >= needed:
                return _in_full(best, a.zoom, b.zoom)
    return _in_full(best, a.zoom, b.zoom) if best else None


def _in_full(best: Placement, zoom_a: float, zoom_b: float) -> Placement:
    """The placement between the pictures at their own sizes."""
    full = np.diag([1 / zoom_a, 1 / zoom_a, 1]) @ best.homography @ np.diag([zoom_b, zoom_b, 1])
    return replace(best, homography=full / full[2, 2])


def search_image(pixels: np.ndarray, *, smallest: int = SMALLEST) -> tuple[np.ndarray, float]:
    """Luminance at search size with its contrast evened out, and the zoom that took it there."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    zoom = search_zoom(grey.shape, smallest=smallest)
    if zoom != 1:
        size = max(1, round(grey.shape[1] * zoom)), max(1, round(grey.shape[0] * zoom))  # a banner gets that narrow
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    return cv2.createCLAHE(2.0, (8, 8)).apply(grey), zoom


def search_zoom(shape: tuple[int, ...], *, smallest: int = SMALLEST) -> float:
    """The zoom at which a picture of that shape (rows, columns) is searched."""
    long = max(shape[:2])
    return min(SIDE, max(smallest, long)) / long


def find(grey: np.ndarray, method: Method, *, points: int = POINTS, contrast: float = CONTRAST) -> Keypoints:
    """The most distinct points of a picture; contrast: what a SIFT point must have at least."""
    none = Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, 1), np.float32))
    if min(grey.shape) < NARROWEST:  # SIFT's own octaves get down to nothing there
        return none
    finder: Any = (
        cv2.SIFT.create(nfeatures=points, contrastThreshold=contrast) if method == "SIFT" else cv2.ORB.create(points)
    )
    found, described = finder.detectAndCompute(grey, None)
    if described is None:
        return none
    if method == "SIFT":
        described = np.sqrt(described / np.maximum(described.sum(1, keepdims=True), 1e-6))
    return Keypoints(np.array([p.pt for p in found], np.float32), described)


def _fit(a: Keypoints, b: Keypoints, method: Method, mirrored: bool, area: int) -> Placement | None:
    pairs = matches(a.described, b.described, cv2.NORM_L2 if method == "SIFT" else cv2.NORM_HAMMING)
    if len(pairs) < LEAST:
        return None
    to, of = a.at[pairs[:, 0]], b.at[pairs[:, 1]]
    cv2.setRNGSeed(0)  # the same two pictures get the same answer
    homography, inside = cv2.findHomography(of, to, cv2.USAC_MAGSAC, NEAR, maxIters=5000, confidence=0.999)
    if homography is None or inside is None or inside.sum() < LEAST // 2:
        return None
    agreed = inside.ravel().astype(bool)
    hulls = [cv2.contourArea(cv2.convexHull(points[agreed])) for points in (to, of)]
    return Placement(homography, mirrored, int(agreed.sum()), float(agreed.mean()), max(hulls) / area, method)


def matches(a: np.ndarray, b: np.ndarray, norm: int) -> np.ndarray:
    """Rows of (point of a, point of b), [M, 2]: nearest to each other, and clearly nearer than the second best."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros((0, 2), int)
    matcher = cv2.BFMatcher(norm)
    there, back = ({m.queryIdx: m.trainIdx for m in _clear(matcher, *pair)} for pair in ((a, b), (b, a)))
    return np.array([(i, j) for i, j in there.items() if back.get(j) == i], int).reshape(-1, 2)


def _clear(matcher: Any, of: np.ndarray, to: np.ndarray) -> list[Any]:
    return [best for best, second in matcher.knnMatch(of, to, k=2) if best.distance < RATIO * second.distance]


@dataclass(frozen=True, slots=True)
class Epipolar:
    """inliers: matches that agree with one geometry. share: of all. spread: area of their hull, the smaller."""

    inliers: int
    share: float
    spread: float


NOTHING = Epipolar(0, 0.0, 0.0)


def epipolar(a: np.ndarray, b: np.ndarray) -> Epipolar:
    """How many points of two pictures (uint8 RGB [H, W, 3]) agree with two views of one rigid scene."""
    greys = [search_image(p, smallest=SIDE)[0] for p in (a, b)]
    first, second = (find(grey, "SIFT", points=EPIPOLAR_POINTS, contrast=EPIPOLAR_CONTRAST) for grey in greys)
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
    spread = min(cv2.contourArea(cv2.convexHull(p[agreed])) / g.size for p, g in zip((to, of), greys, strict=True))
    return Epipolar(int(agreed.sum()), float(agreed.mean()), spread)
