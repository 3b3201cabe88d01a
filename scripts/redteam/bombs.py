"""Files whose metadata or shape cost more than they weigh, made anew from a seed: nobody can learn a list by heart.

Each reader of metadata and each decoder has its own: one long name, many short ones, many boxes, deep nesting, false
lengths, many scans.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

Bomb = Callable[[random.Random], bytes]
START = b"\x89PNG\r\n\x1a\n"


def bombs(seed: int) -> Iterator[tuple[str, str, bytes]]:
    """The name of each bomb, of its file, and its bytes."""
    for make in BOMBS:
        ending = str(make.__name__).partition("_")[0]
        yield str(make.__name__), f"x.{ending}", make(random.Random(f"{seed} {make.__name__}"))


def png_with_one_long_namespace(rng: random.Random) -> bytes:
    names = "".join(f"<n:{_name(rng, i)}/>" for i in range(rng.randint(9_000, 20_000)))
    return _png(_xmp(f"<r xmlns:n='{'u' * rng.randint(60_000, 130_000)}'>{names}</r>"))


def png_with_many_attributes(rng: random.Random) -> bytes:
    names = " ".join(f"n:{_name(rng, i)}=''" for i in range(rng.randint(9_000, 20_000)))
    return _png(_xmp(f"<r xmlns:n='{'u' * rng.randint(60_000, 130_000)}' {names}/>"))


def png_with_deep_elements(rng: random.Random) -> bytes:
    depth = rng.randint(100_000, 800_000)
    return _png(_xmp("<a>" * depth + "</a>" * depth))


def png_with_many_namespaces(rng: random.Random) -> bytes:
    return _png(_xmp("".join(f"<a xmlns:n{i}='u{rng.random()}'>" for i in range(50_000)) + "</a>" * 50_000))


def png_with_many_texts(rng: random.Random) -> bytes:
    chunks = (_chunk(b"tEXt", _name(rng, i).encode() + b"\0x") for i in range(rng.randint(200_000, 500_000)))
    return _png(b"".join(chunks))


def png_with_packed_texts(rng: random.Random) -> bytes:
    packed = zlib.compress(bytes(rng.randint(20, 60) * 2**20), 9)
    return _png(b"".join(_chunk(b"zTXt", b"a%d\0\0" % i + packed) for i in range(60)))


def png_with_a_packed_profile(rng: random.Random) -> bytes:
    return _png(_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(rng.randint(300, 900) * 2**20), 9)))


def png_with_a_signature_of_nothing(rng: random.Random) -> bytes:
    """Content Credentials whose boxes are right, and whose one assertion is not."""
    body = b"\xff" * rng.randint(6_000_000, 17_000_000)
    inner = _box(b"jumb", _box(b"jumd", b"cbor\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa.x\0") + _box(b"cbor", body))
    store = _box(b"jumb", _box(b"jumd", b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa\0") + inner)
    return _png(_chunk(b"caBX", store))


def png_with_nested_boxes(rng: random.Random) -> bytes:
    body = b""
    for _ in range(rng.randint(20_000, 60_000)):
        body = struct.pack(">I", (len(body) + 8) & 0xFFFFFFFF) + b"jumb" + body if len(body) < 2**16 else body
    return _png(_chunk(b"caBX", body * 40))


def png_as_a_strip(rng: random.Random) -> bytes:
    file, sides = io.BytesIO(), [64, rng.randint(120_000, 190_000)]
    rng.shuffle(sides)
    Image.linear_gradient("L").resize((sides[0], sides[1])).convert("RGB").save(file, "PNG")
    return file.getvalue()


def heic_with_many_boxes(rng: random.Random) -> bytes:
    free = struct.pack(">I", 8) + b"free"
    return _ftyp(b"heic") + free * rng.randint(100_000, 2_400_000) + _box(b"jumb", b"x")


def avif_with_many_boxes(rng: random.Random) -> bytes:
    kinds = (b"free", b"skip", b"uuid", b"meta")
    boxes = b"".join(struct.pack(">I", 8) + rng.choice(kinds) for _ in range(1000))
    return _ftyp(b"avif") + boxes * rng.randint(100, 2_000) + _box(b"jumb", b"jumb")


def heic_with_false_lengths(rng: random.Random) -> bytes:
    size = 2**20
    places = b"".join(
        struct.pack(">HHH", i, 0, 64) + struct.pack(">II", 0, rng.randint(size // 2, size)) * 64 for i in range(500)
    )
    iloc = _box(b"iloc", b"\0\0\0\0\x44\x00" + struct.pack(">H", 500) + places)
    infos = b"".join(_box(b"infe", b"\2\0\0\0" + struct.pack(">HH", i, 0) + b"Exif\0") for i in range(500))
    iinf = _box(b"iinf", b"\0\0\0\0" + struct.pack(">H", 500) + infos)
    return (_ftyp(b"heic") + _box(b"meta", b"\0\0\0\0" + iinf + iloc)).ljust(size, b"\0")


def jpg_with_many_fields(rng: random.Random) -> bytes:
    """EXIF whose every field points at the same large value, and whose directories lead back to themselves."""
    count = rng.randint(2_000, 4_000)
    entries = b"".join(struct.pack("<HHII", rng.randint(1, 65000), 2, 60_000, 8) for _ in range(count))
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", count) + entries + struct.pack("<I", 8)
    return _jpeg(b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff)


def jpg_with_many_segments(rng: random.Random) -> bytes:
    kinds = [bytes([0xFF, kind]) + b"\0\2" for kind in (0xE1, 0xE2, 0xEB, 0xED, 0xFE)]
    return _jpeg(b"".join(rng.choice(kinds) for _ in range(1000)) * rng.randint(1_000, 4_500))


def jpg_with_many_records(rng: random.Random) -> bytes:
    """IPTC: thousands of records of a few bytes, in as many segments as fit."""
    records = b"".join(b"\x1c\2" + bytes([rng.randint(0, 255)]) + b"\0\1x" for _ in range(9_000))
    block = b"8BIM\4\4\0\0" + struct.pack(">I", len(records)) + records
    segment = b"Photoshop 3.0\0" + block
    return _jpeg((b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment) * rng.randint(100, 300))


def jpg_in_pieces(rng: random.Random) -> bytes:
    """XMP that is continued in thousands of segments, each of which says that it is one of them."""
    packet = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32
    parts = (packet + struct.pack(">II", 2**31, rng.randint(0, 2**31)) + b"<a>" * 20 for _ in range(60_000))
    return _jpeg(b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts))


def jpg_with_one_scan_a_colour(rng: random.Random) -> bytes:
    """Sequential, not interleaved, of nearly 200 megapixels: all coefficients of it have to be in memory."""
    width, height = rng.randint(13_000, 14_000), 14_000
    tables = _plain_jpeg()
    head = tables[: tables.index(b"\xff\xc0")]
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width) + b"\3\1\x11\0\2\x11\1\3\x11\1"
    huffman = tables[tables.index(b"\xff\xc4") : tables.index(b"\xff\xda")]
    scans = b"".join(b"\xff\xda\0\x08\1" + bytes([c, 0x11 * (c > 1)]) + b"\0\x3f\0" + bytes(700_000) for c in (1, 2, 3))
    return head + frame + huffman + scans + b"\xff\xd9"


def webp_with_many_chunks(rng: random.Random) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (128, 128), "red").save(file, "WEBP")
    body = file.getvalue()[12:] + (b"EXIF\0\0\0\0" + b"XMP \0\0\0\0") * rng.randint(300_000, 1_000_000)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def gif_with_many_comments(rng: random.Random) -> bytes:
    file = io.BytesIO()
    Image.new("P", (128, 128)).save(file, "GIF")
    data = file.getvalue()
    return data[:-1] + b"!\xfe\1x\0" * rng.randint(1_000_000, 3_000_000) + b";"


def tiff_with_many_directories(rng: random.Random) -> bytes:
    count = rng.randint(200_000, 900_000)
    directories = b"".join(struct.pack("<HHHIII", 1, 256, 3, 1, 9, 8 + 18 * (i + 1)) for i in range(count))
    return b"II*\0" + struct.pack("<I", 8) + directories + bytes(6)


BOMBS: tuple[Bomb, ...] = (
    png_as_a_strip,
    png_with_one_long_namespace,
    png_with_many_attributes,
    png_with_deep_elements,
    png_with_many_namespaces,
    png_with_many_texts,
    png_with_packed_texts,
    png_with_a_packed_profile,
    png_with_a_signature_of_nothing,
    png_with_nested_boxes,
    heic_with_many_boxes,
    avif_with_many_boxes,
    heic_with_false_lengths,
    jpg_with_many_fields,
    jpg_with_many_segments,
    jpg_with_many_records,
    jpg_in_pieces,
    jpg_with_one_scan_a_colour,
    webp_with_many_chunks,
    gif_with_many_comments,
    tiff_with_many_directories,
)


def _name(rng: random.Random, number: int) -> str:
    return f"{chr(97 + rng.randrange(26))}{number}"


def _xmp(text: str) -> bytes:
    return _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text.encode())


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(chunks: bytes) -> bytes:
    """A small picture, with these chunks behind its header."""
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, "PNG")
    data = file.getvalue()
    return (data[:33] + chunks + data[33:])[: 20 * 2**20]


def _jpeg(segments: bytes) -> bytes:
    """A small picture, with these segments behind its first mark."""
    data = _plain_jpeg()
    return data[:2] + segments[: 19 * 2**20] + data[2:]


def _plain_jpeg() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "JPEG")
    return file.getvalue()


def _ftyp(brand: bytes) -> bytes:
    return _box(b"ftyp", brand + b"\0\0\0\0mif1" + brand)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body
