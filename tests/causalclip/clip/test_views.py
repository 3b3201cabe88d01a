"""The plan of views: bounded, inside the picture, the whole covered, windows untouched by resampling."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalclip.clip.views import MAX_SQUARES, WINDOWS, View, plan_views, render

SIDES = st.integers(64, 9000)


@given(SIDES, SIDES)
@settings(max_examples=200, deadline=None)
def test_views_are_few_and_inside(width: int, height: int) -> None:
    views = plan_views(width, height)
    assert 1 <= sum(v.kind == "whole" for v in views) <= MAX_SQUARES
    assert sum(v.kind == "window" for v in views) <= WINDOWS
    for view in views:
        left, top, right, bottom = view.box
        assert 0 <= left < right <= width + 1e-6
        assert 0 <= top < bottom <= height + 1e-6
        assert right - left == pytest.approx(bottom - top)


@given(SIDES, SIDES)
@settings(max_examples=200, deadline=None)
def test_squares_cover_all_but_very_long_pictures(width: int, height: int) -> None:
    long, short = max(width, height), min(width, height)
    axis = 0 if width >= height else 1
    spans = sorted((v.box[axis], v.box[axis + 2]) for v in plan_views(width, height) if v.kind == "whole")
    gaps = [max(0.0, start - end) for (_, end), (start, _) in itertools.pairwise(spans)]
    missed = spans[0][0] + long - spans[-1][1] + sum(gaps)
    if long <= MAX_SQUARES * short:
        assert missed <= 0.11 * short  # a square that would add a tenth or less is not spent
    assert len(spans) == 1 or missed == pytest.approx(sum(gaps), abs=1e-6)  # both ends are seen


def test_small_pictures_have_no_windows() -> None:
    assert {v.kind for v in plan_views(260, 260)} == {"whole"}
    assert sum(v.kind == "window" for v in plan_views(300, 270)) == WINDOWS
    assert {v.kind for v in plan_views(40, 38, size=32)} == {"whole"}


@pytest.mark.parametrize("windows", [2, 4, 6, 8, 9])
@pytest.mark.parametrize(("width", "height"), [(1000, 500), (500, 1000)])
def test_windows_spread_along_the_longer_side(width: int, height: int, windows: int) -> None:
    boxes = [v.box for v in plan_views(width, height, windows=windows) if v.kind == "window"]
    columns, rows = len({box[0] for box in boxes}), len({box[1] for box in boxes})
    assert columns * rows == len(set(boxes)) <= windows
    assert columns >= rows if width > height else rows >= columns


def test_windows_are_the_pictures_own_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (301, 407, 3), np.uint8)
    windows = [v for v in plan_views(407, 301) if v.kind == "window"]
    assert {v.box[2] - v.box[0] for v in windows} == {224}
    for view, seen in zip(windows, render(pixels, windows), strict=True):
        left, top, right, bottom = (int(x) for x in view.box)
        assert (left, top, right, bottom) == view.box
        assert np.array_equal((seen.permute(1, 2, 0) * 255).round().byte().numpy(), pixels[top:bottom, left:right])


def test_a_square_is_what_lies_in_its_box() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 200:] = 255
    squares = [v for v in plan_views(300, 100) if v.kind == "whole"]
    assert [v.box[0] for v in squares] == [0, 100, 200]
    means = render(pixels, squares, size=32).mean((1, 2, 3)).tolist()
    assert means == pytest.approx([0, 0, 1], abs=0.02)


def test_large_pictures_cost_no_more_views_than_small_ones() -> None:
    assert len(plan_views(8000, 6000)) == len(plan_views(800, 600))
    assert View("whole", (1000.0, 0.0, 7000.0, 6000.0)) not in plan_views(8000, 6000)  # 4:3 takes two squares


def test_windows_of_large_pictures_are_of_a_copy_as_large_as_training_saw() -> None:
    sides = [[v.box[2] - v.box[0] for v in plan_views(long, 1500) if v.kind == "window"] for long in (2048, 4096)]
    assert sides == [[224] * WINDOWS, [448] * WINDOWS]
