"""Files without a picture in them: one colour, noise; and close-ups of one material, which are pictures."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

from causalclip.pictures.content import is_blank
from causalclip.pictures.delivery import DELIVERIES
from tests.makers.pictures import photo

NOISE = np.random.default_rng(0).integers(0, 256, (512, 384, 3), dtype=np.uint8)
COLOUR = np.full((300, 200, 3), (90, 20, 160), np.uint8)


@pytest.mark.parametrize("pixels", [NOISE, COLOUR, np.tile(NOISE, (4, 4, 1))], ids=["noise", "colour", "large noise"])
@pytest.mark.parametrize("delivery", ["", "JPEG 70"])
def test_one_colour_and_noise_are_blank_after_jpeg_too(pixels: np.ndarray, delivery: str) -> None:
    given = np.asarray(DELIVERIES[delivery](Image.fromarray(pixels))) if delivery else pixels
    assert is_blank(given)


@pytest.mark.parametrize("name", ["gravel", "brick", "grass"])
def test_a_close_up_of_one_material_is_a_picture(name: str) -> None:
    assert not is_blank(np.repeat(getattr(skimage.data, name)()[..., None], 3, axis=2))


@pytest.mark.parametrize("size", [(64, 64), (1200, 100), (640, 480)])
def test_photographs_are_not(size: tuple[int, int]) -> None:
    assert not is_blank(photo(*size))
    assert not is_blank(photo(*size) // 8)  # a dark one
