"""Compare two pictures: whether they are copies of one, and what somebody changed.

What they are to each other, and how sure that is, are two logistic curves over a few features. The
coefficients are set by hand, by what a few dozen copies of training pictures showed; a confidence
is therefore a grade, not a measured frequency.
"""

import math
import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from causalclip.compare.align import (
    Alignment,
    Sections,
    Sizes,
    cut,
    in_whole,
    lay_over,
    regions,
    scale,
    sections,
)
from causalclip.compare.difference import (
    ChangedRegion,
    DifferenceMap,
    find_changes,
    hull,
    measure,
)
from causalclip.compare.keypoints import KeypointIndex, Placement, place, search_zoom
from causalclip.compare.result import Answer, Change, Comparison, place_of
from causalclip.images.formats import Box

MIN_CONFIDENCE, MAX_CONFIDENCE = 0.5, 0.95  # that are told: more was not measured
SURELY_SAME: tuple[Answer, float] = "same picture", MAX_CONFIDENCE
# of the smaller picture, that points of one picture span: a camera that turned shares a corner
# alone
MIN_SPAN = 0.25
# weights of Features
MATCH = (2.0, 4.0, 2.0, 4.0, -16.0)
SAME = (0.5, 4.0, 2.0, 20.0, -19.0)
# pixel by pixel
EQUAL = Placement(np.eye(3), mirrored=False, inliers=0, share=1.0, spread=1.0)


class Features(NamedTuple):
    """Inputs of the two curves of `classify`."""

    points: float = 0.0  # log2 of one more than the points that agree
    share: float = 0.0  # of all matches, that agree
    span: float = 0.0  # of the smaller picture, that they span, at most 1
    similar: float = 0.0  # of what has texture, that shows the same
    bias: float = 1.0


