"""No file crashes the loader, hangs it for 2 seconds or makes it take a gigabyte, whoever wrote
it."""

import struct
import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from causalclip.images import decoding as colour
from causalclip.images.decoding import decode
from causalclip.images.formats import MAX_BYTES, ImageError, sniff
from causalclip.images.loading import load_image
from tests.makers import pictures
from tests.makers.cost import cost_of, slowness
from tests.makers.pictures import (
    PILLOW,
    chunk,
    encode,
    jpeg_in_scans,
    photo,
    png,
    png_of_stream,
    segment,
    tiff,
    tiff_tags,
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
        pixels, notes = colour.to_srgb(image, profile=bytes(profile))
        assert pixels.shape == PICTURE.shape
        assert all(note.isprintable() for note in notes)


# Bombs --------------------------------------------------------------------------------------------


def zeros(count: int) -> bytes:
    """`count` zero bytes, compressed without ever being in memory."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(min(2**24, count - start))) for start in range(0, count, 2**24)]
    return b"".join(parts) + packer.flush()


def fill(part: bytes) -> bytes:
    """As many copies of a part as a file may have bytes, less a margin."""
    return part * ((MAX_BYTES - 2**20) // len(part))


def jpeg_with(parts: bytes) -> bytes:
    plain = encode(PICTURE, "JPEG")
    return plain[:2] + parts + plain[2:]


def png_with(chunks: bytes) -> bytes:
    return png(128, 96, PICTURE.tobytes(), extra=chunks)


def overlapping_tags() -> bytes:
    """60,000 tags that all hold the same 10 MB."""
    data = bytes(10 * 2**20)
    return tiff(tiff_tags(64, 64) | {tag: (7, len(data), 8) for tag in range(2000, 62000)}, data)


def overlapping_strips() -> bytes:
    """A million strips, each but a row less than the whole picture of 4 Mpx."""
    count, offsets = 1_000_000, bytes(4 * 1_000_000)
    tags = tiff_tags(2000, 2000) | {273: (4, count, 8), 278: (4, 1, 1999), 279: (4, count, 8)}
    return tiff(tags, offsets)


def passes() -> bytes:
    """A progressive JPEG of 4 Mpx whose last pass is repeated for 2 MB."""
    data = encode(
        Image.new("RGB", (2000, 2000), (120, 30, 60)), "JPEG", progressive=True, quality=50
    )
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (2**21 // (len(data) - 2 - last)) + data[-2:]


def steps_of_a_profile() -> bytes:
    """A colour profile of 300,000 steps that are all the same one."""
    count = 300_000
    step = b"matf\0\0\0\0\0\x03\0\x03" + struct.pack(">12f", 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    chain = b"mpet\0\0\0\0\0\x03\0\x03" + struct.pack(">I", count)
    chain += struct.pack(">II", 16 + 8 * count, len(step)) * count + step
    return pictures._profile(b"RGB ", b"XYZ ", b"mntr", {b"D2B1": chain}, "steps")


def mismatched_avif() -> bytes:
    """An AVIF that says 64 x 64 and holds 16 Mpx."""
    data = bytearray(encode(Image.new("RGB", (4096, 4096), "red"), "AVIF", quality=40))
    start = data.index(b"ispe") + 8
    data[start : start + 8] = struct.pack(">II", 64, 64)
    return bytes(data)


TEXT = chunk(b"zTXt", b"a\0\0" + zeros(2**26))
# name: (file, whether a good picture is to be found in it)
BOMBS: dict[str, tuple[Callable[[], bytes], bool]] = {
    "png 60000x60000": (
        lambda: png_of_stream(60_000, 60_000, zeros(60_000 * 7_500), bits=1, colours=0),
        False,
    ),
    "png of a bomb after its pixels": (lambda: png_of_stream(128, 96, zeros(2**28)), True),
    "png compressed text": (lambda: png_with(TEXT * 20), True),
    "png empty chunks": (lambda: png_with(fill(chunk(b"teXt", b""))), False),
    "png empty pixels": (lambda: png_with(fill(chunk(b"IDAT", b""))), False),
    "png profile": (lambda: png_with(chunk(b"iCCP", b"a\0\0" + zeros(2**28))), True),
    "png exif": (lambda: png_with(chunk(b"eXIf", overlapping_tags())), True),
    "jpeg empty parts": (lambda: jpeg_with(fill(segment(0xFE, b""))), False),
    "jpeg in scans": (lambda: jpeg_in_scans(14_140, 14_140), False),
    "jpeg exif in parts": (
        lambda: jpeg_with(segment(0xE1, b"Exif\0\0" + bytes(400)) * 45_000),
        True,
    ),
    "jpeg fill": (lambda: jpeg_with(fill(b"\xff")), True),
    "jpeg passes": (passes, False),
    "jpeg profile of steps": (
        lambda: encode(PICTURE, "JPEG", icc_profile=steps_of_a_profile()),
        True,
    ),
    "webp canvas": (lambda: pictures.sized("WebP", 16_383, 16_383), False),
    "gif canvas": (lambda: pictures.sized("GIF", 65_535, 65_535), False),
    "tiff tags": (overlapping_tags, False),
    "tiff strips": (overlapping_strips, False),
    "tiff 1e9 pixels": (lambda: tiff(tiff_tags(2**30, 1, size=99), bytes(99)), False),
    "tiff tile": (
        lambda: tiff(tiff_tags(64, 64) | {322: (4, 1, 2**30), 323: (4, 1, 1), 324: (4, 1, 8)}),
        False,
    ),
    "avif that is larger than it says": (mismatched_avif, True),
}


# 49 million pixels, in the makes that need the most memory
LARGE: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encode(Image.new("RGB", (7000, 7000), "teal"), "JPEG", progressive=True),
    "webp": lambda: encode(
        Image.new("RGBA", (7000, 7000), (0, 99, 99, 99)), "WebP", method=0, quality=0
    ),
    "tiff": lambda: encode(
        Image.new("RGBA", (7000, 7000), (0, 99, 99, 99)), "TIFF", compression="tiff_adobe_deflate"
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to a limit of memory")
def test_bombs_are_harmless_and_large_pictures_are_loaded_within_a_gigabyte(tmp_path: Path) -> None:
    files = {name: make() for name, make in LARGE.items()} | {
        name: make() for name, (make, _good) in BOMBS.items()
    }
    assert all(len(data) <= MAX_BYTES for data in files.values())
    for cost in cost_of(files, tmp_path, load=True):
        holds_a_picture = cost.name in LARGE or BOMBS[cost.name][1]
        assert cost.result.startswith("(") == holds_a_picture, cost.name
        assert cost.seconds < (60 if cost.name in LARGE else 15) * slowness(), cost.name
        assert cost.memory < (900 if cost.name in LARGE else 500) * 2**20, cost.name
