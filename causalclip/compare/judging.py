"""What two pictures are to each other, and how sure that is: two logistic curves over what was found.

The coefficients are set by hand, by what a few dozen copies of training pictures showed; a confidence is therefore a
grade, not a measured frequency.
"""

from __future__ import annotations

import math
from typing import Literal

from causalclip.compare.blocks import Blocks
from causalclip.compare.epipolar import Epipolar
from causalclip.compare.keypoints import Placement

Answer = Literal["same picture", "same scene, another moment", "no match"]
SIMILAR = 0.6  # of a block's structure: above it, both copies show the same there
LEAST, MOST = 0.5, 0.95  # confidences that are said: more was not measured
WIDE = 0.25  # of the smaller picture, that points of one picture span: a camera that turned shares a corner alone
# log2 of the points that agree, their share, the area they span (at most 1), the share of similar blocks, 1
MATCH = (2.0, 4.0, 2.0, 4.0, -16.0)
SAME = (0.5, 4.0, 2.0, 20.0, -19.0)
# Points on one epipolar geometry, their share, and the area they span: pairs of different rooms of training had 8 at
# most, of one room 34 at least; a logo or a caption that two pictures share spans little.
SCENE_POINTS, SCENE_SHARE, SCENE_SPREAD = 20, 0.4, 0.05


def evidence(placement: Placement | None, blocks: Blocks | None) -> tuple[float, ...]:
    """The numbers that the curves are over."""
    if placement is None:
        return (0.0, 0.0, 0.0, 0.0, 1.0)
    share = similar(blocks) if blocks else 0.0
    return (math.log2(1 + placement.inliers), placement.share, min(1.0, placement.spread), share, 1.0)


def similar(blocks: Blocks) -> float:
    """The share of textured blocks that show the same in both."""
    return float((blocks.similarity[blocks.textured] > SIMILAR).mean()) if blocks.textured.any() else 0.0


def judge(found: tuple[float, ...]) -> tuple[Answer, float]:
    """The answer and its confidence, in [LEAST, MOST]."""
    match, same = _logistic(found, MATCH), _logistic(found, SAME) if found[2] >= WIDE else 0.0
    if match < 0.5:
        return "no match", _said(1 - match)
    return (
        ("same picture", _said(match * same))
        if same >= 0.5
        else ("same scene, another moment", _said(match * (1 - same)))
    )


def scene(found: Epipolar) -> tuple[Answer, float] | None:
    """The answer where the points of two pictures agree on one place seen from two points; None where they do not."""
    if found.inliers < SCENE_POINTS or found.share < SCENE_SHARE or found.spread < SCENE_SPREAD:
        return None
    return "same scene, another moment", _said(1 - SCENE_POINTS / (2 * found.inliers))


def _logistic(found: tuple[float, ...], weights: tuple[float, ...]) -> float:
    total = sum(x * w for x, w in zip(found, weights, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def _said(confidence: float) -> float:
    return min(MOST, max(LEAST, confidence))
