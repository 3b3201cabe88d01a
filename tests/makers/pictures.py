"""Picture files for the tests, written by Pillow or byte by byte, and colour science to check them
against."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pillow_heif
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from causalclip.marks.star import star_opacity

# so that Pillow can write HEIC here; the package itself registers nothing
pillow_heif.register_heif_opener()

PILLOW = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WebP": "WEBP",
    "AVIF": "AVIF",
    "HEIC": "HEIF",
    "TIFF": "TIFF",
    "GIF": "GIF",
}
PART = 192, 160, 416, 352  # left, top, right, bottom in px, of `spliced`
FAITHFUL: dict[str, dict[str, Any]] = {  # options with which a format keeps the pixels best
    "JPEG": {"quality": 97, "subsampling": 0},
    "WebP": {"lossless": True},
    "AVIF": {"quality": 97, "subsampling": "4:4:4", "speed": 10},
    "HEIC": {"quality": 97, "chroma": 444},
}


def photo(width: int = 128, height: int = 96) -> np.ndarray:
    """A smooth picture without symmetries: uint8 [H, W, 3]."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = (40 + 200 * x * (1 - y / 2), 30 + 180 * y, 60 + 150 * (1 - x) ** 2)
    return np.stack(planes, -1).astype(np.uint8)


def coarse_noise(seed: int) -> np.ndarray:
    """Pictures of 160 x 120 whose perceptual hashes have nothing in common: uint8 [120, 160, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC))


def encode(picture: np.ndarray | Image.Image, name: str, **options: Any) -> bytes:
    """The bytes of a file of format `name`, as faithful as the format allows unless options say
    otherwise."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, PILLOW[name], **{**FAITHFUL.get(name, {}), **options})
    return file.getvalue()


def photograph(*, history: int | None = 75) -> np.ndarray:
    """scikit-image's astronaut, uint8 [512, 512, 3], saved before as JPEG of the quality `history`,
    or never."""
    pixels = np.asarray(data.astronaut())
    if history is None:
        return pixels
    return np.asarray(
        Image.open(io.BytesIO(encode(pixels, "JPEG", quality=history))).convert("RGB")
    )


def starred() -> np.ndarray:
    """A photograph of 832 x 832 px with Gemini's star in its corner: uint8 [H, W, 3]."""
    picture = np.array(Image.fromarray(data.coffee()).resize((832, 832)), np.float32)
    size, margin = 39, 26
    alpha = 0.5 * star_opacity(size)[..., None]
    place = slice(-margin - size, -margin)
    picture[place, place] = 255 * alpha + (1 - alpha) * picture[place, place]
    return picture.round().astype(np.uint8)


def spliced() -> np.ndarray:
    """The same with PART from a photograph that has no compression behind it."""
    pixels, (left, top, right, bottom) = photograph().copy(), PART
    other = np.asarray(data.coffee())
    pixels[top:bottom, left:right] = other[100 : 100 + bottom - top, 150 : 150 + right - left]
    return pixels


def off_by(pixels: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of a level; fails if the shapes differ."""
    assert pixels.shape == expected.shape
    return float(np.abs(pixels.astype(float) - expected).max())


# Files byte by byte -------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, rows: bytes, *, bits: int = 8, colours: int = 2, extra: bytes = b""
) -> bytes:
    """A PNG of raw rows, each without its filter byte; `extra` chunks go before the pixels."""
    return png_of_stream(
        width,
        height,
        zlib.compress(_filtered(rows, height)),
        bits=bits,
        colours=colours,
        extra=extra,
    )


def png_of_stream(
    width: int, height: int, stream: bytes, *, bits: int = 8, colours: int = 2, extra: bytes = b""
) -> bytes:
    """A PNG of an already compressed stream of rows."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def _filtered(rows: bytes, height: int) -> bytes:
    stride = len(rows) // height
    return b"".join(b"\0" + rows[i : i + stride] for i in range(0, len(rows), stride))


def tiff(
    tags: dict[int, tuple[int, int, int]], data: bytes = b"", *, next_directory: int = 0
) -> bytes:
    """A little-endian TIFF: data at byte 8, then one directory of {tag: (type, count, value or
    offset)}."""
    entries = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in sorted(tags.items()))
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_directory)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def tiff_tags(
    width: int, height: int, *, bits: int = 8, size: int = 0
) -> dict[int, tuple[int, int, int]]:
    """The tags of an uncompressed grey TIFF in one strip at byte 8."""
    return {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, bits),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, 8),
        278: (4, 1, height),
        279: (4, 1, size or width * height * bits // 8),
    }


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg_in_scans(
    width: int, height: int, *, scans: tuple[tuple[int, ...], ...] = ((1,), (2,), (3,))
) -> bytes:
    """A sequential JPEG of one grey, 4:4:4, with the channels of each scan: of 2 bits a block, so
    small."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"".join(
        bytes((channel, 0x11, 0)) for channel in (1, 2, 3)
    )
    parts = [b"\xff\xd8", segment(0xDB, bytes(1) + bytes([1] * 64)), segment(0xC0, frame)]
    # one code, "0"
    parts += [segment(0xC4, bytes((table, 1)) + bytes(15) + bytes(1)) for table in (0x00, 0x10)]
    blocks = -(-width // 8) * -(-height // 8)
    for scan in scans:
        head = (
            bytes([len(scan)])
            + b"".join(bytes((channel, 0)) for channel in scan)
            + bytes((0, 63, 0))
        )
        parts += [segment(0xDA, head), bytes(-(-2 * blocks * len(scan) // 8))]
    return b"".join((*parts, b"\xff\xd9"))


def exif(orientation: int) -> bytes:
    """An EXIF block that holds nothing but an orientation."""
    return (
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01"
        + struct.pack(">HH", orientation, 0)
        + b"\0\0\0\0"
    )


def sized(name: str, width: int, height: int) -> bytes:
    """A small picture's file whose header says width x height."""
    data = bytearray(encode(photo(), name, **({"lossless": False} if name == "WebP" else {})))
    if name == "JPEG":
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = struct.pack(">HH", height, width)
    elif name == "PNG":
        return png_of_stream(width, height, zlib.compress(bytes(1000)))
    elif name == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif name == "WebP":
        data[26:30] = struct.pack("<HH", width, height)
    elif name == "TIFF":
        return tiff(tiff_tags(width, height), bytes(1000))
    else:
        start = data.index(b"ispe") + 8
        data[start : start + 8] = struct.pack(">II", width, height)
    return bytes(data)


