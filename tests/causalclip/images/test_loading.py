"""Every kind of picture comes in as the right pixels, and what is no usable picture is refused with
a sentence."""

import colorsys
import hashlib
import io
import os
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from PIL import Image, ImageDraw, ImageFont

from causalclip.images import decoding, formats
from causalclip.images import loading as images
from causalclip.images.formats import ImageError, ImageTooLarge, ImageTooSmall, UnsupportedImage
from causalclip.images.loading import load_image
from causalclip.images.parts import clip_box, cut_part, read_box
from causalclip.images.reencoding import encode as reencode
from causalclip.images.subimages import find_pictures
from tests.makers import pictures
from tests.makers.pictures import PILLOW, encode, exif, off_by, photo, tiff, tiff_tags

PICTURE = photo()
UPRIGHT_NOTE = "It was turned upright, as its orientation mark says."


# Formats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("JPEG", 6), ("PNG", 0), ("WebP", 0), ("AVIF", 8), ("HEIC", 12), ("TIFF", 0), ("GIF", 40)],
)
def test_format_is_found_by_content_and_pixels_are_kept(
    name: str, tolerance: int, tmp_path: Path
) -> None:
    data = encode(PICTURE, name)
    file = tmp_path / "notes.txt"
    file.write_bytes(data)
    loaded = load_image(file)
    assert loaded.format == name
    assert loaded.pixels.dtype == np.uint8
    assert loaded.pixels.flags.c_contiguous
    assert off_by(loaded.pixels, PICTURE) <= tolerance
    assert (loaded.width, loaded.height, loaded.file_size) == (128, 96, len(data))
    assert loaded.sha256 == hashlib.sha256(data).hexdigest()
    assert loaded.notes == ()


# Orientation --------------------------------------------------------------------------------------

# How a stored picture must be turned to be upright, in Pillow's words (TIFF 6.0, tag 274).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
INVERSE = {
    Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
    Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
}


def stored(orientation: int) -> Image.Image:
    """The picture as a camera held so would store it."""
    image = Image.fromarray(PICTURE)
    if orientation == 1:
        return image
    turn = TURNS[orientation]
    return image.transpose(INVERSE.get(turn, turn))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("JPEG", 6), ("PNG", 0), ("WebP", 0), ("TIFF", 0), ("AVIF", 8), ("HEIC", 12)],
)
def test_every_orientation_gives_the_same_upright_picture(
    name: str, tolerance: int, orientation: int
) -> None:
    """Also where the decoder turns it by itself, as those of the last three formats do."""
    mark = Image.Exif()
    mark[0x0112] = orientation
    loaded = load_image(
        encode(stored(orientation), name, exif=mark.tobytes() if name == "HEIC" else mark)
    )
    assert off_by(loaded.pixels, PICTURE) <= tolerance
    assert loaded.notes == (() if orientation == 1 else (UPRIGHT_NOTE,))


@pytest.mark.parametrize(
    "block",
    [b"", b"MM", b"MM\0*\xff\xff\xff\xff", exif(0)[6:], exif(9)[6:], exif(6)[6:18], b"II*\0" * 9],
)
def test_broken_exif_is_ignored(block: bytes) -> None:
    loaded = load_image(encode(PICTURE, "JPEG", exif=b"Exif\0\0" + block))
    assert off_by(loaded.pixels, PICTURE) <= 6
    assert loaded.notes == ()


# Refusals -----------------------------------------------------------------------------------------

