"""Points that two pictures have in common, and how one lies over the other by them.

SIFT with Hellinger's kernel (Arandjelovic and Zisserman, CVPR 2012, "RootSIFT"), and MAGSAC++
(Barath et al., CVPR 2020, through OpenCV) for the homography; each on the picture and on its mirror
image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

SEARCHED_SIDE = 1000  # px on the long side of what is searched for points
MIN_SIDE = 480  # px: a smaller picture is enlarged to it, or it has too few points
MIN_SHORT_SIDE = 8  # px of the short side of what is searched: a banner has no points
MAX_POINTS = 3000
MIN_CONTRAST = 0.02
RATIO = 0.8  # a match must be so much nearer than the second best (Lowe, IJCV 2004)
MAX_ERROR = 3.0  # px at SEARCHED_SIDE: how far a point may land from its match
MIN_MATCHES = 12  # matches below which no homography is tried
ENOUGH_MATCHES = 40  # matches that agree, with which nothing else is tried
# Of the points of the picture that has fewer: below it the mirror image is tried, too, as a room is
# nearly its own.
CLEAR_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Placement:
    """The place of `b` over `a`.

    Attributes:
        homography: [3, 3], from pixels of b (mirrored first, if `mirrored`) to pixels of a.
        mirrored: left and right are exchanged.
        inliers: how many matches agree with it.
        share: of all matches, that agree.
        spread: the area of their hull, as a share of the smaller picture.
    """

    homography: np.ndarray
    mirrored: bool
    inliers: int
    share: float
    spread: float


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Distinct points of a picture.

    Attributes:
        places: [N, 2], in px of what was searched.
        descriptors: [N, D].
    """

    places: np.ndarray
    descriptors: np.ndarray


class KeypointIndex:
    """A picture at search size, and its points, which are searched for once, however many pictures
    it is laid over.

    Args:
        pixels: uint8 RGB [H, W, 3].
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.grey, self.zoom = _search_image(pixels)
        self._keypoints: dict[bool, Keypoints] = {}

    def points(self, *, mirrored: bool = False) -> Keypoints:
        """Return the points of the picture, or of its mirror image."""
        if mirrored not in self._keypoints:
            grey = np.ascontiguousarray(self.grey[:, ::-1]) if mirrored else self.grey
            self._keypoints[mirrored] = _find_keypoints(grey)
        return self._keypoints[mirrored]


def place(a: KeypointIndex, b: KeypointIndex) -> Placement | None:
    """Return the best placement of one picture over another; None where nothing agrees."""
    best: Placement | None = None
    area = min(a.grey.size, b.grey.size)
    points_a = a.points()
    for mirrored in (False, True):
        points_b = b.points(mirrored=mirrored)
        placement = _fit(points_a, points_b, mirrored, area)
        if placement and (best is None or placement.inliers > best.inliers):
            best = placement
        fewer = min(len(points_a.places), len(points_b.places))
        if best and best.inliers >= max(ENOUGH_MATCHES, CLEAR_SHARE * fewer):
            break
    return _at_own_sizes(best, a.zoom, b.zoom) if best else None


def _at_own_sizes(placement: Placement, zoom_a: float, zoom_b: float) -> Placement:
    """Return the placement between the pictures at their own sizes."""
    to_search = np.diag([zoom_b, zoom_b, 1])
    from_search = np.diag([1 / zoom_a, 1 / zoom_a, 1])
    homography = from_search @ placement.homography @ to_search
    return replace(placement, homography=homography / homography[2, 2])


def _search_image(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the luminance at search size, its contrast evened out, and the zoom that took it
    there."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    zoom = search_zoom(grey.shape)
    if zoom != 1:
        # a banner gets that narrow
        size = max(1, round(grey.shape[1] * zoom)), max(1, round(grey.shape[0] * zoom))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    return cv2.createCLAHE(2.0, (8, 8)).apply(grey), zoom


def search_zoom(shape: tuple[int, ...]) -> float:
    """Return the zoom at which a picture of that shape (rows, columns) is searched."""
    long = max(shape[:2])
    return min(SEARCHED_SIDE, max(MIN_SIDE, long)) / long


def _find_keypoints(grey: np.ndarray) -> Keypoints:
    """Find the most distinct points of a picture, uint8 [H, W], by SIFT (Lowe, IJCV 2004)."""
    nothing = Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, 1), np.float32))
    if min(grey.shape) < MIN_SHORT_SIDE:  # SIFT's own octaves get down to nothing there
        return nothing
    sift = cv2.SIFT.create(nfeatures=MAX_POINTS, contrastThreshold=MIN_CONTRAST)
    points, descriptors = sift.detectAndCompute(grey, None)  # type: ignore[call-overload]
    if descriptors is None:
        return nothing
    descriptors = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-6))
    return Keypoints(np.array([point.pt for point in points], np.float32), descriptors)


def _fit(a: Keypoints, b: Keypoints, mirrored: bool, area: int) -> Placement | None:
    """Fit a homography to the matches; None where too few agree. area: of the smaller picture."""
    pairs = matches(a.descriptors, b.descriptors)
    if len(pairs) < MIN_MATCHES:
        return None
    places_a = a.places[pairs[:, 0]]
    places_b = b.places[pairs[:, 1]]
    cv2.setRNGSeed(0)  # the same two pictures get the same answer
    homography, agreeing = cv2.findHomography(
        places_b, places_a, cv2.USAC_MAGSAC, MAX_ERROR, maxIters=5000, confidence=0.999
    )
    if homography is None or agreeing is None or agreeing.sum() < MIN_MATCHES // 2:
        return None
    inliers = agreeing.ravel().astype(bool)
    hulls = [cv2.contourArea(cv2.convexHull(p[inliers])) for p in (places_a, places_b)]
    return Placement(
        homography=homography,
        mirrored=mirrored,
        inliers=int(inliers.sum()),
        share=float(inliers.mean()),
        spread=max(hulls) / area,
    )


def matches(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return rows of (point of a, point of b), [M, 2]: nearest to each other, and clearly nearer
    than the second best."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros((0, 2), int)
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    to_b = _clear_matches(matcher, a, b)
    to_a = _clear_matches(matcher, b, a)
    mutual = [(i, j) for i, j in to_b.items() if to_a.get(j) == i]
    return np.array(mutual, int).reshape(-1, 2)


def _clear_matches(matcher: Any, source: np.ndarray, target: np.ndarray) -> dict[int, int]:
    """Return each source point's match, where that is clearly nearer than the second best."""
    return {
        best.queryIdx: best.trainIdx
        for best, second in matcher.knnMatch(source, target, k=2)
        if best.distance < RATIO * second.distance
    }
