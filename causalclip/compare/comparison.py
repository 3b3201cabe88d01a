"""Are two pictures copies of one, and if so, what did somebody change? The one question of this room."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from causalclip.compare.alignment import Aligned, lay_over, scale
from causalclip.compare.blocks import Blocks, measure
from causalclip.compare.changes import Part, find_parts, outline
from causalclip.compare.epipolar import epipolar
from causalclip.compare.judging import MOST, Answer, evidence, judge, scene, similar
from causalclip.compare.keypoints import Placement, place
from causalclip.compare.words import sentence

Box = tuple[int, int, int, int]
Sizes = tuple[tuple[int, int], tuple[int, int]]
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
    sizes: (width, height) of a and b. placement, aligned: for drawing; None without a match.
    """

    answer: Answer
    confidence: float
    changes: tuple[Change, ...]
    mirrored: bool
    scale: float
    overlap: tuple[float, float]
    points: int
    similar: float
    changed: float
    sizes: Sizes
    seconds: float
    placement: Placement | None = None
    aligned: Aligned | None = None

    @property
    def sentence(self) -> str:
        """What the answer means, for a person."""
        return sentence(self)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, without arrays."""
        numbers = ("answer", "confidence", "sentence", "mirrored", "scale", "overlap", "points", "similar", "changed")
        plain = {name: getattr(self, name) for name in numbers}
        return plain | {
            "overlap": list(self.overlap),
            "changes": [
                asdict(change) | {"box_a": list(change.box_a), "box_b": list(change.box_b)} for change in self.changes
            ],
            "sizes": [list(size) for size in self.sizes],
            "seconds": self.seconds,
        }


def compare(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Compares two pictures: uint8 RGB [H, W, 3] each, upright (causalclip.pictures.loading.load_image).

    Crops, sizes, mirroring, mild differences of tone and sharpness, and compression are compensated, and are not told
    as changes. The order does not change the answer.
    """
    started = time.perf_counter()
    sizes = ((a.shape[1], a.shape[0]), (b.shape[1], b.shape[0]))
    equal = np.array_equal(a, b)
    placement = EQUAL if equal else place(a, b)
    if placement is None or not plausible(placement, b.shape):
        return _unplaced(a, b, judge(evidence(placement, None)), started)
    aligned = lay_over(a, b, placement)
    blocks = measure(aligned)
    answer, confidence = SURE if equal else judge(evidence(placement, blocks))
    if answer == "no match":
        return _unplaced(a, b, (answer, confidence), started)
    parts = find_parts(blocks) if answer == "same picture" else []
    changes = tuple(_change(part, blocks, aligned, placement.mirrored, sizes) for part in parts)
    covered = np.any([part.mask for part in parts], 0) if parts else np.zeros_like(blocks.inside)
    return Comparison(
        answer=answer,
        confidence=confidence,
        changes=changes,
        mirrored=placement.mirrored,
        scale=scale(placement.homography, b.shape),
        overlap=_overlaps(aligned, sizes),
        points=placement.inliers,
        similar=1.0 if equal else similar(blocks),
        changed=float(covered.sum() / max(1, blocks.inside.sum())),
        sizes=sizes,
        seconds=time.perf_counter() - started,
        placement=placement,
        aligned=aligned,
    )


def _unplaced(a: np.ndarray, b: np.ndarray, judged: tuple[Answer, float], started: float) -> Comparison:
    """Two pictures of which neither lies over the other: of one place from two points, perhaps."""
    seen = epipolar(a, b)
    answer, confidence = scene(seen) or judged
    return Comparison(
        answer=answer,
        confidence=confidence,
        changes=(),
        mirrored=False,
        scale=1.0,
        overlap=(0.0, 0.0),
        points=seen.inliers if answer != "no match" else 0,
        similar=0.0,
        changed=0.0,
        sizes=((a.shape[1], a.shape[0]), (b.shape[1], b.shape[0])),
        seconds=time.perf_counter() - started,
    )


def plausible(placement: Placement, shape: tuple[int, ...]) -> bool:
    """Whether a picture can lie so over another: not folded, turned inside out, or smaller than a tenth."""
    h, w = shape[:2]
    corners = np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float64)
    to = cv2.perspectiveTransform(corners, placement.homography)[0]
    depth = np.append(corners[0], np.ones((4, 1)), 1) @ placement.homography[2]
    sides = np.roll(to, -1, 0) - to
    turns = sides[:, 0] * np.roll(sides, -1, 0)[:, 1] - sides[:, 1] * np.roll(sides, -1, 0)[:, 0]
    return bool((depth > 0).all() and (turns > 0).all() and 0.1 < scale(placement.homography, shape) < 10)


def _change(part: Part, blocks: Blocks, aligned: Aligned, mirrored: bool, sizes: Sizes) -> Change:
    a, b = outline(part.mask, aligned.to_a), outline(part.mask, aligned.to_b)
    if mirrored:
        b = b * [-1, 1] + [sizes[1][0], 0]
    share = float(part.mask.sum() / blocks.inside.sum())
    return Change(_box(a, sizes[0]), _box(b, sizes[1]), share, part.strength)


def _box(corners: np.ndarray, size: tuple[int, int]) -> Box:
    """Around corners [K, 2], inside a picture of (width, height)."""
    (left, top), (right, bottom) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    width, height = size
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


def _overlaps(aligned: Aligned, sizes: Sizes) -> tuple[float, float]:
    """How much of either picture lies where both show something."""
    pixels = float(aligned.inside.sum())
    areas = [pixels * scale(to, aligned.inside.shape) ** 2 for to in (aligned.to_a, aligned.to_b)]
    first, second = (min(1.0, area / (width * height)) for area, (width, height) in zip(areas, sizes, strict=True))
    return first, second
