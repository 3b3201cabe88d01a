"""Are two pictures copies of one, and if so, what did somebody change?

What they are to each other, and how sure that is, are two logistic curves over what was found. The
coefficients are set by hand, by what a few dozen copies of training pictures showed; a confidence
is therefore a grade, not a measured frequency.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import cv2
import numpy as np

from causalclip.examination.alignment import (
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
from causalclip.examination.change_map import Blocks, ChangedBlocks, find_changes, hull, measure
from causalclip.examination.keypoints import (
    Epipolar,
    KeypointIndex,
    Placement,
    epipolar,
    place,
    search_zoom,
)
from causalclip.images.formats import Box
from causalclip.languages import N_, _, ngettext, number, paragraph, percent

Answer = Literal["same picture", "same scene, another moment", "no match"]
SIMILAR = 0.6  # of a block's structure: above it, both copies show the same there
MIN_CONFIDENCE, MAX_CONFIDENCE = 0.5, 0.95  # confidences that are said: more was not measured
SURELY_SAME: tuple[Answer, float] = "same picture", MAX_CONFIDENCE
# of the smaller picture, that points of one picture span: a camera that turned shares a corner
# alone
MIN_SPAN = 0.25
# log2 of the points that agree, their share, the area they span (at most 1), the share of similar
# blocks, 1
MATCH = (2.0, 4.0, 2.0, 4.0, -16.0)
SAME = (0.5, 4.0, 2.0, 20.0, -19.0)
# Points on one epipolar geometry, their share, and the area they span: pairs of different rooms of
# training had 8 at most, of one room 34 at least; a logo or a caption that two pictures share spans
# little.
SCENE_POINTS, SCENE_SHARE, SCENE_SPREAD = 20, 0.4, 0.05
# pixel by pixel
EQUAL = Placement(np.eye(3), mirrored=False, inliers=0, share=1.0, spread=1.0, method="SIFT")
ANSWERS: dict[Answer, str] = {
    "same picture": N_("Same picture"),
    "same scene, another moment": N_("Same scene, another moment"),
    "no match": N_("No match"),
}
INSIDE = (
    N_(
        "The picture inside the first one is compared: from ({left}, {top}) to ({right}, {bottom})."
    ),
    N_(
        "The picture inside the second one is compared: from ({left}, {top}) to ({right}, "
        "{bottom})."
    ),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A part that differs. box_a, box_b: left, top, right, bottom in pixels of either picture as it
    was given.

    share: of what both show. strength: how far it differs beyond what compression explains, in
    standard deviations.
    """

    box_a: Box
    box_b: Box
    share: float
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two pictures, compared.

    answer, confidence: what they are to each other, and how sure that is, in [0, 1]. changes: the
    strongest first; none where they are no copies of one picture. mirrored: left and right are
    swapped. scale: a pixel of b in pixels of a.
    overlap: the share of each picture (a, b) that the other shows, too. points: image points that
    agree.
    similar: the share of textured blocks that show the same. changed: the share of the overlap that
    differs.
    sizes: (width, height) of a and b. identical: every pixel is the same. inside: of a picture that
    is a screenshot or a page, the box of the picture in it, which alone was compared; else None.
    aligned: for drawing; None without a match.
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
    inside: Sections = (None, None)
    seconds: float = 0.0
    aligned: Alignment | None = None

    @property
    def sentence(self) -> str:
        """What the answer means, for a person."""
        return sentence(self)


