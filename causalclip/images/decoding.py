"""Decode a picture's file to upright sRGB pixels, by Pillow, in a sandbox."""

import contextlib
import importlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pillow_heif
from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from causalclip.images import containers, formats, sandbox
from causalclip.images.colours import to_srgb
from causalclip.images.formats import (
    BrokenImage,
    Format,
    ImageError,
    UnsupportedImage,
    with_export_hint,
)
from causalclip.images.steganography import read_hidden
from causalclip.languages import N_, _, figure, number

# a text in the lowest bits, and whether NovelAI signed it with the pixels
Hidden = tuple[str, bool]
# uint8 [H, W, 3], notes, whether it was halved
Decoded = tuple[np.ndarray, tuple[str, ...], bool, Hidden | None]

# bytes that decoding may take: with the pixels in the process that asks, less than 1 GB
MEMORY = 750 * 2**20
MEMORY_BEFORE = 250 * 2**20  # bytes that it may take before the size is known, and in addition
# coefficients of a progressive JPEG have 6 bytes, Pillow's pixels 4, what comes out 3
MEMORY_A_PIXEL = 13
# pixels; larger pictures are decoded one at a time, as that takes 7 bytes a pixel
LARGE_PIXELS = 12_000_000
SECONDS = 1.0  # of processor time that it may take for any picture, and in addition
# for each pixel that the header announces; an ordinary decoder needs a tenth to a third
SECONDS_A_PIXEL = 0.12e-6

_MAIN = N_("The file holds several pictures; only the main one was looked at.")
_UPRIGHT = N_("It was turned upright, as its orientation mark says.")
_BITS, _PHOTOMETRIC, _ORIENTATION, _SUBFILE, _DNG = 258, 262, 274, 254, 50706  # tags of a TIFF
# also decoded one at a time: headers do not bound what they take
_FRAGILE = "GIF", "TIFF", "AVIF", "HEIC"
_TURN = threading.Lock()


@dataclass(frozen=True, slots=True)
class Opened:
    """A picture whose header has been read by Pillow; loading `image` decodes it."""

    image: Image.Image
    profile: bytes  # ICC
    orientation: int = 1  # still to be applied
    bits: int = 8  # a channel, in the file
    white: int = 65535  # level of white, where Pillow keeps 16 bits
    notes: tuple[str, ...] = ()


def decode_in_sandbox(data: bytes, name: Format) -> Decoded:
    """Decode as `decode` does, in a process of its own that ends at its limits of memory and time.

    Args:
        data: the file.
        name: its format.

    Raises:
        ImageError: as `decode`; at a limit, BrokenImage.
        RuntimeError: the process cannot run at all.
    """
    try:
        # WebP's decoder takes all of it on opening
        memory = MEMORY_BEFORE if name in _FRAGILE else MEMORY
        arguments = data, name, formats.MAX_PIXELS
        with sandbox.stream(decode_in_turn, *arguments, memory=memory, seconds=SECONDS) as items:
            pixels = next(items)
            alone = pixels > LARGE_PIXELS or name in _FRAGILE
            with _TURN if alone else contextlib.nullcontext():
                decoded: Decoded = next(items)
            next(items, None)
            return decoded
    except sandbox.TooCostly:
        raise _too_costly(name) from None


def prepare() -> None:
    """Import what only a signature in the pixels needs (`hidden`), and what that imports at its
    first use."""
    importlib.import_module("cryptography.exceptions")
    importlib.import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    importlib.import_module("cryptography.hazmat.backends.openssl.backend")


def decode(data: bytes, name: Format) -> Decoded:
    """Decode a file of format `name` to uint8 [H, W, 3] in sRGB, upright; say what was done on the
    way, whether the picture comes at half its size, and what is hidden in its lowest bits.

    Raises an ImageError for a file that is too large or too small by its header (before it is
    decoded), or is damaged.
    """
    *_pixels, decoded = decode_in_turn(data, name, formats.MAX_PIXELS)
    return decoded


