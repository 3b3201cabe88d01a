"""A part is cut without loss, and its file says where it lay."""

import numpy as np
import pytest

from causalclip.images import formats
from causalclip.images.formats import ImageTooSmall
from causalclip.images.loading import clip_box, cut, load_image, read_box
from causalclip.provenance.reading import read_provenance
from tests.makers.pictures import encode, photo


def test_the_part_holds_the_same_pixels_and_says_where_from() -> None:
    loaded = load_image(encode(photo(320, 240), "PNG"))
    data = cut(loaded, (40.2, 30, 200, 129.6))
    assert np.array_equal(load_image(data).pixels, loaded.pixels[30:130, 40:200])
    said = " ".join(field.value for field in read_provenance(data, "PNG").fields)
    assert "from (40, 30) to (200, 130) of a picture of 320 x 240 pixels" in said
    assert loaded.sha256 in said


def test_the_part_of_a_picture_that_was_read_at_half_its_size_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its coordinates are of the half."""
    monkeypatch.setattr(formats, "MAX_PIXELS", 100_000)
    loaded = load_image(encode(photo(640, 480), "JPEG"))
    said = " ".join(field.value for field in read_provenance(cut(loaded, (0, 0, 160, 120)), "PNG").fields)
    assert "of a picture of 320 x 240 pixels" in said
    assert "640 x 480 pixels" in said
    assert "half its size" in said


def test_too_small_a_part_is_refused_with_the_size() -> None:
    with pytest.raises(ImageTooSmall, match="320 x 240"):
        clip_box((10, 10, 60, 200), 320, 240)


def test_a_box_is_four_numbers() -> None:
    assert read_box("1,2;300,400") == (1, 2, 300, 400)
    with pytest.raises(ValueError, match="left,top,right,bottom"):
        read_box("1,2,three")
