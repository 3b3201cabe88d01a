"""Are two pictures copies of one, and if so, what did somebody change? The one question of this room."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np

from causalclip.compare.alignment import Aligned, lay_over, scale
from causalclip.compare.blocks import Blocks, measure
from causalclip.compare.changes import Part, find_parts, outline
from causalclip.compare.epipolar import epipolar
from causalclip.compare.judging import MOST, Answer, evidence, judge, scene, similar
from causalclip.compare.keypoints import Placement, Searched, place, searched_at
from causalclip.compare.within import Box, Parts, Sizes, cut, in_whole, parts, regions
from causalclip.compare.words import sentence

SURE: tuple[Answer, float] = "same picture", MOST
EQUAL = Placement(np.eye(3), mirrored=False, inliers=0, share=1.0, spread=1.0, method="SIFT")  # pixel by pixel


@dataclass(frozen=True, slots=True)
class Change:
    """A part that differs. box_a, box_b: left, top, right, bottom in pixels of either picture as it was given.

    share: of what both show. strength: how far it differs beyond what compression explains, in standard deviations.
    """

    box_a: Box
    box_b: Box
    share: float
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two pictures, compared.

    answer, confidence: what they are to each other, and how sure that is, in [0, 1]. changes: the strongest first; none
    where they are no copies of one picture. mirrored: left and right are swapped. scale: a pixel of b in pixels of a.
    overlap: the share of each picture (a, b) that the other shows, too. points: image points that agree.
    similar: the share of textured blocks that show the same. changed: the share of the overlap that differs.
    sizes: (width, height) of a and b. identical: every pixel is the same. inside: of a picture that is a screenshot or
    a page, the box of the picture in it, which alone was compared; else None. aligned: for drawing; None without a
    match.
    """

    answer: Answer
    confidence: float
    sizes: Sizes
    changes: tuple[Change, ...] = ()
    identical: bool = False
    mirrored: bool = False
    scale: float = 1.0
    overlap: tuple[float, float] = (0.0, 0.0)
    points: int = 0
    similar: float = 0.0
    changed: float = 0.0
    inside: Parts = (None, None)
    seconds: float = 0.0
    aligned: Aligned | None = None

    @property
    def sentence(self) -> str:
        """What the answer means, for a person."""
        return sentence(self)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, without arrays."""
        numbers = ("answer", "confidence", "sentence", "identical", "mirrored", "scale", "points", "similar", "changed")
        plain = {name: getattr(self, name) for name in numbers}
        return plain | {
            "overlap": list(self.overlap),
            "changes": [
                asdict(change) | {"box_a": list(change.box_a), "box_b": list(change.box_b)} for change in self.changes
            ],
            "sizes": [list(size) for size in self.sizes],
            "inside": [list(box) if box else None for box in self.inside],
            "seconds": self.seconds,
        }


def compare(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Compares two pictures: uint8 RGB [H, W, 3] each, upright (causalclip.pictures.loading.load_image).

    Crops, sizes, mirroring, mild differences of tone and sharpness, and compression are compensated, and are not told
    as changes. Where one of them is a screenshot or a page, the picture inside it is compared. The order does not
    change the answer.
    """
    started = time.perf_counter()
    of_a, of_b = _searched(a), _searched(b)
    found = _laid(a, b, EQUAL if np.array_equal(a, b) else place(of_a(None), of_b(None)))
    if found.answer != "same picture":
        inside = (_laid(a, b, place(of_a(one), of_b(other)), boxes=(one, other)) for one, other in parts(a, b))
        same = (part for part in inside if part.answer == "same picture")
        found = next(same, None) or (found if found.aligned else _from_two_points(a, b, found))
    return replace(found, seconds=time.perf_counter() - started)


def _searched(pixels: np.ndarray) -> Callable[[Box | None], Searched]:
    """What is in a box of the picture, searched once: each is laid over up to three parts of the other picture."""
    return cache(lambda box: Searched(cut(pixels, box)))