def decode_in_turn(data: bytes, name: Format, most: int) -> Iterator[Any]:
    """Yield the number of pixels that the header announces, then what `decode` gives.

    most: pixels that are taken.
    """
    try:
        # 1. The header, and the limits that it warrants
        opened = _open(data, name, most)
        pixels_in_file = opened.image.width * opened.image.height
        yield pixels_in_file
        sandbox.limit_time(SECONDS + SECONDS_A_PIXEL * pixels_in_file)
        sandbox.limit_memory(min(MEMORY, MEMORY_BEFORE + MEMORY_A_PIXEL * pixels_in_file))

        # 2. The pixels
        opened, halved = _halve_jpeg(opened, most)
        formats.check_size(*opened.image.size, most=most)
        opened.image.load()
        # an HEIC file can turn out larger than its header says
        formats.check_size(*opened.image.size, most=most)
        # A bare copy that shares the pixels lets the decoder's own buffers go before the next ones
        # are made.
        opened = replace(opened, image=opened.image._new(opened.image.im))

        # 3. What is hidden in them, and their colours
        hidden = read_hidden(opened.image) if name in ("PNG", "WebP") else None
        pixels, notes = to_srgb(
            opened.image, profile=opened.profile, bits=opened.bits, white=opened.white
        )
    except ImageError:
        raise
    except Exception as error:
        # Decoders raise anything from OSError to KeyError on bad input, and all mean the same;
        # libheif says it in words
        out_of_memory = isinstance(error, MemoryError) or "memory" in str(error).lower()
        raise (_too_costly(name) if out_of_memory else formats.damaged(name)) from error

    # 4. Upright
    notes = opened.notes + notes
    orientation = opened.orientation
    del opened  # Pillow's copy of the pixels goes before they are sent
    if name not in ("HEIC", "TIFF"):  # Pillow has turned those
        pixels = _upright(pixels, orientation)
    if orientation in range(2, 9):
        notes = (*notes, _(_UPRIGHT))
    yield pixels, notes, halved, hidden


