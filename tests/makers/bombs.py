"""Files that would cost a reader far more than they weigh: bombs, as pictures and as metadata."""

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from causalclip.images.formats import MAX_BYTES
from tests.makers import pictures
from tests.makers.metadata_files import (
    empty_boxes,
    joined_items,
    jpeg_exif,
    long_namespace,
    make_authority,
    sign,
    swollen,
)
from tests.makers.pictures import (
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

MB = 2**20
PICTURE = photo()
SEEDS = 1, 2


def zeros(count: int) -> bytes:
    """`count` zero bytes, compressed without ever being in memory."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(min(2**24, count - start))) for start in range(0, count, 2**24)]
    return b"".join(parts) + packer.flush()


def fill(part: bytes) -> bytes:
    """As many copies of a part as a file may have bytes, less a margin."""
    return part * ((MAX_BYTES - 2**20) // len(part))


def jpeg_with_parts(parts: bytes) -> bytes:
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


def gif_of_comments() -> bytes:
    """Build a GIF whose decoder reads millions of comments and never comes to a picture."""
    screen = b"GIF89a" + struct.pack("<HH", 128, 128) + b"\x80\0\0" + bytes(6)
    return screen + fill(b"\x21\xfe\x01x\0") + b";"


def webp_of_chunks() -> bytes:
    """Build a WebP of 49 megapixels and two million empty chunks, for each of which its decoder
    takes memory."""
    picture, chunks = large_webp(), fill(b"none" + bytes(4))
    size = struct.pack("<I", len(picture) + len(chunks) - 8)
    return picture[:4] + size + picture[8:] + chunks


def large_webp() -> bytes:
    picture = Image.new("RGBA", (7000, 7000), (0, 99, 99, 99))
    return encode(picture, "WebP", method=0, quality=0)


def interlaced_png(width: int, height: int) -> bytes:
    """Build a black PNG whose decoder goes over the picture seven times, as Adam7 lays it out."""
    passes = (8, 8, 0, 0), (8, 8, 4, 0), (4, 8, 0, 4), (4, 4, 2, 0), (2, 4, 0, 2), (2, 2, 1, 0)
    size = sum(
        ((height - y + down - 1) // down) * (1 + 3 * ((width - x + across - 1) // across))
        for across, down, x, y in (*passes, (1, 2, 0, 1))
    )
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    pixels = chunk(b"IDAT", zeros(size))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def overlapping(count: int, size: int) -> bytes:
    """EXIF of so many different tags that all hold the same bytes."""
    entries = b"".join(struct.pack(">HHII", 1000 + i, 7, size, 0) for i in range(count))
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", count) + entries + bytes(4)


def signed() -> bytes:
    return sign(
        encode(photo(), "PNG"),
        make_authority(),
        {"label": "org.test.x", "data": {"a": 1}},
        mime="image/png",
    )


TEXT = chunk(b"zTXt", b"a\0\0" + zeros(2**26))
# name -> the file's maker, and whether a good picture is to be found in it
PICTURES: dict[str, tuple[Callable[[], bytes], bool]] = {
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
    "jpeg empty parts": (lambda: jpeg_with_parts(fill(segment(0xFE, b""))), False),
    "jpeg in scans": (lambda: jpeg_in_scans(14_140, 14_140), False),
    "jpeg exif in parts": (
        lambda: jpeg_with_parts(segment(0xE1, b"Exif\0\0" + bytes(400)) * 45_000),
        True,
    ),
    "jpeg fill": (lambda: jpeg_with_parts(fill(b"\xff")), True),
    "jpeg passes": (passes, False),
    "jpeg profile of steps": (
        lambda: encode(PICTURE, "JPEG", icc_profile=steps_of_a_profile()),
        True,
    ),
    "webp chunks": (webp_of_chunks, False),
    "webp canvas": (lambda: pictures.sized("WebP", 16_383, 16_383), False),
    "gif canvas": (lambda: pictures.sized("GIF", 65_535, 65_535), False),
    "gif comments": (gif_of_comments, False),
    "tiff tags": (overlapping_tags, False),
    "tiff strips": (overlapping_strips, False),
    "tiff 1e9 pixels": (lambda: tiff(tiff_tags(2**30, 1, size=99), bytes(99)), False),
    "tiff tile": (
        lambda: tiff(tiff_tags(64, 64) | {322: (4, 1, 2**30), 323: (4, 1, 1), 324: (4, 1, 8)}),
        False,
    ),
    "avif that is larger than it says": (mismatched_avif, True),
}

# 49 million pixels, in the formats that need the most memory or time
LARGE: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encode(Image.new("RGB", (7000, 7000), "teal"), "JPEG", progressive=True),
    "png": lambda: interlaced_png(7000, 7000),
    "webp": large_webp,
    "tiff": lambda: encode(
        Image.new("RGBA", (7000, 7000), (0, 99, 99, 99)), "TIFF", compression="tiff_adobe_deflate"
    ),
}

METADATA: dict[str, Callable[[int], bytes]] = {
    "elements PNG": lambda seed: long_namespace(seed, attributes=False),
    "attributes PNG": lambda seed: long_namespace(seed, attributes=True),
    "boxes HEIC": lambda seed: empty_boxes(seed, count=100_000 + 50_000 * seed),
    "tags JPEG": lambda seed: jpeg_exif(overlapping(5000, 60_000 + seed)),
    "tags TIFF": lambda seed: tiff(
        tiff_tags(64, 64) | dict.fromkeys(range(2000, 62000 + seed), (7, 10 * MB, 8)),
        bytes(10 * MB),
    ),
    "many HEIC": lambda seed: joined_items("HEIC", items=500, extents=64, size=MB, kind=b"Exif"),
    "many AVIF": lambda seed: joined_items(
        "AVIF", items=500 + seed, extents=32, size=MB, kind=b"mime"
    ),
    "large HEIC": lambda seed: joined_items(
        "HEIC", items=8, extents=32 + seed, size=20 * MB, kind=b"mime"
    ),
    "large AVIF": lambda seed: joined_items(
        "AVIF", items=8, extents=64, size=20 * MB, kind=b"Exif"
    ),
    "assertion PNG": lambda seed: swollen(signed(), 16 * MB + seed),
}