def compare(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Compares two pictures: uint8 RGB [H, W, 3] each, upright
    (causalclip.images.loading.load_image).

    Crops, sizes, mirroring, mild differences of tone and sharpness, and compression are
    compensated, and are not told as changes. Where one of them is a screenshot or a page, the
    picture inside it is compared. The order does not change the answer.
    """
    started = time.perf_counter()
    of_a, of_b = _searched(a), _searched(b)
    found = _laid(a, b, EQUAL if np.array_equal(a, b) else place(of_a(None), of_b(None)))
    if found.answer != "same picture":
        inside = (
            _laid(a, b, place(of_a(one), of_b(other)), boxes=(one, other))
            for one, other in sections(a, b)
        )
        same = (part for part in inside if part.answer == "same picture")
        found = next(same, None) or (found if found.aligned else _from_two_points(a, b, found))
    return replace(found, seconds=time.perf_counter() - started)


def _searched(pixels: np.ndarray) -> Callable[[Box | None], KeypointIndex]:
    """What is in a box of the picture, searched once: each is laid over up to three parts of the
    other picture."""
    return cache(lambda box: KeypointIndex(cut(pixels, box)))


def _laid(
    a: np.ndarray, b: np.ndarray, placement: Placement | None, *, boxes: Sections = (None, None)
) -> Comparison:
    """One laid over the other; boxes: the part of either that is compared, of which the placement
    is."""
    sizes = ((a.shape[1], a.shape[0]), (b.shape[1], b.shape[0]))
    a, b = cut(a, boxes[0]), cut(b, boxes[1])
    if placement is None or not plausible(placement, b.shape, a.shape):
        return Comparison(*judge(evidence(placement, None)), sizes=sizes)
    aligned = lay_over(a, b, placement)
    blocks = measure(aligned)
    equal = placement is EQUAL
    answer, confidence = SURELY_SAME if equal else judge(evidence(placement, blocks))
    if answer == "no match":
        return Comparison(answer, confidence, sizes=sizes)
    compared = regions(boxes, sizes, mirrored=placement.mirrored)
    aligned = in_whole(aligned, compared)
    found = find_changes(blocks) if answer == "same picture" else []
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
    return (
        replace(found, answer=judged[0], confidence=judged[1], points=seen.inliers)
        if judged
        else found
    )


def plausible(placement: Placement, shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    """Whether a picture of a shape can lie so over another: not folded, or turned inside out, or,
    at the sizes at which both are searched, smaller than a tenth."""
    h, w = shape[:2]
    corners = np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float64)
    to = cv2.perspectiveTransform(corners, placement.homography)[0]
    depth = np.append(corners[0], np.ones((4, 1)), 1) @ placement.homography[2]
    sides = np.roll(to, -1, 0) - to
    turns = sides[:, 0] * np.roll(sides, -1, 0)[:, 1] - sides[:, 1] * np.roll(sides, -1, 0)[:, 0]
    size = scale(placement.homography, shape) * search_zoom(onto) / search_zoom(shape)
    return bool((depth > 0).all() and (turns > 0).all() and 0.1 < size < 10)


def _change(
    part: ChangedBlocks, blocks: Blocks, aligned: Alignment, mirrored: bool, sizes: Sizes
) -> Change:
    a, b = (hull(part.mask, to, blocks.side) for to in (aligned.to_a, aligned.to_b))
    if mirrored:
        b = b * [-1, 1] + [sizes[1][0], 0]
    share = float(part.mask.sum() / blocks.inside.sum())
    return Change(_box(a, sizes[0]), _box(b, sizes[1]), share, part.strength)


def _box(corners: np.ndarray, size: tuple[int, int]) -> Box:
    """Around corners [K, 2], inside a picture of (width, height)."""
    (left, top), (right, bottom) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    width, height = size
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


def _overlaps(aligned: Alignment, compared: tuple[Box, Box], sizes: Sizes) -> tuple[float, float]:
    """How much of either picture the other shows, too."""
    both = np.ones(aligned.inside.shape, bool)
    for to, (left, top, right, bottom) in zip((aligned.to_a, aligned.to_b), compared, strict=True):
        corners = np.array(
            [[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64
        )
        on_grid = cv2.perspectiveTransform(corners - 0.5, np.linalg.inv(to))[0]
        both &= (
            cv2.fillConvexPoly(
                np.zeros(both.shape, np.uint8), on_grid.round().astype(np.int32), (1,)
            )
            > 0
        )
    areas = [float(both.sum()) * scale(to, both.shape) ** 2 for to in (aligned.to_a, aligned.to_b)]
    first, second = (
        min(1.0, area / (width * height))
        for area, (width, height) in zip(areas, sizes, strict=True)
    )
    return first, second


def evidence(placement: Placement | None, blocks: Blocks | None) -> tuple[float, ...]:
    """The numbers that the curves are over."""
    if placement is None:
        return (0.0, 0.0, 0.0, 0.0, 1.0)
    share = similar(blocks) if blocks else 0.0
    return (
        math.log2(1 + placement.inliers),
        placement.share,
        min(1.0, placement.spread),
        share,
        1.0,
    )


def similar(blocks: Blocks) -> float:
    """The share of textured blocks that show the same in both."""
    return (
        float((blocks.similarity[blocks.textured] > SIMILAR).mean())
        if blocks.textured.any()
        else 0.0
    )


def judge(found: tuple[float, ...]) -> tuple[Answer, float]:
    """The answer and its confidence, in [MIN_CONFIDENCE, MAX_CONFIDENCE]."""
    match, same = _logistic(found, MATCH), _logistic(found, SAME) if found[2] >= MIN_SPAN else 0.0
    if match < 0.5:
        return "no match", _confidence(1 - match)
    if same < 0.5:
        return "same scene, another moment", _confidence(match * (1 - same))
    return "same picture", _confidence(match * same)


def scene(found: Epipolar) -> tuple[Answer, float] | None:
    """The answer where the points of two pictures agree on one place seen from two points; None
    where they do not."""
    if found.inliers < SCENE_POINTS or found.share < SCENE_SHARE or found.spread < SCENE_SPREAD:
        return None
    return "same scene, another moment", _confidence(1 - SCENE_POINTS / (2 * found.inliers))


def _logistic(found: tuple[float, ...], weights: tuple[float, ...]) -> float:
    total = sum(x * w for x, w in zip(found, weights, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def _confidence(share: float) -> float:
    return min(MAX_CONFIDENCE, max(MIN_CONFIDENCE, share))


def sentence(found: Comparison) -> str:
    """What the answer means, for a person."""
    if found.answer == "no match":
        return _(
            "Too few points of the two pictures agree. They show different things, or one was "
            "cropped or changed so far that this comparison cannot lay it over the other."
        )
    if found.answer == "same scene, another moment":
        return _(
            "Many points agree, but the pictures do not lie on each other: two photographs of one "
            "place or thing, or a copy made anew from top to bottom. What differs is not drawn, "
            "because nearly everything does."
        )
    if found.identical:
        return _("Every pixel is the same in both.")
    boxes = [(said, box) for said, box in zip(INSIDE, found.inside, strict=True) if box]
    said = [_(said, left=box[0], top=box[1], right=box[2], bottom=box[3]) for said, box in boxes]
    said += [
        _changes(found),
        _("Left and right are swapped.") if found.mirrored else "",
        _overlap(found),
    ]
    said += [
        _(
            "A difference of size, crop, tone, sharpness or compression alone does not count as a "
            "change."
        )
    ]
    return paragraph(*said)


def headline(found: Comparison) -> str:
    """The answer in one line."""
    answer = _(ANSWERS[found.answer])
    if found.identical:
        return _("{answer}, pixel for pixel", answer=answer)
    if found.answer == "same picture":
        n = len(found.changes)
        count = ngettext("one part differs", "{n} parts differ", n) if n else _("nothing differs")
        return _("{answer}, {count}", answer=answer, count=count)
    return answer


def confidence(found: Comparison) -> str:
    """How sure the answer is, as a sentence; "" where every pixel is the same."""
    if found.identical:
        return ""
    return _("Confidence: {percent}.", percent=percent(found.confidence))


def row(place: int, change: Change) -> str:
    """A change in one line; `place` is the number beside its box."""
    left, top, right, bottom = change.box_a
    return _(
        "{place}: {percent} of what both show, from ({left}, {top}) to ({right}, {bottom}) in the "
        "first picture; {times} times the spread that compression explains",
        place=place,
        percent=percent(change.share, digits=1),
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        times=number(round(change.strength)),
    )


def _changes(found: Comparison) -> str:
    if not found.changes:
        return _(
            "No part differs by more than compression explains. Small or faint changes can be "
            "missed."
        )
    return ngettext(
        "One part differs, {percent} of what both show. That says what was changed between the "
        "two, not which of them came first.",
        "{n} parts differ, {percent} of what both show. That says what was changed between the "
        "two, not which of them came first.",
        len(found.changes),
        percent=percent(found.changed, digits=1),
    )


def _overlap(found: Comparison) -> str:
    first, second = found.overlap
    if min(first, second) > 0.97:
        return ""
    return _(
        "The second shows {first} of the first, and the first {second} of the second; the rest "
        "is not compared.",
        first=percent(first),
        second=percent(second),
    )
