"""Where a map cannot know: found on pictures whose flat, lost, compressed and written places are known, and drawn."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from causalclip.maps.overlay import Drawing, draw_map, prepare
from causalclip.maps.reliability import Reason, reasons, unknowable, unknown_share
from tests.makers.detectors import tiny_detector

SIDE = 480
HALF = np.s_[: SIDE // 2]  # of a picture's rows, and of a grid's in proportion


def noisy(*, spread: float = 8.0, seed: int = 0) -> np.ndarray:
    """A grey picture with a camera's grain everywhere."""
    grain = np.random.default_rng(seed).normal(120, spread, (SIDE, SIDE, 3))
    return np.clip(grain, 0, 255).astype(np.uint8)


def as_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def upper(grid: np.ndarray) -> float:
    return float(grid[: len(grid) // 2].mean())


def lower(grid: np.ndarray) -> float:
    return float(grid[len(grid) // 2 :].mean())


def test_where_there_is_grain_the_map_may_know() -> None:
    assert not unknowable(noisy()).any()
    for name in ("coffee", "chelsea"):
        assert unknowable(getattr(data, name)()).mean() < 0.02, name


@pytest.mark.parametrize(("level", "reason"), [(120, "flat"), (255, "blown out"), (0, "black"), (252, "blown out")])
def test_what_has_no_detail_is_found_where_it_is(level: int, reason: Reason) -> None:
    pixels = noisy()
    pixels[HALF] = level
    found = reasons(pixels)
    assert upper(found[reason]) > 0.9
    assert lower(found[reason]) < 0.05
    assert upper(unknowable(pixels)) > 0.9
    assert lower(unknowable(pixels)) < 0.05


def test_a_smooth_gradient_is_flat_and_faint_grain_is_not() -> None:
    pixels = noisy(spread=2.5)
    pixels[HALF] = np.linspace(60, 200, SIDE).astype(np.uint8)[None, :, None]
    flat = reasons(pixels)["flat"]
    assert upper(flat) > 0.9
    assert lower(flat) < 0.05


@pytest.mark.parametrize("shift", [(0, 0), (3, 5)])
def test_what_compression_left_of_a_picture_is_blocks_wherever_its_grid_lies(shift: tuple[int, int]) -> None:
    waves = np.sin(np.linspace(0, 40, SIDE))[:, None] + np.sin(np.linspace(0, 55, SIDE))[None]
    soft = np.clip(128 + 40 * waves + np.random.default_rng(1).normal(0, 3, (SIDE, SIDE)), 0, 255).astype(np.uint8)
    rough = as_jpeg(np.stack([soft] * 3, -1), 4)
    fine = noisy(seed=2)[HALF]
    pixels = np.concatenate([rough[HALF], fine])[shift[0] :, shift[1] :]
    found = reasons(pixels)["too compressed"]
    assert upper(found) > 0.6
    assert lower(found) < 0.1
    assert not reasons(as_jpeg(np.stack([soft] * 3, -1), 95))["too compressed"].any()


@pytest.mark.parametrize(("name", "colour"), [("rocket", "white"), ("grass", "black"), ("brick", "yellow")])
def test_letters_over_a_picture_are_found(name: str, colour: str) -> None:
    picture = Image.fromarray(getattr(data, name)()).convert("RGB").resize((900, 600))
    plain = reasons(np.asarray(picture))["under text"]
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=52)
    left, top, right, bottom = draw.textbbox((60, 440), "Storm reaches the coast", font=font)
    draw.text((60, 440), "Storm reaches the coast", fill=colour, font=font)
    found = reasons(as_jpeg(np.asarray(picture), 85))["under text"]
    rows, columns = found.shape
    inside = np.zeros_like(found)
    inside[int(top * rows / 600) : int(bottom * rows / 600), int(left * columns / 900) : int(right * columns / 900)] = 1
    assert found[inside].mean() > 0.5
    assert plain.mean() < 0.02


def test_a_grid_covers_any_picture_and_is_small() -> None:
    for width, height in ((64, 64), (33, 400), (3000, 70)):
        grid = unknowable(np.full((height, width, 3), 90, np.uint8))
        assert grid.all()
        assert max(grid.shape) <= 96


def test_what_no_view_covers_counts_too() -> None:
    detection = tiny_detector().predict(noisy()[:90])
    boxes = tuple(v for v in detection.views if v.kind == "whole")
    half = replace(detection, views=(replace(boxes[0], box=(0.0, 0.0, SIDE / 2, 90.0)),))
    nothing = np.zeros((6, 30), bool)
    assert unknown_share(half, nothing) == pytest.approx(0.5)
    assert unknown_share(half, ~nothing) == 1.0


# On the map ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    pixels = noisy()
    pixels[HALF] = 120
    return prepare(pixels, tiny_detector().predict(pixels))


def test_the_map_is_hatched_and_faded_there_and_nowhere_else(drawing: Drawing) -> None:
    plain = np.asarray(draw_map(replace(drawing, unknowable=None), bar=False, frame=False)).astype(int)
    drawn = np.asarray(draw_map(drawing, bar=False, frame=False)).astype(int)
    rows = len(drawn)
    assert np.array_equal(drawn[rows * 6 // 10 :], plain[rows * 6 // 10 :])
    changed, before = drawn[: rows * 4 // 10], plain[: rows * 4 // 10]
    assert np.ptp(changed, axis=2).mean() < 0.5 * np.ptp(before, axis=2).mean()  # less colour
    assert changed.std() > 20  # and stripes