def _laid(a: np.ndarray, b: np.ndarray, placement: Placement | None, *, boxes: Parts = (None, None)) -> Comparison:
    """One laid over the other; boxes: the part of either that is compared, of which the placement is."""
    sizes = ((a.shape[1], a.shape[0]), (b.shape[1], b.shape[0]))
    a, b = cut(a, boxes[0]), cut(b, boxes[1])
    if placement is None or not plausible(placement, b.shape, a.shape):
        return Comparison(*judge(evidence(placement, None)), sizes=sizes)
    aligned = lay_over(a, b, placement)
    blocks = measure(aligned)
    equal = placement is EQUAL
    answer, confidence = SURE if equal else judge(evidence(placement, blocks))
    if answer == "no match":
        return Comparison(answer, confidence, sizes=sizes)
    compared = regions(boxes, sizes, mirrored=placement.mirrored)
    aligned = in_whole(aligned, compared)
    found = find_parts(blocks) if answer == "same picture" else []
    covered = np.any([part.mask for part in found], 0) if found else np.zeros_like(blocks.inside)
    return Comparison(
        answer,
        confidence,
        sizes=sizes,
        changes=tuple(_change(part, blocks, aligned, placement.mirrored, sizes) for part in found),
        identical=equal,
        mirrored=placement.mirrored,
        scale=scale(placement.homography, b.shape),
        overlap=_overlaps(aligned, compared, sizes),
        points=placement.inliers,
        similar=1.0 if equal else similar(blocks),
        changed=float(covered.sum() / max(1, blocks.inside.sum())),
        inside=boxes,
        aligned=aligned,
    )


def _from_two_points(a: np.ndarray, b: np.ndarray, found: Comparison) -> Comparison:
    """Two pictures of which neither lies over the other: of one place from two points, perhaps."""
    seen = epipolar(a, b)
    judged = scene(seen)
    return replace(found, answer=judged[0], confidence=judged[1], points=seen.inliers) if judged else found


def plausible(placement: Placement, shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    """Whether a picture of a shape can lie so over another: not folded, or turned inside out, or, at the sizes at which
    both are searched, smaller than a tenth."""
    h, w = shape[:2]
    corners = np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float64)
    to = cv2.perspectiveTransform(corners, placement.homography)[0]
    depth = np.append(corners[0], np.ones((4, 1)), 1) @ placement.homography[2]
    sides = np.roll(to, -1, 0) - to
    turns = sides[:, 0] * np.roll(sides, -1, 0)[:, 1] - sides[:, 1] * np.roll(sides, -1, 0)[:, 0]
    size = scale(placement.homography, shape) * searched_at(onto) / searched_at(shape)
    return bool((depth > 0).all() and (turns > 0).all() and 0.1 < size < 10)


def _change(part: Part, blocks: Blocks, aligned: Aligned, mirrored: bool, sizes: Sizes) -> Change:
    a, b = (outline(part.mask, to, blocks.side) for to in (aligned.to_a, aligned.to_b))
    if mirrored:
        b = b * [-1, 1] + [sizes[1][0], 0]
    share = float(part.mask.sum() / blocks.inside.sum())
    return Change(_box(a, sizes[0]), _box(b, sizes[1]), share, part.strength)


def _box(corners: np.ndarray, size: tuple[int, int]) -> Box:
    """Around corners [K, 2], inside a picture of (width, height)."""
    (left, top), (right, bottom) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    width, height = size
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


def _overlaps(aligned: Aligned, compared: tuple[Box, Box], sizes: Sizes) -> tuple[float, float]:
    """How much of either picture the other shows, too."""
    both = np.ones(aligned.inside.shape, bool)
    for to, (left, top, right, bottom) in zip((aligned.to_a, aligned.to_b), compared, strict=True):
        corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64)
        on_grid = cv2.perspectiveTransform(corners - 0.5, np.linalg.inv(to))[0]
        both &= cv2.fillConvexPoly(np.zeros(both.shape, np.uint8), on_grid.round().astype(np.int32), (1,)) > 0
    areas = [float(both.sum()) * scale(to, both.shape) ** 2 for to in (aligned.to_a, aligned.to_b)]
    first, second = (min(1.0, area / (width * height)) for area, (width, height) in zip(areas, sizes, strict=True))
    return first, second
