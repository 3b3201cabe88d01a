"""Maps and masks: exact sums, right places, one scale for all pictures, and where a map
cannot know."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from causalclip.calibration import sigmoid
from causalclip.clip.views import plan_views
from causalclip.detection import Detection, ViewAttribution
from causalclip.detector import Detector
from causalclip.maps.attribution import (
    covered_cells,
    lay,
    localised_logit,
    picture_map,
    strongest_places,
)
from causalclip.maps.captions import places, shares
from causalclip.maps.channels import (
    arrays,
    contributions,
    deletion_curve,
    deletion_order,
    mean_mask,
    offset,
    suppressed,
    top_channels,
    without_strongest,
)
from causalclip.maps.low_information import Reason, low_information, reasons
from causalclip.maps.overlay import (
    SCALE,
    Drawing,
    draw_map,
    prepare,
    shrink,
)
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(160, 120))


def made(*views: ViewAttribution, width: int = 400, height: int = 400) -> Detection:
    """A detection of these views; everything else is arbitrary."""
    return Detection(
        0.5,
        0.0,
        "inconclusive",
        0.2,
        0.8,
        width,
        height,
        views,
        0.0,
        (),
        (("cls:1", 6),),
        "m",
        "r",
        "float32",
        0.1,
    )


def view(
    patches: np.ndarray, box: tuple[float, float, float, float], kind: str = "whole"
) -> ViewAttribution:
    mask = np.linspace(0, 1, 6, dtype=np.float32)
    grid = np.asarray(patches, np.float32)
    none = np.zeros(6, np.float32)
    return ViewAttribution(kind, box, grid, -grid, 0.0, mask, none, none, 0.0)  # type: ignore[arg-type]


def planned(width: int, height: int) -> Detection:
    """A detection of a picture of this size with random contributions in the real plan of views."""
    rng = np.random.default_rng(0)
    views = [
        view(rng.normal(0, 0.02, (14, 14)), v.box, v.view_type) for v in plan_views(width, height)
    ]
    return made(*views, width=width, height=height)


def hot(row: int, column: int) -> np.ndarray:
    patches = np.zeros((4, 4))
    patches[row, column] = 0.02
    return patches


# The numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["causal", "non_causal"])
@pytest.mark.parametrize(("width", "height"), [(300, 451), (96, 64), (1000, 150)])
def test_the_map_adds_up_to_all_contributions(width: int, height: int, which: Any) -> None:
    detection = planned(width, height)
    for smooth in (False, True):
        density = picture_map(detection, which, smooth=smooth)
        assert max(density.shape) == 512
        assert 100 * density.mean(dtype=np.float64) == pytest.approx(
            localised_logit(detection.views, which), abs=1e-4
        )
    for side in (3, 900):
        laid = lay(detection, which, columns=side, rows=side)
        assert laid.sum(dtype=np.float64) == pytest.approx(
            localised_logit(detection.views, which), abs=1e-4
        )


def test_a_patch_is_drawn_where_it_was_seen_and_overlaps_add_up() -> None:
    one = view(hot(1, 2), (100, 200, 300, 400))
    drawn = picture_map(made(one), side=400, unit="patch")
    assert np.all(drawn[250:300, 200:250] == pytest.approx(0.02))
    assert np.abs(drawn).sum() == pytest.approx(0.02 * 50 * 50, rel=1e-4)
    np.testing.assert_allclose(picture_map(made(one, one), side=400, unit="patch"), 2 * drawn)


def test_what_no_view_covers_is_not_seen() -> None:
    cover = covered_cells(planned(1000, 150), columns=1000, rows=150)
    assert cover.all(0)[[*range(150), *range(425, 575), *range(850, 1000)]].all()
    assert not cover[:, 160:420].any()
    assert covered_cells(planned(640, 427), columns=320, rows=200).all()


# The drawing --------------------------------------------------------------------------------------


def middle(value: float, **options: Any) -> np.ndarray:
    """The colour in the middle of a picture whose patches all add `value`."""
    drawing = Drawing(
        np.full((400, 400, 3), 128, np.uint8), made(view(np.full((4, 4), value), (0, 0, 400, 400)))
    )
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


def chroma(picture: Any) -> np.ndarray:
    """How far each pixel is from grey."""
    return np.ptp(np.asarray(picture).astype(int), axis=-1)


def test_colour_is_only_where_there_is_evidence_and_fades_with_its_share() -> None:
    patches = np.zeros((8, 8))
    patches[:, 6:] = 0.02
    detection = made(view(patches, (0, 0, 400, 400)))
    told = replace(detection, logit=float(patches.sum()))  # all of it has a place
    little = replace(detection, logit=25 * float(patches.sum()))  # 4 %
    rainbow = np.broadcast_to(np.uint8([200, 60, 20]), (400, 400, 3))
    full, pale = (chroma(draw_map(Drawing(rainbow, one))) for one in (told, little))
    assert full[:, :150].max() <= 3, "the photograph itself has no colour"
    assert full[:, 350:].min() > 60
    assert 10 < pale[:, 350:].max() < 0.4 * full[:, 350:].max(), "faded, and never withheld"


@pytest.mark.parametrize("ground", [(250, 130, 20), (90, 60, 150)], ids=["fire", "jacaranda"])
def test_a_strong_place_is_seen_on_a_picture_of_its_own_colour(
    ground: tuple[int, int, int],
) -> None:
    patches = np.zeros((8, 8))
    patches[2:6, 2:6] = 0.1 if ground[0] > ground[2] else -0.1
    detection = made(view(patches, (0, 0, 400, 400)))
    picture = np.full((400, 400, 3), ground, np.uint8)
    drawn = chroma(draw_map(Drawing(picture, detection), fade=False))
    assert drawn[200, 200] > 35
    assert drawn[5, 5] <= 3


def test_the_texture_stays_inside_the_colour_and_goes_without_the_photograph() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[::8] = stripes[1::8] = stripes[2::8] = stripes[3::8] = 220
    drawing = Drawing(stripes, made(view(np.full((4, 4), 1.0), (0, 0, 400, 400))))
    inside, alone = (
        np.asarray(draw_map(drawing, texture=texture, fade=False)).astype(int)[:, 200].sum(-1)
        for texture in (True, False)
    )
    assert np.abs(np.diff(inside)).max() > 100
    assert np.abs(np.diff(alone)).max() <= 6


def test_places_are_numbered_where_they_push_and_say_what_they_add() -> None:
    patches = np.zeros((12, 12))
    patches[1, 1] = 2.2
    patches[10, 10] = -1.0
    patches[6, 6] = 0.01
    detection = made(view(patches, (0, 0, 400, 400)))
    first, second = strongest_places(detection)
    assert (first.part, second.part) == (0, 8)
    assert first.push == pytest.approx(2.2, abs=1e-3)
    assert second.push == pytest.approx(-1.0, abs=1e-3)
    assert max(first.x, first.y) < 0.3
    assert min(second.x, second.y) > 0.7
    drawing = Drawing(np.full((400, 400, 3), 128, np.uint8), detection)
    assert places(drawing) == [
        "top left: +2.2 towards generated",
        "bottom right: \N{MINUS SIGN}1.0 towards not generated",
    ]
    plain, numbered = (np.asarray(draw_map(drawing, numbered=one)) for one in (False, True))
    ys, xs = np.nonzero((plain != numbered).any(-1))
    assert {(y < 200, x < 200) for y, x in zip(ys, xs, strict=True)} == {
        (True, True),
        (False, False),
    }
    unknown = np.zeros((20, 20), bool)
    unknown[:10, :10] = True
    assert [place.part for place in strongest_places(detection, unknown)] == [8]


def test_the_shares_of_the_score_add_up() -> None:
    patches = np.full((4, 4), 0.05)
    detection = replace(made(view(patches, (0, 0, 400, 400))), logit=4.0)
    placed, whole = shares(detection)
    assert placed == pytest.approx(0.2, abs=1e-3)
    assert placed + whole == pytest.approx(1)


def test_a_drawing_is_small_whatever_the_picture_is() -> None:
    huge = np.broadcast_to(np.uint8(90), (6000, 8000, 3))
    assert prepare(huge, planned(8000, 6000)).picture.shape == (768, 1024, 3)
    assert shrink(photo(70, 64)).shape == (64, 70, 3)
    assert max(prepare(photo(70, 64), planned(70, 64)).picture.shape) == 512


# Channels -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def detector() -> Detector:
    return tiny_detector()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


@pytest.fixture(scope="module")
def of_noise(detector: Detector, pixels: np.ndarray) -> Detection:
    return detector.predict(pixels)


def test_removal_against_a_head_without_those_channels(of_noise: Detection) -> None:
    """By hand: the first k of the order set to nothing, the sum formed anew."""
    added, curve = contributions(of_noise), deletion_curve(of_noise)
    first = deletion_order(of_noise)
    for k in (0, 3, len(added)):
        expected = sigmoid(float(np.delete(added, first[:k]).sum() + offset(of_noise)))
        assert curve.ordered[list(curve.counts).index(k)] == pytest.approx(expected, abs=1e-6)
        left, others = without_strongest(of_noise, k)
        assert left == pytest.approx(expected, abs=1e-6)
        assert k != 3 or abs(others - of_noise.probability) < abs(left - of_noise.probability)
    passes = mean_mask(of_noise)[first] >= 0.5
    assert not (~passes[:-1] & passes[1:]).any()  # what passes goes first
    pushes = np.sign(of_noise.logit) * added[first[: passes.sum()]]
    assert (np.diff(pushes) <= 0).all()


def test_a_channels_own_map_adds_up_to_its_contribution(
    detector: Detector, pixels: np.ndarray, of_noise: Detection
) -> None:
    for channel in top_channels(of_noise, count=3):
        kept = np.zeros((1, len(contributions(of_noise))), bool)
        kept[0, channel.index] = True
        [views] = detector.explain_channels(pixels, kept)
        total = sum(float(v.causal.sum()) + v.rest for v in views)
        assert total == pytest.approx(channel.contribution, abs=1e-5)
        for alone, whole in zip(views, of_noise.views, strict=True):
            assert alone.channels[channel.index] == pytest.approx(
                whole.channels[channel.index], abs=1e-6
            )
            assert np.count_nonzero(alone.channels) <= 1
            assert alone.bias == 0
    with pytest.raises(ValueError, match="Sets of channels"):
        detector.explain_channels(pixels, np.ones((1, 100_000), bool))


def test_the_arrays_hold_all_that_is_drawn_and_explain_themselves(of_noise: Detection) -> None:
    """Every array is named in the readme, and each of the sums that it gives is what it says."""
    held = arrays(of_noise)
    assert not any(array.dtype == object for array in held.values())  # loads without pickles
    readme = str(held["readme"])
    for name in held.keys() - {"readme"}:
        assert re.search(rf"^(.*[,.:] )?{name}\b", readme, re.MULTILINE), name
    sums = re.findall(r"^    (view.+)$", readme, re.MULTILINE)
    assert len(sums) == 2
    for line in sums:
        assert eval(line, {}, dict(held)) == pytest.approx(float(held["logit"]), abs=1e-4)
    said = dict(re.findall(r"(tied_to_no_place|offset): (.+?)\. ", readme))
    assert said.keys() == {"tied_to_no_place", "offset"}
    for name, line in said.items():
        assert eval(line, {}, dict(held)) == pytest.approx(float(held[name]), abs=1e-4)


def test_what_passes_and_what_is_held_back_make_the_whole_push(
    detector: Detector, of_noise: Detection
) -> None:
    """With the mask open everywhere, each channel adds both."""
    both = contributions(of_noise) + suppressed(of_noise)
    opened = tiny_detector()
    for head in opened.heads.values():
        torch.nn.init.zeros_(head.mask.mlp[2].weight)
        torch.nn.init.constant_(head.mask.mlp[2].bias, 50.0)
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    assert np.allclose(contributions(opened.predict(pixels)), both, atol=1e-5)


# Where a map cannot know --------------------------------------------------------------------------


SIDE = 480
HALF = np.s_[: SIDE // 2]  # of a picture's rows, and of a grid's in proportion


def noisy(*, spread: float = 8.0, seed: int = 0) -> np.ndarray:
    """A grey picture with a camera's grain everywhere."""
    grain = np.random.default_rng(seed).normal(120, spread, (SIDE, SIDE, 3))
    return np.clip(grain, 0, 255).astype(np.uint8)