def compare(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Compare two pictures, uint8 RGB [H, W, 3] each, upright (causalclip.images.loading).

    Crops, sizes, mirroring, mild differences of tone and sharpness, and compression are
    compensated, and are not told as changes. Where one of them is a screenshot or a page, the
    picture inside it is compared.
    """
    # 1. The whole pictures
    start = time.perf_counter()
    index_a, index_b = _index(a), _index(b)
    same_pixels = np.array_equal(a, b)
    whole = _compare_parts(a, b, EQUAL if same_pixels else place(index_a(None), index_b(None)))
    comparison = whole

    # 2. The pictures inside them
    if whole.answer != "same picture":
        inner = (
            _compare_parts(a, b, place(index_a(box_a), index_b(box_b)), boxes=(box_a, box_b))
            for box_a, box_b in sections(a, b)
        )
        copies = (part for part in inner if part.answer == "same picture")
        comparison = next(copies, whole)
    return comparison.model_copy(update={"seconds": time.perf_counter() - start})


def _index(pixels: np.ndarray) -> Callable[[Box | None], KeypointIndex]:
    """Return a function that gives the points in a box of a picture, searched once: each is laid
    over up to three parts of the other picture."""
    return cache(lambda box: KeypointIndex(cut(pixels, box)))


def _compare_parts(
    a: np.ndarray, b: np.ndarray, placement: Placement | None, *, boxes: Sections = (None, None)
) -> Comparison:
    """Compare two pictures, or a part of either, one laid over the other.

    Args:
        a, b: uint8 RGB [H, W, 3].
        placement: of the parts; None where nothing agrees.
        boxes: of the parts.
    """
    # 1. What they are to each other
    sizes = ((a.shape[1], a.shape[0]), (b.shape[1], b.shape[0]))
    a, b = cut(a, boxes[0]), cut(b, boxes[1])
    if placement is None or not _plausible(placement, b.shape, a.shape):
        answer, confidence = classify(features(placement, None))
        return Comparison(answer=answer, confidence=confidence, sizes=sizes)
    aligned = lay_over(a, b, placement)
    difference = measure(aligned)
    equal = placement is EQUAL
    answer, confidence = SURELY_SAME if equal else classify(features(placement, difference))
    if answer == "no match":
        return Comparison(answer=answer, confidence=confidence, sizes=sizes)

    # 2. Where they differ
    regions_of_both = regions(boxes, sizes, mirrored=placement.mirrored)
    aligned = in_whole(aligned, regions_of_both)
    regions_changed = find_changes(difference) if answer == "same picture" else []
    changed = sum(int(region.mask.sum()) for region in regions_changed)
    return Comparison(
        answer=answer,
        confidence=confidence,
        sizes=sizes,
        changes=tuple(
            _change(region, aligned, mirrored=placement.mirrored, sizes=sizes)
            for region in regions_changed
        ),
        identical=equal,
        mirrored=placement.mirrored,
        scale=scale(placement.homography, b.shape),
        overlap=_overlaps(aligned, regions_of_both, sizes),
        points=placement.inliers,
        similar=1.0 if equal else difference.similar_share,
        changed=float(changed / max(1, aligned.inside.sum())),
        inside=boxes,
        aligned=aligned,
    )


def _plausible(placement: Placement, shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    """Return whether a picture of a shape can lie so over another: neither folded nor turned inside
    out, and, at the sizes at which both are searched, between a tenth and ten times as large."""
    h, w = shape[:2]
    corners = np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float64)
    places = cv2.perspectiveTransform(corners, placement.homography)[0]
    depth = np.append(corners[0], np.ones((4, 1)), 1) @ placement.homography[2]
    sides = np.roll(places, -1, 0) - places
    turns = sides[:, 0] * np.roll(sides, -1, 0)[:, 1] - sides[:, 1] * np.roll(sides, -1, 0)[:, 0]
    size = scale(placement.homography, shape) * search_zoom(onto) / search_zoom(shape)
    return bool((depth > 0).all() and (turns > 0).all() and 0.1 < size < 10)


def _change(region: ChangedRegion, aligned: Alignment, *, mirrored: bool, sizes: Sizes) -> Change:
    corners_a = hull(region.mask, aligned.to_a)
    corners_b = hull(region.mask, aligned.to_b)
    if mirrored:
        corners_b = corners_b * [-1, 1] + [sizes[1][0], 0]
    box_a, box_b = _box(corners_a, sizes[0]), _box(corners_b, sizes[1])
    return Change(
        box_a=box_a,
        box_b=box_b,
        place=place_of(box_a, sizes[0]),
        share=float(region.mask.sum() / aligned.inside.sum()),
        strength=region.strength,
    )


def _box(corners: np.ndarray, size: tuple[int, int]) -> Box:
    """Return the box around corners [K, 2], inside a picture of (width, height)."""
    (left, top), (right, bottom) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    width, height = size
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


def _overlaps(aligned: Alignment, boxes: tuple[Box, Box], sizes: Sizes) -> tuple[float, float]:
    """Return how much of either picture the other shows, too."""
    # 1. What both show, on the grid
    both = np.ones(aligned.inside.shape, bool)
    to_pictures = aligned.to_a, aligned.to_b
    for to_picture, (left, top, right, bottom) in zip(to_pictures, boxes, strict=True):
        corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], float)
        on_grid = cv2.perspectiveTransform(corners - 0.5, np.linalg.inv(to_picture))[0]
        shape = np.zeros(both.shape, np.uint8)
        both &= cv2.fillConvexPoly(shape, on_grid.round().astype(np.int32), (1,)) > 0

    # 2. Its area in either picture
    first, second = (
        min(1.0, float(both.sum()) * scale(to_picture, both.shape) ** 2 / (width * height))
        for to_picture, (width, height) in zip(to_pictures, sizes, strict=True)
    )
    return first, second


def features(placement: Placement | None, difference: DifferenceMap | None) -> Features:
    """Return what tells whether two pictures are copies."""
    if placement is None:
        return Features()
    return Features(
        points=math.log2(1 + placement.inliers),
        share=placement.share,
        span=min(1.0, placement.spread),
        similar=difference.similar_share if difference else 0.0,
    )


def classify(values: Features) -> tuple[Answer, float]:
    """Return the answer and its confidence, in [MIN_CONFIDENCE, MAX_CONFIDENCE]."""
    match = _logistic(values, MATCH)
    same = _logistic(values, SAME) if values.span >= MIN_SPAN else 0.0
    if match < 0.5:
        return "no match", _confidence(1 - match)
    if same < 0.5:
        return "same scene, another moment", _confidence(match * (1 - same))
    return "same picture", _confidence(match * same)


def _logistic(values: Features, weights: tuple[float, ...]) -> float:
    total = sum(value * weight for value, weight in zip(values, weights, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def _confidence(share: float) -> float:
    return min(MAX_CONFIDENCE, max(MIN_CONFIDENCE, share))
