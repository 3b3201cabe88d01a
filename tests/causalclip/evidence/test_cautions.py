"""Weak spots: named where they are recognised, and not elsewhere."""

import io
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from causalclip.evidence.cautions import find_cautions, measure
from tests.makers.drawings import cartoon, chart, page

CARRIED = Path(skimage.data.__file__).parent


def carried(name: str) -> np.ndarray:
    return np.asarray(Image.open(CARRIED / name).convert("RGB"))


def kinds(pixels: np.ndarray) -> set[str]:
    return {caution.kind for caution in find_cautions(pixels)}


def jpeg(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def seen(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("quality", [None, 90, 60])
@pytest.mark.parametrize(("make", "kind"), [(chart, "text"), (page, "text"), (cartoon, "graphic")])
def test_drawn_and_typeset(make: object, kind: str, quality: int | None) -> None:
    for seed in (1, 2):
        picture = make(seed)  # type: ignore[operator]
        pixels = np.asarray(picture) if quality is None else seen(jpeg(picture, quality))
        found = kinds(pixels) & {"text", "graphic"}
        assert found == {kind} if kind == "text" else found


@pytest.mark.parametrize(
    "name", ["coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "coins.png", "ihc.png"]
)
def test_photographs_are_no_drawings(name: str) -> None:
    assert not kinds(carried(name)) & {"text", "graphic", "portrait"}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("shape", [(64, 30_000), (30_000, 64), (64, 400_000)])
def test_long_strips_have_statistics(shape: tuple[int, int]) -> None:
    looks = measure(np.zeros((*shape, 3), np.uint8))
    assert (looks.flat, looks.edge, looks.textured) == (1, 0, 0)
