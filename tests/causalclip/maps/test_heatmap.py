"""Maps: exact sums, right places, one scale for all pictures, and what was not seen shown as such."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from skimage.color import rgb2lab

from causalclip.clip.views import plan_views
from causalclip.detector import Detection, SeenView
from causalclip.maps.heatmap import canvas_size, lay, picture_map, placed, seams, seen, unplaced
from causalclip.maps.maskgrid import _blocks, draw_mask, mask_words, mean_masks, part_name
from causalclip.maps.overlay import Drawing, draw_map, prepare, shrink
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo
from tests.pace import slowness

SIZES = [(256, 256), (640, 427), (300, 451), (96, 64), (1000, 150), (4000, 3000)]


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(160, 120))


def made(*views: SeenView, width: int = 400, height: int = 400) -> Detection:
    """A detection of these views; everything else is arbitrary."""
    return Detection(
        0.5, 0.0, "inconclusive", 0.2, 0.8, width, height, views, 0.0, (), (("cls:1", 6),), "m", "r", "float32", 0.1
    )


def view(patches: np.ndarray, box: tuple[float, float, float, float], kind: str = "whole") -> SeenView:
    mask = np.linspace(0, 1, 6, dtype=np.float32)
    grid = np.asarray(patches, np.float32)
    return SeenView(kind, box, grid, -grid, 0.0, mask, np.zeros(6, np.float32), 0.0)  # type: ignore[arg-type]


def planned(width: int, height: int, *, seed: int = 0) -> Detection:
    """A detection of a picture of this size with random contributions in the real plan of views."""
    rng = np.random.default_rng(seed)
    views = [view(rng.normal(0, 0.02, (14, 14)), v.box, v.kind) for v in plan_views(width, height)]
    return made(*views, width=width, height=height)


def hot(row: int, column: int, value: float = 0.02, grid: int = 4) -> np.ndarray:
    patches = np.zeros((grid, grid))
    patches[row, column] = value
    return patches


@pytest.mark.parametrize("size", [(2050, 1000), (1000, 2090), (3080, 1000)])
def test_no_bar_runs_through_a_picture_whose_squares_nearly_meet(size):
    width, height = size
    even = [view(np.full((14, 14), 0.01), v.box, v.kind) for v in plan_views(width, height, windows=0)]
    detection = made(*even, width=width, height=height)
    assert seams(detection)
    small = np.full(canvas_size(width, height)[::-1], 128, np.uint8)
    drawn = np.asarray(draw_map(Drawing(small, detection), frame=False, bar=False, smooth=False))
    assert (drawn == drawn[0, 0]).all()


def test_a_wide_gap_is_still_hatched():
    detection = planned(4000, 1000)
    assert not seams(detection)


# The numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("which", ["causal", "non_causal"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_map_adds_up_to_all_contributions(width, height, which, smooth):
    detection = planned(width, height)
    density = picture_map(detection, which, smooth=smooth)
    assert max(density.shape) == 512
    assert 100 * density.mean(dtype=np.float64) == pytest.approx(placed(detection.views, which), abs=1e-4)


@pytest.mark.parametrize("side", [3, 40, 900])
def test_the_sum_does_not_depend_on_the_canvas(side):
    detection = planned(640, 427)
    laid = lay(detection, "causal", columns=side, rows=side)
    assert laid.sum(dtype=np.float64) == pytest.approx(placed(detection.views), abs=1e-4)


def test_places_and_rest_make_the_logit(detection):
    own = detection.rest + sum(v.rest for v in detection.views)
    assert unplaced(detection) == pytest.approx(own, abs=1e-4)
    assert placed(detection.views) + unplaced(detection) == pytest.approx(detection.logit, abs=1e-4)


def test_a_patch_is_drawn_where_it_was_seen():
    detection = made(view(hot(1, 2), (100, 200, 300, 400)), width=400, height=400)
    drawn = picture_map(detection, side=400, unit="patch")
    assert np.all(drawn[250:300, 200:250] == pytest.approx(0.02))
    assert np.abs(drawn).sum() == pytest.approx(0.02 * 50 * 50, rel=1e-4)


def test_overlapping_views_add_up():
    box = (0.0, 0.0, 400.0, 400.0)
    once = picture_map(made(view(hot(0, 0), box)), unit="patch")
    twice = picture_map(made(view(hot(0, 0), box), view(hot(0, 0), box)), unit="patch")
    np.testing.assert_allclose(twice, 2 * once)


def test_per_patch_the_size_of_the_picture_does_not_matter():
    small = made(view(hot(2, 1), (0, 0, 400, 400)), width=400, height=400)
    large = made(view(hot(2, 1), (0, 0, 4000, 4000)), width=4000, height=4000)
    np.testing.assert_allclose(picture_map(small, unit="patch"), picture_map(large, unit="patch"), atol=1e-7)


def test_what_no_view_covers_is_not_seen():
    cover = seen(planned(1000, 150), columns=1000, rows=150)
    columns = cover.all(0)
    assert columns[:150].all()
    assert columns[425:575].all()
    assert columns[850:].all()
    assert not cover[:, 160:420].any()
    assert seen(planned(640, 427), columns=320, rows=200).all()


@pytest.mark.parametrize(("width", "height"), [(8000, 6000), (64, 5000), (70, 64)])
def test_a_canvas_keeps_the_aspect_and_is_bounded(width, height):
    columns, rows = canvas_size(width, height)
    assert max(columns, rows) == 512
    assert columns / rows == pytest.approx(width / height, rel=0.1)


# The drawing --------------------------------------------------------------------------------------


def uniform(value: float, *, kind: str = "whole") -> Drawing:
    grey = np.full((400, 400), 128, np.uint8)
    return Drawing(grey, made(view(np.full((4, 4), value), (0, 0, 400, 400), kind)))


def middle(drawing: Drawing, **options) -> np.ndarray:
    """The colour in the middle of the picture."""
    return np.asarray(draw_map(drawing, **options))[200, 200].astype(int)


def test_no_evidence_is_grey_and_signs_have_their_colours():
    red, green, blue = middle(uniform(0.0))
    assert max(red, green, blue) - min(red, green, blue) <= 2
    red, green, blue = middle(uniform(0.02))
    assert red > green > blue, "orange pushes towards generated"
    red, green, blue = middle(uniform(-0.02))
    assert blue > red > green, "purple pushes towards not generated"


def test_the_non_causal_map_is_drawn_from_its_own_numbers_on_the_same_scale():
    np.testing.assert_array_equal(middle(uniform(0.02), which="non_causal"), middle(uniform(-0.02)))


def test_the_scale_is_fixed_not_the_pictures_own():
    weak, strong, stronger = (middle(uniform(v)) for v in (0.0015, 0.015, 0.15))
    tint = [np.ptp(colour) for colour in (weak, strong)]
    assert tint[0] < 0.4 * tint[1]
    np.testing.assert_array_equal(strong, stronger)


def test_opacity_goes_from_the_picture_to_the_colour():
    tints = [np.ptp(middle(uniform(0.02), opacity=o)) for o in (0.0, 0.5, 1.0)]
    assert tints[0] == 0
    assert tints[0] < tints[1] < tints[2]


def test_the_ends_differ_in_more_than_red_and_green():
    ends = np.array([middle(uniform(v), opacity=1.0) for v in (-0.02, 0.02)]) / 255
    lab = rgb2lab(ends)
    assert abs(lab[0, 2] - lab[1, 2]) > 60, "blue against yellow is seen by red-green blind people"


def test_unseen_parts_are_hatched():
    wide = np.asarray(draw_map(prepare(photo(1000, 150), planned(1000, 150))))
    hatch = wide[70, 200:400].astype(int)
    assert len(np.unique(hatch, axis=0)) == 2
    assert np.all(np.ptp(hatch, axis=1) == 0), "no colour where nothing was seen"


def test_windows_are_marked_and_whole_views_are_not():
    whole, window = (np.asarray(draw_map(uniform(0.0, kind=kind)))[:400, :400] for kind in ("whole", "window"))
    assert len(np.unique(whole.reshape(-1, 3), axis=0)) == 1
    assert {(255, 255, 255), (28, 25, 23)} <= {tuple(int(c) for c in p) for p in window.reshape(-1, 3)}


def test_the_colour_bar_is_below_the_picture_and_the_same_for_all():
    bars = [np.asarray(draw_map(uniform(v)))[400:] for v in (0.0, 0.02)]
    assert bars[0].shape[0] > 30
    np.testing.assert_array_equal(*bars)


def test_patches_or_smooth():
    drawing = Drawing(np.full((400, 400), 128, np.uint8), made(view(hot(1, 1), (0, 0, 400, 400))))
    grid, smooth = (np.asarray(draw_map(drawing, smooth=s))[150, :400] for s in (False, True))
    assert len(np.unique(grid, axis=0)) == 2
    assert len(np.unique(smooth, axis=0)) > 10


def test_a_drawing_is_small_whatever_the_picture_is():
    huge = np.broadcast_to(np.uint8(90), (6000, 8000, 3))
    drawing = prepare(huge, planned(8000, 6000))
    assert drawing.grey.shape == (768, 1024)
    assert shrink(photo(70, 64)).shape == (64, 70, 3)
    assert max(prepare(photo(70, 64), planned(70, 64)).grey.shape) == 512


def test_a_map_is_drawn_within_its_budget():
    pixels, detection = photo(1024, 768), planned(1024, 768)
    spent = []
    for _ in range(6):
        started = time.process_time()
        draw_map(prepare(pixels, detection))
        spent.append(time.process_time() - started)
    assert min(spent) < 0.06 * slowness()


# The mask -----------------------------------------------------------------------------------------


def test_the_mask_is_drawn_from_0_to_1(detection):
    def colours(value: float) -> np.ndarray:
        views = tuple(replace(v, mask=np.full_like(v.mask, value)) for v in detection.views)
        picture = np.asarray(draw_mask(replace(detection, views=views)))
        return picture[: picture.shape[0] // 2].reshape(-1, 3)

    def share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
        return float((np.abs(pixels.astype(int) - colour).max(1) < 4).mean())

    dark, bright = (68, 1, 84), (253, 231, 37)  # the ends of viridis
    assert share(colours(0.0), dark) > 0.2 > share(colours(0.0), bright)
    assert share(colours(1.0), bright) > 0.2 > share(colours(1.0), dark)


def test_masks_are_averaged_by_kind(detection):
    masks = mean_masks(detection)
    windows = np.stack([v.mask for v in detection.views if v.kind == "window"])
    np.testing.assert_allclose(masks["window"], windows.mean(0))
    assert f"{masks['whole'].mean():.0%}" in mask_words(detection)


def test_a_picture_without_windows_has_one_column(detection):
    only = replace(detection, views=tuple(v for v in detection.views if v.kind == "whole"))
    assert draw_mask(only).width < draw_mask(detection).width


def test_masks_may_be_drawn_in_many_threads(detection):
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: np.asarray(draw_mask(detection)), range(4)))
    for picture in drawn[1:]:
        np.testing.assert_array_equal(picture, drawn[0])


@pytest.mark.parametrize(
    ("part", "name"),
    [("cls:7", "CLS token, layer 7"), ("patch:5", "patch mean, layer 5"), ("embedding", "CLIP embedding")],
)
def test_parts_have_names(part, name):
    assert part_name(part) == name


def test_the_mask_is_sorted_within_each_layer(detection: Detection) -> None:
    for mask in mean_masks(detection).values():
        start = 0
        for (name, width), (drawn, block) in zip(detection.parts, _blocks(detection, mask), strict=True):
            assert drawn == name
            assert np.array_equal(block.ravel()[:width], np.sort(mask[start : start + width])[::-1])
            assert np.isnan(block.ravel()[width:]).all()
            start += width