def upper(grid: np.ndarray) -> float:
    return float(grid[: len(grid) // 2].mean())


def lower(grid: np.ndarray) -> float:
    return float(grid[len(grid) // 2 :].mean())


def test_where_there_is_grain_the_map_may_know() -> None:
    assert not low_information(noisy()).any()
    for name in ("coffee", "chelsea"):
        assert low_information(getattr(data, name)()).mean() < 0.02, name


@pytest.mark.parametrize(("level", "reason"), [(120, "flat"), (255, "blown out"), (0, "black")])
def test_what_has_no_detail_is_found_where_it_is(level: int, reason: Reason) -> None:
    pixels = noisy()
    pixels[HALF] = level
    found = reasons(pixels)
    assert upper(found[reason]) > 0.9
    assert lower(found[reason]) < 0.05
    assert upper(low_information(pixels)) > 0.9
    assert lower(low_information(pixels)) < 0.05


# On the map ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    pixels = noisy()
    pixels[HALF] = 120
    return prepare(pixels, tiny_detector().predict(pixels))


def test_the_map_is_pale_there_and_nowhere_else(drawing: Drawing) -> None:
    both = replace(drawing, low_information=None), drawing
    coloured, drawn = (np.asarray(draw_map(one, fade=False, scale=SCALE / 20)) for one in both)
    rows = len(drawn)
    assert np.array_equal(drawn[rows * 6 // 10 :], coloured[rows * 6 // 10 :])
    upper_part = np.s_[: rows * 4 // 10]
    assert chroma(coloured[upper_part]).mean() > 20
    assert chroma(drawn[upper_part]).max() <= 3
    assert drawn[upper_part].mean() > coloured[upper_part].mean() + 20


def test_what_no_view_saw_is_pale() -> None:
    drawing = prepare(photo(1000, 150), planned(1000, 150))
    assert (
        chroma(draw_map(replace(drawing, low_information=None), fade=False))[70, 210:390].max() <= 3
    )
