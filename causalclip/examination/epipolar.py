"""Whether two photographs show one place from two points of view.

They do not lie over each other by a homography, but every point of one lies on a line of the other
(epipolar geometry; Hartley and Zisserman, Multiple View Geometry, chapter 9).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from causalclip.examination.keypoints import (
    SEARCHED_SIDE,
    find_keypoints,
    matches,
    search_image,
)

# more and fainter points than for a copy, as few of a place are seen from both sides
POINTS, CONTRAST = 4000, 0.01
MAX_DISTANCE = 1.5  # px at SEARCHED_SIDE, from a point to its line
MIN_MATCHES = 8  # matches below which no geometry is tried


@dataclass(frozen=True, slots=True)
class Epipolar:
    """How well two pictures agree with two views of one rigid scene.

    Attributes:
        inliers: how many matches agree with one geometry.
        share: of all matches, that agree.
        spread: the area of their hull, as a share of the picture where that is smaller.
    """

    inliers: int = 0
    share: float = 0.0
    spread: float = 0.0


def epipolar(a: np.ndarray, b: np.ndarray) -> Epipolar:
    """Return how well the points of two pictures, uint8 RGB [H, W, 3] each, agree with two views of
    one rigid scene."""
    # 1. The matches
    greys = [search_image(pixels, smallest=SEARCHED_SIDE)[0] for pixels in (a, b)]
    first, second = (
        find_keypoints(grey, "SIFT", points=POINTS, contrast=CONTRAST) for grey in greys
    )
    pairs = matches(first.descriptors, second.descriptors, cv2.NORM_L2)
    if len(pairs) < MIN_MATCHES:
        return Epipolar()
    places = first.places[pairs[:, 0]], second.places[pairs[:, 1]]

    # 2. The geometry that most of them agree with
    cv2.setRNGSeed(0)  # the same two pictures get the same answer
    geometry, agreeing = cv2.findFundamentalMat(
        places[1], places[0], cv2.USAC_MAGSAC, MAX_DISTANCE, 0.999, 10000
    )
    if geometry is None or agreeing is None or not agreeing.any():
        return Epipolar()
    inliers = agreeing.ravel().astype(bool)

    # 3. How much of the pictures they span
    spread = min(
        cv2.contourArea(cv2.convexHull(points[inliers])) / grey.size
        for points, grey in zip(places, greys, strict=True)
    )
    return Epipolar(int(inliers.sum()), float(inliers.mean()), spread)
