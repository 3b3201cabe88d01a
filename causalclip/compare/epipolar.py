"""Two photographs of one place from two points: a homography does not lay them over each other, but every point of one
lies on a line of the other (epipolar geometry; Hartley and Zisserman, Multiple View Geometry, chapter 9)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from causalclip.compare.keypoints import SIDE, find, matches, searched

POINTS, CONTRAST = 4000, 0.01  # more and fainter points than for a copy: few of a place are seen from both sides
NEAR = 1.5  # px at SIDE, from a point to its line
LEAST = 8  # matches below which no geometry is tried


@dataclass(frozen=True, slots=True)
class Epipolar:
    """inliers: matches that agree with one geometry. share: of all. spread: area of their hull, the smaller."""

    inliers: int
    share: float
    spread: float


NOTHING = Epipolar(0, 0.0, 0.0)


def epipolar(a: np.ndarray, b: np.ndarray) -> Epipolar:
    """How many points of two pictures (uint8 RGB [H, W, 3]) agree with two views of one rigid scene."""
    greys = [searched(p, smallest=SIDE)[0] for p in (a, b)]
    first, second = (find(grey, "SIFT", points=POINTS, contrast=CONTRAST) for grey in greys)
    pairs = matches(first.described, second.described, cv2.NORM_L2)
    if len(pairs) < LEAST:
        return NOTHING
    to, of = first.at[pairs[:, 0]], second.at[pairs[:, 1]]
    cv2.setRNGSeed(0)  # the same two pictures get the same answer
    geometry, inside = cv2.findFundamentalMat(of, to, cv2.USAC_MAGSAC, NEAR, 0.999, 10000)
    if geometry is None or inside is None:
        return NOTHING
    agreed = inside.ravel().astype(bool)
    if not agreed.any():
        return NOTHING
    spread = min(cv2.contourArea(cv2.convexHull(p[agreed])) / g.size for p, g in zip((to, of), greys, strict=True))
    return Epipolar(int(agreed.sum()), float(agreed.mean()), spread)