HALF = {name: (data := encode(PICTURE, name))[: len(data) // 2] for name in PILLOW}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\0" * 5000, "not a picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="99"/>', "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn -->\n<svg>', "SVG"),
        ('<?xml version="1.0" encoding="UTF-16"?><svg>'.encode("utf-16"), "SVG"),
        (b"<!DOCTYPE html><html><body><svg></svg></body></html>", "web page"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04" + bytes(99), "archive"),
        (b"8BPS\0\x01" + bytes(99), "Photoshop"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "video"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"BM" + struct.pack("<IIIIii", 99, 0, 54, 40, 9, 9) + bytes(99), "BMP"),
    ],
)
def test_what_is_no_accepted_picture_is_named(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedImage, match=words):
        load_image(data)


def test_unusual_tiffs_are_unsupported_not_broken() -> None:
    grey = tiff_tags(64, 64)
    for changes in (
        {258: (3, 1, 5)},
        {50706: (1, 4, 0x00000401)},
        {254: (4, 1, 1)},
        {262: (3, 1, 99)},
    ):
        with pytest.raises(UnsupportedImage):
            load_image(tiff(grey | changes, bytes(64 * 64)))
    with pytest.raises(UnsupportedImage, match="white as 0"):
        load_image(tiff(tiff_tags(64, 64, bits=16) | {262: (3, 1, 0)}, bytes(2 * 64 * 64)))
    assert load_image(tiff(grey, bytes(64 * 64))).notes == ()


# Limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PILLOW)
def test_pixel_limit_is_read_from_the_header(name: str) -> None:
    sides = (20_000, 10_001) if name == "JPEG" else (10_000, 5_001)
    with pytest.raises(
        ImageTooLarge,
        match=rf"{sides[0]:,} x {sides[1]:,} pixels, .* million; the limit is 50 million",
    ):
        load_image(pictures.sized(name, *sides))


@pytest.mark.full
def test_a_large_jpeg_is_loaded_at_half_its_size_and_says_so() -> None:
    plain, progressive = io.BytesIO(), io.BytesIO()
    large = Image.new("L", (8000, 6301), 90)
    large.save(plain, "JPEG", quality=50)
    large.save(progressive, "JPEG", quality=50, progressive=True)
    loaded = load_image(plain.getvalue())
    assert loaded.pixels.shape == (3151, 4000, 3)
    assert np.abs(loaded.pixels.astype(int) - 90).max() <= 1
    assert (
        "8,000 x 6,301 pixels, more than 50 million, so it was judged at half its size"
        in loaded.notes[0]
    )
    with pytest.raises(ImageTooLarge, match="not progressive"):
        load_image(progressive.getvalue())


@pytest.mark.parametrize("name", PILLOW)
def test_shorter_side_has_a_minimum(name: str) -> None:
    with pytest.raises(ImageTooSmall, match="shorter side must have at least 64"):
        load_image(encode(photo(200, 63), name))
    assert load_image(encode(photo(64, 64), name)).pixels.shape == (64, 64, 3)


def test_byte_limit(tmp_path: Path) -> None:
    plain = encode(PICTURE, "JPEG")
    file = tmp_path / "p"
    for size, accepted in ((images.MAX_BYTES, True), (images.MAX_BYTES + 1, False)):
        padded = plain + bytes(size - len(plain))
        file.write_bytes(padded)
        for source in (padded, file):
            if accepted:
                assert load_image(source).file_size == size
            else:
                with pytest.raises(ImageTooLarge, match="more than 20 MB"):
                    load_image(source)


# Paths --------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_refused_without_its_name(tmp_path: Path) -> None:
    pipe = tmp_path / "secret-pipe"
    os.mkfifo(pipe)
    broken = tmp_path / "secret.png"
    broken.write_bytes(HALF["PNG"])
    far = tmp_path / "secret-none.png"
    for source in (
        tmp_path,
        pipe,
        far,
        f"{tmp_path}/secret\0.png",
        "secret" * 2000,
        "/dev/zero",
        broken,
    ):
        with pytest.raises(ImageError) as refusal:
            load_image(source)
        assert "secret" not in str(refusal.value)
        assert str(tmp_path) not in str(refusal.value)
        assert refusal.value.__cause__ is None or "secret" not in str(refusal.value.__cause__)


def test_one_large_picture_at_a_time_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 350 MB until it is decoded, of 50 megapixels. Small ones do not wait."""
    inside: list[int] = []
    most, small = 0, threading.Barrier(4, timeout=60)

    @contextmanager
    def stream(_function: object, data: bytes, *_: Any, **_limits: Any) -> Iterator[Iterator[Any]]:
        yield decode(len(data))

    def decode(pixels: int) -> Iterator[Any]:
        nonlocal most
        yield pixels
        inside.append(pixels)
        if pixels > 100:
            most = max(most, inside.count(pixels))
            time.sleep(0.1)
        else:
            small.wait()  # until all of them are inside
        inside.remove(pixels)
        yield np.zeros((64, 64, 3), np.uint8), (), False, None

    monkeypatch.setattr(decoding.sandbox, "stream", stream)
    monkeypatch.setattr(decoding, "LARGE_PIXELS", 100)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(load_image, [b"\xff\xd8\xff".ljust(size) for size in (128, 64)] * 4))
    assert most == 1


# A part -------------------------------------------------------------------------------------------


def test_the_part_holds_the_same_pixels_and_says_where_from() -> None:
    loaded = load_image(encode(photo(320, 240), "PNG"))
    cut = cut_part(loaded, (40.2, 30, 200, 129.6))
    assert np.array_equal(cut.pixels, loaded.pixels[30:130, 40:200])
    assert cut.sha256 == loaded.sha256
    assert cut.part is not None
    assert "from (40, 30) to (200, 130) of a picture of 320 x 240 pixels" in cut.part.words


def test_the_part_of_a_picture_that_was_read_at_half_its_size_lies_in_its_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "MAX_PIXELS", 100_000)
    loaded = load_image(encode(photo(640, 480), "JPEG"))
    cut = cut_part(loaded, (80, 40, 400, 280))
    assert np.array_equal(cut.pixels, loaded.pixels[20:140, 40:200])
    assert cut.part is not None
    assert cut.part.words.endswith("from (80, 40) to (400, 280) of a picture of 640 x 480 pixels")
    assert "half its size" in " ".join(cut.notes)


def test_too_small_a_part_is_refused_with_the_size() -> None:
    with pytest.raises(ImageTooSmall, match="320 x 240"):
        clip_box((10, 10, 60, 200), 320, 240)


def test_a_box_is_four_numbers() -> None:
    assert read_box("1,2;300,400") == (1, 2, 300, 400)
    with pytest.raises(ValueError, match="left,top,right,bottom"):
        read_box("1,2,three")


PHOTOGRAPH = 60, 200, 660, 600  # of the photograph on the page


def sheet_of(*, ground: int, saved: int | None, photograph: bool = True) -> np.ndarray:
    """A page of lines of text around a photograph."""
    sheet = Image.new("RGB", (900, 1000), (ground,) * 3)
    draw, ink = ImageDraw.Draw(sheet), (255 - ground,) * 3
    for y in [*range(20, 180, 24), *range(630, 980, 24)]:
        draw.text(
            (60, y), "The council voted on Tuesday to reopen the bridge after repairs. " * 2, ink
        )
    draw.rectangle((700, 200, 860, 240), fill=(29, 78, 216))
    if photograph:
        sheet.paste(Image.fromarray(skimage.data.coffee()).resize((600, 400)), PHOTOGRAPH[:2])
    return np.asarray(reencode(sheet, "JPEG", saved) if saved else sheet)


@pytest.mark.parametrize("ground", [255, 18], ids=["light", "dark"])
@pytest.mark.parametrize("saved", [None, 75], ids=["PNG", "JPEG"])
def test_the_photograph_on_a_page_is_found(ground: int, saved: int | None) -> None:
    found = find_pictures(sheet_of(ground=ground, saved=saved))
    assert len(found) == 1
    assert np.abs(np.array(found[0].box) - PHOTOGRAPH).max() <= 2
    assert found[0].area == pytest.approx(600 * 400 / (900 * 1000), abs=0.01)


def test_a_page_without_a_photograph_has_none() -> None:
    assert find_pictures(sheet_of(ground=255, saved=75, photograph=False)) == ()


def words_on(ground: Image.Image, *, size: int) -> Image.Image:
    """The same with white words all over it."""
    draw, font = ImageDraw.Draw(ground), ImageFont.load_default(size)
    for y in range(14, ground.height - size, round(1.4 * size)):
        draw.text((14, y), "The council voted to reopen the bridge", "white", font)
    return ground


def gradient(width: int, height: int) -> Image.Image:
    """A ground from violet to orange."""
    down = np.linspace(0, 1, height)[:, None, None]
    colours = (1 - down) * (58, 28, 113) + down * (255, 175, 123)
    return Image.fromarray(np.broadcast_to(colours, (height, width, 3)).astype(np.uint8))


def wall() -> Image.Image:
    """Fields of twelve colours, each with a word."""
    fields = Image.new("RGB", (560, 240))
    draw, font = ImageDraw.Draw(fields), ImageFont.load_default(26)
    for i in range(12):
        x, y = 140 * (i % 4), 80 * (i // 4)
        colour = tuple(round(255 * c) for c in colorsys.hls_to_rgb(i / 12, 0.5, 0.7))
        draw.rectangle((x, y, x + 140, y + 80), fill=colour)
        draw.text((x + 35, y + 25), f"Logo {i}", "white", font)
    return fields


@pytest.mark.parametrize(
    "box",
    [
        words_on(Image.new("RGB", (370, 175), (11, 147, 246)), size=20),
        words_on(Image.new("RGB", (530, 450), (29, 161, 242)), size=28),
        words_on(gradient(530, 420), size=28),
        wall(),
    ],
    ids=["bubble", "card", "gradient", "wall"],
)
@pytest.mark.parametrize("ground", [255, 21], ids=["light", "dark"])
def test_words_on_a_colour_are_no_photograph(box: Image.Image, ground: int) -> None:
    """JPEG's noise gives a text box as many colours as a photograph has."""
    sheet = Image.fromarray(sheet_of(ground=ground, saved=None, photograph=False))
    sheet.paste(box, (40, 190))
    assert find_pictures(np.asarray(reencode(sheet, "JPEG", 75))) == ()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_a_photograph_is_left_whole(name: str) -> None:
    assert find_pictures(getattr(skimage.data, name)()) == ()


@pytest.mark.parametrize("lightest", [242, 230])
def test_a_sky_of_nearly_the_pages_colour_is_a_part_of_the_picture(lightest: int) -> None:
    """The sky is even from one pixel to the next, but it is no page: its colour changes from top to
    bottom."""
    photograph = np.array(Image.fromarray(skimage.data.coffee()).resize((600, 400)))
    photograph[:220] = np.linspace(lightest, 205, 220, dtype=np.uint8)[:, None, None]
    sheet = sheet_of(ground=255, saved=None).copy()
    sheet[PHOTOGRAPH[1] : PHOTOGRAPH[3], PHOTOGRAPH[0] : PHOTOGRAPH[2]] = photograph
    [found] = find_pictures(np.asarray(reencode(Image.fromarray(sheet), "JPEG", 85)))
    assert np.abs(np.array(found.box) - PHOTOGRAPH).max() <= 4


def test_a_card_around_a_picture_is_no_picture() -> None:
    """Its ground has one colour all over, and text on it."""
    sheet = np.full((900, 900, 3), 255, np.uint8)
    sheet[100:760, 100:800] = (236, 239, 244)
    card = Image.fromarray(sheet)
    for y in (130, 154, 178, 640, 664, 688):
        ImageDraw.Draw(card).text(
            (130, y), "The council voted on Tuesday to reopen the bridge. " * 2, (20, 20, 20)
        )
    card.paste(Image.fromarray(skimage.data.coffee()).resize((600, 400)), (150, 220))
    [found] = find_pictures(np.asarray(reencode(card, "JPEG", 85)))
    assert np.abs(np.array(found.box) - (150, 220, 750, 620)).max() <= 2