def _halve_jpeg(opened: Opened, most: int) -> tuple[Opened, bool]:
    """Have a JPEG of more pixels than can be taken decoded at half of its size; return also whether
    it is."""
    image = opened.image
    width, height = image.size
    if width * height <= most or image.format != "JPEG":
        return opened, False
    image.draft(None, (width // 2, height // 2))
    note = _(
        "The picture has {width} x {height} pixels, more than {most} million, so it was judged at "
        "half its size, which removes some of what is looked for. To judge a part at its own size, "
        "cut it out of the original file, without shrinking it, and add that.",
        width=number(width),
        height=number(height),
        most=figure(most / 1e6),
    )
    return replace(opened, notes=(*opened.notes, note)), True


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation, 1 to 8, of pixels [H, W, 3] (TIFF 6.0, tag 274)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[rows, columns])


# One opener a format ------------------------------------------------------------------------------


def _open(data: bytes, name: Format, most: int) -> Opened:
    """Read the header; the size is checked before the decoder sees the file, where that can be."""
    header = containers.read_container(data, name)
    if header is None:
        return _open_by_pillow(data, name)
    most = formats.MAX_REDUCED if name == "JPEG" and not header.buffered else most
    formats.check_size(header.width, header.height, most=most)
    opened = _open_by_pillow(header.data, name)
    return replace(
        opened,
        profile=header.profile or opened.profile,
        orientation=containers.orientation(header.exif) if header.exif else opened.orientation,
        bits=max(header.bits, opened.bits),
        notes=opened.notes + header.notes,
    )


def _open_by_pillow(data: bytes, name: Format) -> Opened:
    """Have Pillow, or libheif, read the header."""
    match name:
        case "JPEG":
            return _open_plain(JpegImagePlugin.JpegImageFile(io.BytesIO(data)))
        case "PNG":
            return _open_plain(PngImagePlugin.PngImageFile(io.BytesIO(data)))
        case "WebP":
            return _open_plain(WebPImagePlugin.WebPImageFile(io.BytesIO(data)))
        case "GIF":
            return _open_plain(GifImagePlugin.GifImageFile(io.BytesIO(data)))
        case "AVIF":
            return _open_avif(data)
        case "HEIC":
            return _open_heic(data)
        case "TIFF":
            return _open_tiff(data)


def _open_plain(image: Image.Image) -> Opened:
    """Read what JPEG, PNG, GIF, WebP and AVIF have in common."""
    exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    notes = (_(containers.ANIMATED),) if getattr(image, "is_animated", False) else ()
    return Opened(
        image, image.info.get("icc_profile") or b"", containers.orientation(exif), notes=notes
    )


def _open_avif(data: bytes) -> Opened:
    """Read AVIF's header, and what Pillow does not tell of it: depth and coded colours."""
    opened = _open_plain(AvifImagePlugin.AvifImageFile(io.BytesIO(data)))
    # the configuration's third byte has a flag for 10 or 12 bits, which Pillow does not show
    deep = data.find(b"av1C")
    bits = 10 if deep >= 0 and data[deep + 6] & 0x40 else 8
    at = data.find(b"colrnclx")
    primaries, transfer = 1, 13  # sRGB's
    if at >= 0 and not opened.profile:
        primaries, transfer = map(int, np.frombuffer(data, ">u2", 2, at + 8))
    notes = opened.notes + containers.coded_colours(primaries, transfer)
    return replace(opened, bits=bits, notes=notes)


def _open_heic(data: bytes) -> Opened:
    """Read HEIC's header, of the main picture alone."""
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
    image = pillow_heif.HeifImageFile(io.BytesIO(data))
    info = image.info
    notes: tuple[str, ...] = (_(_MAIN),) if image.is_animated else ()
    colours = info.get("nclx_profile")
    if colours and not info.get("icc_profile"):
        notes += containers.coded_colours(
            int(colours["color_primaries"]), int(colours["transfer_characteristics"])
        )
    # Only the container's own marks turn an HEIC (ISO/IEC 23008-12); EXIF's orientation repeats
    # them or is void.
    orientation = 1
    if b"irot" in data or b"imir" in data:
        orientation = info.get("original_orientation") or 1
    return Opened(
        image=image,
        profile=info.get("icc_profile") or b"",
        orientation=orientation,
        bits=info.get("bit_depth", 8),
        notes=notes,
    )


def _open_tiff(data: bytes) -> Opened:
    """Read TIFF's header.

    Raises UnsupportedImage for raw files, and for pixels that Pillow cannot read or reads wrongly.
    """
    try:
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    except SyntaxError as error:
        if "unknown" in str(error):  # "unknown pixel mode", "unknown data organization"
            raise UnsupportedImage(
                with_export_hint(N_("This TIFF stores its pixels in a way that cannot be read."))
            ) from error
        raise
    tags = image.tag_v2
    if data[8:10] == b"CR" or _DNG in tags or tags.get(_SUBFILE, 0) & 1:
        raise UnsupportedImage(
            with_export_hint(
                N_("This is a camera's raw file; what could be read of it is a thumbnail.")
            )
        )
    if image.mode == "I;16" and tags.get(_PHOTOMETRIC) == 0:  # Pillow reads it as a negative
        raise UnsupportedImage(
            with_export_hint(
                N_("This TIFF has 16 bits a pixel with white as 0, which cannot be read.")
            )
        )
    bits = max(np.atleast_1d(tags.get(_BITS, 8)).tolist())
    return Opened(
        image,
        image.info.get("icc_profile") or b"",
        tags.get(_ORIENTATION, 1),
        bits,
        white=2**bits - 1,
        notes=(_(containers.PAGES),) if image.is_animated else (),
    )


def _too_costly(name: Format) -> BrokenImage:
    sentence = N_(
        "The {format} file could not be decoded in the time and memory that its size warrants."
    )
    return BrokenImage(with_export_hint(sentence, format=name))