# Colour science -----------------------------------------------------------------------------------

SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def matrix(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Linear RGB with white point D65 to XYZ adapted to D50 (Lindbloom)."""
    white = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
    scale = np.diag((_BRADFORD @ D50) / (_BRADFORD @ white))
    return (
        np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ (columns * np.linalg.solve(columns, white))
    )


def srgb_of_xyz(xyz: np.ndarray) -> np.ndarray:
    """XYZ relative to D50, [..., 3], to sRGB levels 0 to 255 (IEC 61966-2-1), clipped."""
    linear = np.clip(xyz @ np.linalg.inv(matrix(SRGB)).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def xyz_of_lab(lab: np.ndarray) -> np.ndarray:
    """CIE L*a*b*, [..., 3], to XYZ, both relative to D50."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack((fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200), -1)
    return D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))


def _s15f16(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(65536 * value) for value in values))


def _profile(space: bytes, pcs: bytes, kind: bytes, tags: dict[bytes, bytes], name: str) -> bytes:
    text = name.encode("latin-1") + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {
        b"desc": described,
        b"wtpt": b"XYZ \0\0\0\0" + _s15f16(*D50),
        b"cprt": b"text\0\0\0\0none\0",
        **tags,
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = (
        struct.pack(">I4sI4s4s4s", start + len(body), b"test", 0x02400000, kind, space, pcs)
        + bytes(12)
        + b"acsp"
    )
    head += bytes(28) + _s15f16(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * value))


def rgb_profile(
    primaries: tuple[tuple[float, float], ...], gamma: float, name: str = "a test"
) -> bytes:
    """An ICC profile of RGB with these primaries, white point D65 and a power curve."""
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags = {
        tag: b"XYZ \0\0\0\0" + _s15f16(*column)
        for tag, column in zip(names, matrix(primaries).T, strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma))
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags, name)


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey with a power curve."""
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": _gamma(gamma)}, "grey test")


def cmyk_profile(labs: np.ndarray) -> bytes:
    """An ICC profile of inks from the L*a*b* of all 16 mixtures of no or full C, M, Y, K: [2, 2, 2,
    2, 3]."""
    levels = np.round(np.clip(labs * (2.55, 1, 1) + (0, 128, 128), 0, 255)).astype(np.uint8)
    ramp = bytes(range(256))
    table = (
        b"mft1\0\0\0\0\x04\x03\x02\0"
        + _s15f16(*np.eye(3).ravel())
        + 4 * ramp
        + levels.tobytes()
        + 3 * ramp
    )
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": table, b"A2B1": table}, "ink test")


WORDS = (
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "it",
    "rains",
    "in",
    "Spain",
)


def chart(seed: int) -> Image.Image:
    """Bars or lines, as matplotlib draws them."""
    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(8, 6), dpi=100)
    axes = figure.subplots()
    if seed % 2:
        axes.bar(range(6), rng.random(6))
    else:
        axes.plot(rng.random((20, 3)).cumsum(0))
    axes.set_title("A chart")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def page(seed: int) -> Image.Image:
    """Lines of text, dark on light or light on dark."""
    rng = np.random.default_rng(seed)
    paper, ink = ((255, 255, 255), (20, 20, 20)) if seed % 2 else ((25, 28, 34), (225, 225, 225))
    picture = Image.new("RGB", (1000, 800), paper)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 18
    )
    for line in range(26):
        draw.text((50, 30 + 29 * line), " ".join(rng.choice(WORDS, 12)), ink, font)
    return picture


def cartoon(seed: int) -> Image.Image:
    """Filled shapes with black outlines."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (1024, 768), _colour(rng))
    draw = ImageDraw.Draw(picture)
    for shape in range(12 + 4 * (seed % 10)):
        x, y, size = int(rng.integers(900)), int(rng.integers(700)), int(rng.integers(20, 200))
        box = (x, y, x + size, y + size)
        (draw.ellipse if shape % 2 else draw.rectangle)(
            box, fill=_colour(rng), outline=(0, 0, 0), width=3
        )
    return picture


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue
