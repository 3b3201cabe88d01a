"""Maps: exact sums, right places, one scale for all pictures, and what was not seen shown as such."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causalclip.clip.views import plan_views
from causalclip.detector import Detection, ViewAttribution
from causalclip.maps.heatmap import canvas_size, lay, picture_map, placed, seams, seen, unplaced
from causalclip.maps.maskgrid import _blocks, draw_mask, mask_words, mean_masks
from causalclip.maps.overlay import Drawing, draw_map, prepare, shrink
from causalclip.maps.words import face, no_place, tied_to_no_place
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo
from tests.pace import slowness


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(160, 120))


def made(*views: ViewAttribution, width: int = 400, height: int = 400) -> Detection:
    """A detection of these views; everything else is arbitrary."""
    return Detection(
        0.5, 0.0, "inconclusive", 0.2, 0.8, width, height, views, 0.0, (), (("cls:1", 6),), "m", "r", "float32", 0.1
    )


def view(patches: np.ndarray, box: tuple[float, float, float, float], kind: str = "whole") -> ViewAttribution:
    mask = np.linspace(0, 1, 6, dtype=np.float32)
    grid = np.asarray(patches, np.float32)
    return ViewAttribution(kind, box, grid, -grid, 0.0, mask, np.zeros(6, np.float32), 0.0)  # type: ignore[arg-type]


def planned(width: int, height: int) -> Detection:
    """A detection of a picture of this size with random contributions in the real plan of views."""
    rng = np.random.default_rng(0)
    views = [view(rng.normal(0, 0.02, (14, 14)), v.box, v.kind) for v in plan_views(width, height)]
    return made(*views, width=width, height=height)


def hot(row: int, column: int) -> np.ndarray:
    patches = np.zeros((4, 4))
    patches[row, column] = 0.02
    return patches


# The numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["causal", "non_causal"])
@pytest.mark.parametrize(("width", "height"), [(256, 256), (300, 451), (96, 64), (1000, 150), (4000, 3000)])
def test_the_map_adds_up_to_all_contributions(width: int, height: int, which: Any) -> None:
    detection = planned(width, height)
    for smooth in (False, True):
        density = picture_map(detection, which, smooth=smooth)
        assert max(density.shape) == 512
        assert 100 * density.mean(dtype=np.float64) == pytest.approx(placed(detection.views, which), abs=1e-4)
    for side in (3, 900):
        laid = lay(detection, which, columns=side, rows=side)
        assert laid.sum(dtype=np.float64) == pytest.approx(placed(detection.views, which), abs=1e-4)


def test_places_and_rest_make_the_logit(detection: Detection) -> None:
    own = detection.rest + sum(v.rest for v in detection.views)
    assert unplaced(detection) == pytest.approx(own, abs=1e-4)
    assert placed(detection.views) + unplaced(detection) == pytest.approx(detection.logit, abs=1e-4)


@pytest.mark.parametrize(("rest", "share"), [(0.0, 0.0), (1.0, 0.5), (-1.0, 0.5), (3.0, 0.75)])
def test_the_share_without_a_place_is_that_of_the_logit(detection: Detection, rest: float, share: float) -> None:
    here = placed(detection.views)
    other = replace(detection, logit=here + rest * here)
    assert tied_to_no_place(other) == pytest.approx(share, abs=1e-4)
    assert no_place(other).startswith(f"{100 * share:.0f} % of ")
    assert face(Drawing(np.zeros((4, 4), np.uint8), other)).startswith(f"{100 * share:.0f} % of ")
    empty = tuple(replace(v, causal=np.zeros_like(v.causal)) for v in detection.views)
    assert tied_to_no_place(replace(detection, views=empty, logit=0.0)) == 0.0


def test_a_patch_is_drawn_where_it_was_seen_and_overlaps_add_up() -> None:
    one = view(hot(1, 2), (100, 200, 300, 400))
    drawn = picture_map(made(one), side=400, unit="patch")
    assert np.all(drawn[250:300, 200:250] == pytest.approx(0.02))
    assert np.abs(drawn).sum() == pytest.approx(0.02 * 50 * 50, rel=1e-4)
    np.testing.assert_allclose(picture_map(made(one, one), side=400, unit="patch"), 2 * drawn)


def test_per_patch_the_size_of_the_picture_does_not_matter() -> None:
    small = made(view(hot(2, 1), (0, 0, 400, 400)))
    large = made(view(hot(2, 1), (0, 0, 4000, 4000)), width=4000, height=4000)
    np.testing.assert_allclose(picture_map(small, unit="patch"), picture_map(large, unit="patch"), atol=1e-7)


def test_what_no_view_covers_is_not_seen() -> None:
    cover = seen(planned(1000, 150), columns=1000, rows=150)
    assert cover.all(0)[[*range(150), *range(425, 575), *range(850, 1000)]].all()
    assert not cover[:, 160:420].any()
    assert seen(planned(640, 427), columns=320, rows=200).all()


# The drawing ----------------------------------------------------------------------------------------------------------


def middle(value: float, **options: Any) -> np.ndarray:
    """The colour in the middle of a picture whose patches all add `value`."""
    drawing = Drawing(np.full((400, 400), 128, np.uint8), made(view(np.full((4, 4), value), (0, 0, 400, 400))))
    return np.asarray(draw_map(drawing, **options))[200, 200].astype(int)


def test_no_evidence_is_grey_and_signs_have_their_colours() -> None:
    assert np.ptp(middle(0.0)) <= 2
    red, green, blue = middle(0.02)
    assert red > green > blue, "orange pushes towards generated"
    red, green, blue = middle(-0.02)
    assert blue > red > green, "purple pushes towards not generated"
    np.testing.assert_array_equal(middle(0.02, which="non_causal"), middle(-0.02))


def test_the_scale_is_fixed_not_the_pictures_own() -> None:
    weak, strong, stronger = (middle(v) for v in (0.0015, 0.015, 0.15))
    assert np.ptp(weak) < 0.4 * np.ptp(strong)
    np.testing.assert_array_equal(strong, stronger)


def test_unseen_parts_are_hatched_without_colour() -> None:
    wide = np.asarray(draw_map(prepare(photo(1000, 150), planned(1000, 150))))
    hatch = wide[70, 200:400].astype(int)
    assert len(np.unique(hatch, axis=0)) == 2
    assert np.all(np.ptp(hatch, axis=1) == 0)


@pytest.mark.parametrize("size", [(2050, 1000), (1000, 2090), (3080, 1000)])
def test_no_bar_runs_through_a_picture_whose_squares_nearly_meet(size: tuple[int, int]) -> None:
    width, height = size
    even = [view(np.full((14, 14), 0.01), v.box, v.kind) for v in plan_views(width, height, windows=0)]
    detection = made(*even, width=width, height=height)
    assert seams(detection)
    assert not seams(planned(4000, 1000))  # a wide gap stays hatched
    small = np.full(canvas_size(width, height)[::-1], 128, np.uint8)
    drawn = np.asarray(draw_map(Drawing(small, detection), frame=False, bar=False, smooth=False))
    assert (drawn == drawn[0, 0]).all()


def test_windows_are_marked_and_whole_views_are_not() -> None:
    def drawn(kind: str) -> set[tuple[int, ...]]:
        detection = made(view(np.zeros((4, 4)), (0, 0, 400, 400), kind))
        picture = draw_map(Drawing(np.full((400, 400), 128, np.uint8), detection))
        return {tuple(int(c) for c in p) for p in np.asarray(picture)[:400, :400].reshape(-1, 3)}

    assert len(drawn("whole")) == 1
    assert {(255, 255, 255), (28, 25, 23)} <= drawn("window")


def test_the_colour_bar_is_the_same_for_all_and_words_stand_below_it(detection: Detection) -> None:
    first, second = (prepare(photo(160, 120), tiny_detector(seed=s).predict(photo(160, 120))) for s in (0, 1))
    plain, other = (np.asarray(draw_map(drawing)) for drawing in (first, second))
    rows = len(first.grey)
    np.testing.assert_array_equal(plain[rows:], other[rows:])
    told = np.asarray(draw_map(first, beside=face(first)))
    np.testing.assert_array_equal(told[: len(plain)], plain)
    assert told[len(plain) :].min() < 100  # ink


def test_a_drawing_is_small_whatever_the_picture_is() -> None:
    huge = np.broadcast_to(np.uint8(90), (6000, 8000, 3))
    assert prepare(huge, planned(8000, 6000)).grey.shape == (768, 1024)
    assert shrink(photo(70, 64)).shape == (64, 70, 3)
    assert max(prepare(photo(70, 64), planned(70, 64)).grey.shape) == 512


def test_a_map_is_drawn_within_its_budget() -> None:
    pixels, detection = photo(1024, 768), planned(1024, 768)
    spent = []
    for _ in range(6):
        started = time.process_time()
        draw_map(prepare(pixels, detection))
        spent.append(time.process_time() - started)
    assert min(spent) < 0.06 * slowness()


# The mask -------------------------------------------------------------------------------------------------------------


def test_the_mask_is_drawn_from_0_to_1(detection: Detection) -> None:
    def share(value: float, colour: tuple[int, int, int]) -> float:
        views = tuple(replace(v, mask=np.full_like(v.mask, value)) for v in detection.views)
        picture = np.asarray(draw_mask(replace(detection, views=views)))
        pixels = picture[: picture.shape[0] // 2].reshape(-1, 3)
        return float((np.abs(pixels.astype(int) - colour).max(1) < 4).mean())

    dark, bright = (68, 1, 84), (253, 231, 37)  # the ends of viridis
    assert share(0.0, dark) > 0.2 > share(0.0, bright)
    assert share(1.0, bright) > 0.2 > share(1.0, dark)


def test_masks_are_averaged_by_kind_and_sorted_within_each_layer(detection: Detection) -> None:
    masks = mean_masks(detection)
    windows = np.stack([v.mask for v in detection.views if v.kind == "window"])
    np.testing.assert_allclose(masks["window"], windows.mean(0))
    assert f"{masks['whole'].mean():.0%}" in mask_words(detection)
    for mask in masks.values():
        start = 0
        for (name, width), (drawn, block) in zip(detection.parts, _blocks(detection, mask), strict=True):
            assert drawn == name
            assert np.array_equal(block.ravel()[:width], np.sort(mask[start : start + width])[::-1])
            assert np.isnan(block.ravel()[width:]).all()
            start += width
