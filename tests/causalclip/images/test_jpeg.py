"""What JPEG leaves in pixels, against Pillow's encoder."""

import io

import numpy as np
import pytest
from PIL import Image

from causalclip.images.jpeg import (
    block_grid,
    compression,
    earlier_quality,
    luminance,
    nearest_quality,
    standard_table,
)
from tests.makers.pictures import encode, photograph


def saved(pixels: np.ndarray, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(encode(pixels, "JPEG", quality=quality)))


@pytest.mark.parametrize("quality", [1, 30, 50, 75, 90, 100])
def test_the_standard_table_is_the_one_that_pillow_writes(quality: int) -> None:
    written = np.reshape(saved(photograph(history=None), quality).quantization[0], (8, 8))
    np.testing.assert_array_equal(standard_table(quality), written)
    assert nearest_quality(written) == (quality, True)


@pytest.mark.parametrize("quality", [40, 60, 75])
@pytest.mark.parametrize("last", [None, 92])
def test_an_earlier_compression_is_found_through_a_finer_one(
    quality: int, last: int | None
) -> None:
    pixels = photograph(history=quality)
    if last:
        pixels = np.asarray(saved(pixels, last))
    found = earlier_quality(pixels, last=last)
    assert found is not None
    assert abs(found - quality) <= 3


def test_no_earlier_compression_is_found_where_there_was_none_or_a_crop_took_its_grid() -> None:
    assert earlier_quality(photograph(history=None), last=None) is None
    assert earlier_quality(photograph(history=60)[3:, 5:], last=None) is None


def test_the_grid_is_found_wherever_it_starts() -> None:
    assert block_grid(photograph(history=30)) == (7, 7)
    assert block_grid(photograph(history=30)[3:, 5:]) == (4, 2)
    assert block_grid(photograph(history=None)) is None


def test_compression_shows_as_a_grid_and_as_less_detail() -> None:
    (grid, detail), (blocky_grid, blocky_detail) = (
        compression(photograph(history=history)) for history in (None, 20)
    )
    assert abs(grid) < 0.1 < 0.5 < blocky_grid
    assert blocky_detail < detail


def test_grey_stays_itself() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(luminance(np.stack([levels] * 3, -1)), levels)
