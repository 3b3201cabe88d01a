"""No file crashes the loader, hangs it for 2 seconds or makes it take a gigabyte, whoever wrote
it."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from causalclip.images import colours
from causalclip.images.decoding import decode
from causalclip.images.formats import MAX_BYTES, ImageError, sniff
from causalclip.images.loading import load_image
from tests.makers import bombs, pictures
from tests.makers.cost import cost_of, slowness
from tests.makers.pictures import (
    PILLOW,
    encode,
    photo,
)

# of damaged TIFFs, said to nobody in the app
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
PICTURE = photo()


def fuzz(examples: int) -> Callable:
    """The settings of every test here: always the same examples, none longer than 2 seconds."""
    return settings(
        max_examples=examples,
        deadline=2000,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@cache
def originals() -> dict[str, list[bytes]]:
    """A few good files of every format, of different inner make."""
    image = Image.fromarray(PICTURE)
    profile = pictures.rgb_profile(pictures.ADOBE_RGB, 563 / 256)
    tagged = {"icc_profile": profile, "exif": pictures.exif(6)}
    files = {name: [encode(image, name)] for name in PILLOW}
    for name in ("PNG", "WebP", "AVIF", "TIFF"):
        files[name].append(encode(image.convert("RGBA"), name, icc_profile=profile))
    files["JPEG"] += [
        encode(image, "JPEG", progressive=True, **tagged),
        encode(image.convert("CMYK"), "JPEG"),
    ]
    files["PNG"] += [
        encode(image.quantize(20), "PNG", transparency=3),
        encode(image, "PNG", **tagged),
    ]
    files["WebP"] += [
        encode(image, "WebP", lossless=False, quality=50, **tagged),
        animation("WebP"),
    ]
    files["TIFF"] += [
        encode(image, "TIFF", compression=how) for how in ("tiff_lzw", "jpeg", "tiff_adobe_deflate")
    ]
    files["TIFF"] += [
        encode(image.convert(mode), "TIFF") for mode in ("1", "CMYK", "LAB", "I;16", "F")
    ]
    files["GIF"].append(animation("GIF"))
    files["AVIF"].append(animation("AVIF"))
    files["HEIC"].append(encode(image.convert("RGBA"), "HEIC"))
    files["HEIC"].append(encode(image, "HEIC", save_all=True, append_images=[image]))
    return files


def animation(name: str) -> bytes:
    """Two frames."""
    frames = [Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1].copy())]
    return encode(frames[0], name, save_all=True, append_images=frames[1:])


def outcome(data: bytes, *, here: bool = False) -> np.ndarray | ImageError:
    """What loading gives: pixels that are as promised, or an error that is a sentence; all else
    fails the test.

    `here` decodes without a sandbox, which is faster and as likely to crash.
    """
    try:
        pixels = decode(data, sniff(data))[0] if here else load_image(data).pixels
    except ImageError as error:
        return checked(error)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert min(pixels.shape[:2]) >= 64
    return pixels


def checked(error: ImageError) -> ImageError:
    """An error that says which kind it is, in a sentence."""
    assert type(error) is not ImageError
    assert 20 < len(str(error)) < 300
    assert str(error).isprintable()
    return error


# Damage -------------------------------------------------------------------------------------------

EXTREME = st.sampled_from(
    [
        b"\0",
        b"\xff",
        b"\x7f",
        b"\x80",
        b"\xff\xff",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
    ]
)


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """A good file with bytes overwritten, most of them near the start, and perhaps parts doubled,
    lost or cut off."""
    data = bytearray(draw(st.sampled_from(originals()[name])))
    for _ in range(draw(st.integers(1, 6))):
        reach = draw(st.sampled_from([60, 400, len(data)]))
        where = draw(st.integers(0, min(reach, len(data) - 1)))
        new = draw(st.one_of(EXTREME, st.binary(min_size=1, max_size=4)))
        data[where : where + len(new)] = new
    for _ in range(draw(st.integers(0, 2))):
        start, length = draw(st.integers(0, len(data) - 1)), draw(st.integers(1, 200))
        part = bytes(data[start : start + length])
        data[start : start + length] = draw(st.sampled_from([b"", part * 2, part * 50]))
    return bytes(data[: draw(st.integers(4, len(data)))] if draw(st.integers(0, 4)) == 0 else data)


@pytest.mark.parametrize("name", PILLOW)
@fuzz(80)
@given(data=st.data())
def test_damaged_files(name: str, data: st.DataObject) -> None:
    outcome(data.draw(damaged(name)), here=True)


@pytest.mark.parametrize("name", PILLOW)
@fuzz(30)
@given(data=st.data())
def test_half_a_picture_is_never_shown(name: str, data: st.DataObject) -> None:
    """A file that is cut short is refused, or what it lost held nothing of the picture."""
    whole = data.draw(st.sampled_from(originals()[name]))
    cut = data.draw(
        st.one_of(
            st.integers(0, len(whole) - 1), st.integers(1, 40).map(lambda lost: len(whole) - lost)
        )
    )
    result = outcome(whole[:cut], here=True)
    if not isinstance(result, ImageError):
        assert np.array_equal(result, outcome(whole, here=True))


# Metadata -----------------------------------------------------------------------------------------


@fuzz(60)
@given(data=st.data())
def test_damaged_colour_profiles(data: st.DataObject) -> None:
    inks = pictures.cmyk_profile(np.zeros((2, 2, 2, 2, 3)))
    whole = [pictures.rgb_profile(pictures.ADOBE_RGB, 2.2), pictures.grey_profile(1.8), inks]
    profile = bytearray(data.draw(st.sampled_from(whole)))
    for _ in range(data.draw(st.integers(1, 8))):
        where = data.draw(st.integers(0, min(len(profile) - 1, 700)))
        new = data.draw(st.one_of(EXTREME, st.binary(min_size=1, max_size=4)))
        profile[where : where + len(new)] = new
    for mode in ("RGB", "L", "CMYK"):
        image = Image.fromarray(PICTURE).convert(mode)
        pixels, notes = colours.to_srgb(image, profile=bytes(profile))
        assert pixels.shape == PICTURE.shape
        assert all(note.isprintable() for note in notes)


# Bombs --------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to a limit of memory")
@pytest.mark.full
def test_bombs_are_harmless_and_large_pictures_are_loaded_within_a_gigabyte(tmp_path: Path) -> None:
    files = {name: make() for name, make in bombs.LARGE.items()} | {
        name: make() for name, (make, _good) in bombs.PICTURES.items()
    }
    assert all(len(data) <= MAX_BYTES for data in files.values())
    for cost in cost_of(files, tmp_path, load=True):
        holds_a_picture = cost.name in bombs.LARGE or bombs.PICTURES[cost.name][1]
        assert cost.result.startswith("(") == holds_a_picture, cost.name
        assert cost.seconds < (60 if cost.name in bombs.LARGE else 15) * slowness(), cost.name
        assert cost.memory < (900 if cost.name in bombs.LARGE else 500) * 2**20, cost.name
