"""Colours, depths, palettes, transparency and frames of every make come in as the right sRGB
pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from causalclip.images.loading import load_image
from tests.makers import pictures
from tests.makers.pictures import encode, off_by, photo

PICTURE = photo()
WHITE_NOTE = "Its transparent parts were laid on white."
ANIMATED_NOTE = "The file is an animation; only its first frame was looked at."


# Colour -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "primaries", "gamma", "tolerance"),
    [
        ("PNG", pictures.DISPLAY_P3, 2.2, 1.5),
        ("PNG", pictures.ADOBE_RGB, 563 / 256, 1.5),
        ("WebP", pictures.DISPLAY_P3, 1.8, 1.5),
        ("JPEG", pictures.ADOBE_RGB, 563 / 256, 16),
        ("TIFF", pictures.DISPLAY_P3, 2.2, 1.5),
        ("AVIF", pictures.DISPLAY_P3, 2.2, 14),
        ("HEIC", pictures.DISPLAY_P3, 2.2, 16),
    ],
)
def test_profile_is_converted_to_srgb(
    name: str, primaries: tuple, gamma: float, tolerance: float
) -> None:
    picture = photo() // 2 + 60  # muted, so that nothing leaves the gamut of sRGB
    profile = pictures.rgb_profile(primaries, gamma, "Display <b>P3</b>\x07\x1b[31m" + 90 * "x")
    loaded = load_image(encode(picture, name, icc_profile=profile))
    expected = pictures.srgb_of_xyz((picture / 255) ** gamma @ pictures.matrix(primaries).T)
    assert off_by(loaded.pixels, expected) <= tolerance
    assert np.abs(expected - picture).max() > 20  # or the conversion would not have been seen
    assert len(loaded.notes) == 1
    assert loaded.notes[0].startswith(
        "Its colours were converted to sRGB from the profile “Display bP3/b"
    )
    assert loaded.notes[0].isprintable()
    assert len(loaded.notes[0]) < 130


def test_alpha_is_laid_on_white_after_the_profile() -> None:
    alpha = np.linspace(0, 255, PICTURE[..., 0].size).reshape(96, 128).astype(np.uint8)
    profile = pictures.rgb_profile(pictures.ADOBE_RGB, 563 / 256)
    loaded = load_image(encode(np.dstack((PICTURE, alpha)), "PNG", icc_profile=profile))
    colours = pictures.srgb_of_xyz(
        (PICTURE / 255) ** (563 / 256) @ pictures.matrix(pictures.ADOBE_RGB).T
    )
    share = alpha[..., None] / 255
    assert off_by(loaded.pixels, colours * share + 255 * (1 - share)) <= 2
    assert loaded.notes[1:] == (WHITE_NOTE,)


@pytest.mark.parametrize(
    "profile",
    [
        b"?",
        b"not a profile" * 50,
        pictures.rgb_profile(pictures.DISPLAY_P3, 1.8)[:300],
        pictures.grey_profile(1.0),  # of grey, on colours
        pictures.cmyk_profile(np.zeros((2, 2, 2, 2, 3))),
        pictures.rgb_profile(pictures.DISPLAY_P3, 1.8) + b"mpet",  # chains of steps: not applied
        pictures.rgb_profile(pictures.DISPLAY_P3, 1.8) + bytes(5 * 2**20),
    ],
    ids=["tiny", "no profile", "cut", "grey", "inks", "mpet", "huge"],
)
@pytest.mark.parametrize("name", ["PNG", "JPEG"])
def test_unusable_profile_is_said_and_colours_are_kept(name: str, profile: bytes) -> None:
    loaded = load_image(encode(PICTURE, name, icc_profile=profile))
    assert off_by(loaded.pixels, PICTURE) <= 6
    assert loaded.notes == (
        "Its colour profile could not be used; its colours were taken as sRGB.",
    )


INKS = np.stack(np.meshgrid(*[[0, 90, 200]] * 4), -1).reshape(9, 9, 4).repeat(12, 0).repeat(12, 1)


@pytest.mark.parametrize(("name", "tolerance"), [("TIFF", 1), ("JPEG", 14)])
def test_cmyk_without_a_profile(name: str, tolerance: int) -> None:
    """As in Adobe's JPEGs, where inks are stored inverted: each channel is what its ink and black
    leave over."""
    loaded = load_image(encode(Image.fromarray(INKS.astype(np.uint8), "CMYK"), name))
    expected = (255 - INKS[..., :3]) * (1 - INKS[..., 3:] / 255)
    assert off_by(loaded.pixels, expected) <= tolerance
    [note] = loaded.notes
    assert (
        note == "It is made of printing inks (CMYK) without a colour profile; its colours are "
        "approximate."
    )


def test_cmyk_with_a_profile() -> None:
    c, m, y, k = np.mgrid[0:2, 0:2, 0:2, 0:2]
    light = (100 - 30 * c - 25 * m - 8 * y) * (1 - k) + 5 * k
    labs = np.stack((light, (-30 * c + 50 * m) * (1 - k), (-30 * c + 60 * y) * (1 - k)), -1)
    corners = (labs.reshape(-1, 3), np.stack((c, m, y, k), -1).reshape(-1, 4) * 255)
    picture = corners[1].reshape(4, 4, 4).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    loaded = load_image(
        encode(Image.fromarray(picture, "CMYK"), "TIFF", icc_profile=pictures.cmyk_profile(labs))
    )
    expected = (
        pictures.srgb_of_xyz(pictures.xyz_of_lab(corners[0]))
        .reshape(4, 4, 3)
        .repeat(16, 0)
        .repeat(16, 1)
    )
    assert off_by(loaded.pixels, expected) <= 2
    assert loaded.notes == ("Its colours were converted to sRGB from the profile “ink test”.",)


def test_lab_tiff() -> None:
    lab = np.zeros((64, 64, 3))
    lab[..., 0], lab[..., 1], lab[..., 2] = (
        60,
        np.linspace(-20, 20, 64),
        np.linspace(-20, 20, 64)[:, None],
    )
    # a* and b* have a sign in a TIFF
    coded = np.round(lab * (2.55, 1, 1)).astype(np.int16).astype(np.uint8)
    loaded = load_image(encode(Image.frombytes("LAB", (64, 64), coded.tobytes()), "TIFF"))
    exact = np.round(lab * (2.55, 1, 1)) / (2.55, 1, 1)
    expected = pictures.srgb_of_xyz(pictures.xyz_of_lab(exact))
    assert off_by(loaded.pixels, expected) <= 5  # Lab goes through a coarse table


# Depth, grey, palettes, transparency --------------------------------------------------------------

LEVELS = np.linspace(0, 65535, 64 * 96).reshape(64, 96).astype(np.uint16)
DEEP_NOTE = "Its 16 bits a channel were reduced to 8."


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(name: str) -> None:
    loaded = load_image(encode(LEVELS, name))
    assert np.array_equal(
        loaded.pixels, np.round(LEVELS / 257).astype(np.uint8)[..., None].repeat(3, -1)
    )
    assert loaded.notes == (DEEP_NOTE,)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "WebP", "AVIF"])
def test_grey_or_colour_with_alpha(name: str) -> None:
    alpha = np.zeros((64, 64), np.uint8)
    alpha[16:], alpha[32:] = 128, 255
    image = Image.merge("LA", [Image.new("L", (64, 64), 100), Image.fromarray(alpha)])
    for picture in (image, image.convert("RGBA")):
        loaded = load_image(encode(picture, name))
        expected = 100 * (alpha / 255) + 255 * (1 - alpha / 255)
        assert off_by(loaded.pixels[8::16, 32], expected[8::16, 32, None].repeat(3, -1)) <= 2
        assert loaded.notes == (WHITE_NOTE,)


# Several pictures in a file -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GIF", "WebP", "PNG", "AVIF"])
def test_first_frame_of_an_animation(name: str) -> None:
    first, second = (Image.new("RGB", (64, 64), colour) for colour in ((200, 30, 30), (0, 0, 255)))
    loaded = load_image(encode(first, name, save_all=True, append_images=[second]))
    assert off_by(loaded.pixels, np.full((64, 64, 3), (200, 30, 30))) <= 4
    assert loaded.notes == (ANIMATED_NOTE,)


def test_first_of_several_pictures() -> None:
    first, second = Image.new("RGB", (64, 64), "#c81e1e"), Image.new("RGB", (96, 96), "blue")
    file = io.BytesIO()
    first.save(file, "MPO", save_all=True, append_images=[second], quality=95)
    files = {
        "JPEG": file.getvalue(),
        "TIFF": encode(first.copy(), "TIFF", save_all=True, append_images=[second.copy()]),
        "HEIC": encode(second, "HEIC", save_all=True, append_images=[first], primary_index=1),
    }
    for name, data in files.items():
        loaded = load_image(data)
        assert loaded.format == name
        assert off_by(loaded.pixels, np.full((64, 64, 3), (200, 30, 30))) <= 4
        assert loaded.notes[0].startswith("The file holds several pictures; only the ")
