"""From the bytes of a picture to upright sRGB pixels, by Pillow, in a sandbox."""

import contextlib
import importlib
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pillow_heif
from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from causalclip.images import containers, formats, sandbox
from causalclip.images.containers import MAX_PROFILE_BYTES
from causalclip.images.formats import BrokenImage, Format, ImageError, UnsupportedImage, exported
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

_PAGES = containers.PAGES
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


def decode_in_sandbox(data: bytes, name: Format, *, enough: int | None = None) -> Decoded:
    """What `decode` gives, by a process of its own that ends at its limits of memory and time
    (BrokenImage).

    enough: pixels of a JPEG from which on it may come at half or a quarter of its size, without a
    note.

    Raises RuntimeError if that process cannot run at all.
    """
    try:
        # WebP's decoder takes all of it on opening
        memory = MEMORY_BEFORE if name in _FRAGILE else MEMORY
        given = data, name, formats.MAX_PIXELS, enough
        with sandbox.ask(decode_in_turn, *given, memory=memory, seconds=SECONDS) as items:
            pixels = next(items)
            with _TURN if pixels > LARGE_PIXELS or name in _FRAGILE else contextlib.nullcontext():
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


def decode_in_turn(
    data: bytes, name: Format, most: int, enough: int | None = None
) -> Iterator[Any]:
    """First the number of pixels that the header announces, then what `decode` gives, of at most so
    many pixels."""
    try:
        opened = _open(data, name, most)
        pixels_in_file = opened.image.width * opened.image.height
        yield pixels_in_file
        sandbox.limit_time(SECONDS + SECONDS_A_PIXEL * pixels_in_file)
        sandbox.limit_memory(min(MEMORY, MEMORY_BEFORE + MEMORY_A_PIXEL * pixels_in_file))
        opened, halved = _drafted(opened, most, enough)
        formats.check_size(*opened.image.size, most=most)
        opened.image.load()
        # an HEIC file can turn out larger than its header says
        formats.check_size(*opened.image.size, most=most)
        # A bare copy that shares the pixels lets the decoder's own buffers go before the next ones
        # are made.
        opened = replace(opened, image=opened.image._new(opened.image.im))
        hidden = read_hidden(opened.image) if name in ("PNG", "WebP") else None
        pixels, notes = to_srgb(
            opened.image, profile=opened.profile, bits=opened.bits, white=opened.white
        )
    except ImageError:
        raise
    except (
        Exception
    ) as error:  # decoders raise anything from OSError to KeyError on bad input; all mean the same
        # libheif says it in words
        out_of_memory = isinstance(error, MemoryError) or "memory" in str(error).lower()
        raise (_too_costly(name) if out_of_memory else formats.damaged(name)) from error
    notes, orientation = opened.notes + notes, opened.orientation
    del opened  # Pillow's copy of the pixels goes before they are sent
    if name not in ("HEIC", "TIFF"):  # Pillow has turned those
        pixels = _upright(pixels, orientation)
    yield pixels, (*notes, _(_UPRIGHT)) if orientation in range(2, 9) else notes, halved, hidden


def _drafted(opened: Opened, most: int, enough: int | None) -> tuple[Opened, bool]:
    """A JPEG of more pixels than can be taken, or are enough, will be decoded at half of its size,
    or a quarter."""
    image, (width, height) = opened.image, opened.image.size
    if width * height <= (enough or most) or image.format != "JPEG":
        return opened, False
    by = 4 if enough and width * height >= 8 * enough else 2
    image.draft(None, (width // by, height // by))
    if enough:
        return opened, True
    said = _(
        "The picture has {width} x {height} pixels, more than {most} million, so it was judged at "
        "half its size, which removes some of what is looked for. To judge a part at its own size, "
        "cut it out of the original file, without shrinking it, and add that.",
        width=number(width),
        height=number(height),
        most=figure(most / 1e6),
    )
    return replace(opened, notes=(*opened.notes, said)), True


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation, 1 to 8, of pixels [H, W, 3] (TIFF 6.0, tag 274)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[rows, columns])


# One opener a format ------------------------------------------------------------------------------


def _open(data: bytes, name: Format, most: int) -> Opened:
    if name in containers.READERS:
        header = containers.READERS[name](data)
        most = formats.MAX_REDUCED if name == "JPEG" and not header.buffered else most
        formats.check_size(header.width, header.height, most=most)
        opened = _OPENERS[name](header.data)
        return replace(
            opened,
            profile=header.profile or opened.profile,
            orientation=containers.orientation(header.exif) if header.exif else opened.orientation,
            bits=max(header.bits, opened.bits),
            notes=opened.notes + header.notes,
        )
    return _OPENERS[name](data)


def _open_plain(image: Image.Image) -> Opened:
    """What JPEG, PNG, GIF, WebP and AVIF have in common."""
    exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    notes = (_(containers.ANIMATED),) if getattr(image, "is_animated", False) else ()
    return Opened(
        image, image.info.get("icc_profile") or b"", containers.orientation(exif), notes=notes
    )


def _open_avif(data: bytes) -> Opened:
    opened = _open_plain(AvifImagePlugin.AvifImageFile(io.BytesIO(data)))
    # the configuration's third byte has a flag for 10 or 12 bits, which Pillow does not show
    deep = data.find(b"av1C")
    bits = 10 if deep >= 0 and data[deep + 6] & 0x40 else 8
    coded = data.find(b"colrnclx")
    numbers = (
        np.frombuffer(data, ">u2", 2, coded + 8) if coded >= 0 and not opened.profile else (1, 13)
    )
    return replace(
        opened, bits=bits, notes=opened.notes + containers.coded_colours(*map(int, numbers))
    )


def _open_heic(data: bytes) -> Opened:
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = (
        pillow_heif.options.AUX_IMAGES
    ) = False
    image = pillow_heif.HeifImageFile(io.BytesIO(data))
    info = image.info
    notes: tuple[str, ...] = (_(_MAIN),) if image.is_animated else ()
    coded = info.get("nclx_profile")
    if coded and not info.get("icc_profile"):
        notes += containers.coded_colours(
            int(coded["color_primaries"]), int(coded["transfer_characteristics"])
        )
    # Only the container's own marks turn an HEIC (ISO/IEC 23008-12); EXIF's orientation repeats
    # them or is void.
    turned = info.get("original_orientation") or 1 if b"irot" in data or b"imir" in data else 1
    return Opened(
        image, info.get("icc_profile") or b"", turned, info.get("bit_depth", 8), notes=notes
    )


def _open_tiff(data: bytes) -> Opened:
    try:
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    except SyntaxError as error:
        if "unknown" in str(error):  # "unknown pixel mode", "unknown data organization"
            raise UnsupportedImage(
                exported(N_("This TIFF stores its pixels in a way that cannot be read."))
            ) from error
        raise
    tags = image.tag_v2
    if data[8:10] == b"CR" or _DNG in tags or tags.get(_SUBFILE, 0) & 1:
        raise UnsupportedImage(
            exported(N_("This is a camera's raw file; what could be read of it is a thumbnail."))
        )
    if image.mode == "I;16" and tags.get(_PHOTOMETRIC) == 0:  # Pillow reads it as a negative
        raise UnsupportedImage(
            exported(N_("This TIFF has 16 bits a pixel with white as 0, which cannot be read."))
        )
    bits = max(np.atleast_1d(tags.get(_BITS, 8)).tolist())
    return Opened(
        image,
        image.info.get("icc_profile") or b"",
        tags.get(_ORIENTATION, 1),
        bits,
        white=2**bits - 1,
        notes=(_(_PAGES),) if image.is_animated else (),
    )


_OPENERS: dict[Format, Callable[[bytes], Opened]] = {
    "JPEG": lambda data: _open_plain(JpegImagePlugin.JpegImageFile(io.BytesIO(data))),
    "PNG": lambda data: _open_plain(PngImagePlugin.PngImageFile(io.BytesIO(data))),
    "WebP": lambda data: _open_plain(WebPImagePlugin.WebPImageFile(io.BytesIO(data))),
    "GIF": lambda data: _open_plain(GifImagePlugin.GifImageFile(io.BytesIO(data))),
    "AVIF": _open_avif,
    "HEIC": _open_heic,
    "TIFF": _open_tiff,
}


def _too_costly(name: Format) -> BrokenImage:
    said = N_(
        "The {format} file could not be decoded in the time and memory that its size warrants."
    )
    return BrokenImage(exported(said, format=name))


# converted at once: intermediate copies of a large picture would not fit in memory
STRIP_PIXELS = 2_000_000
SAME = 2  # levels of 255 by which a profile may differ from sRGB before the pixels are converted

# ICC's colour space: Pillow's mode
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_TRANSPARENT = N_("Its transparent parts were laid on white.")
_BAD_PROFILE = N_("Its colour profile could not be used; its colours were taken as sRGB.")
_BARE_CMYK = N_(
    "It is made of printing inks (CMYK) without a colour profile; its colours are approximate."
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """How colours become sRGB: from mode `base`, by `transform` (None: as Pillow does it), with a
    note."""

    base: str
    transform: ImageCms.ImageCmsTransform | None = None
    notes: tuple[str, ...] = ()


def to_srgb(
    image: Image.Image, *, profile: bytes, bits: int = 8, white: int = 65535
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert a decoded picture to uint8 [H, W, 3] in sRGB, transparency laid on white, and say
    what was done.

    `profile` is the file's ICC profile (b"" where there is none), `bits` its depth a channel,
    `white` the level that stands for white where the mode has 16 bits. Raises UnsupportedImage for
    pixels that are measurements, not colours.
    """
    notes: tuple[str, ...] = ()
    if bits > 8:
        notes += (_("Its {bits} bits a channel were reduced to 8.", bits=bits),)
    if image.mode in ("I", "F"):
        raise UnsupportedImage(
            exported(N_("Its pixels are 32-bit, signed or floating-point numbers, not colours."))
        )
    if image.mode.startswith("I;16"):
        image = _to_8_bits(image, white=white)
    conversion = _conversion(profile, mode=image.mode)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    opaque = True
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        flat, strip_opaque = _flatten(strip, conversion)
        pixels[top : top + rows] = np.asarray(flat)
        opaque &= strip_opaque
    return pixels, (*notes, *conversion.notes, *(() if opaque else (_(_TRANSPARENT),)))


def _to_8_bits(image: Image.Image, *, white: int) -> Image.Image:
    """Scale grey levels from 0 to `white` to 8 bits, rounded; a level that stands for transparent
    becomes white."""
    table = np.minimum((np.arange(65536, dtype=np.uint32) * 255 + white // 2) // white, 255).astype(
        np.uint8
    )
    if isinstance(key := image.info.get("transparency"), int):
        table[key] = 255
    return Image.fromarray(table[np.asarray(image)])


def _flatten(strip: Image.Image, conversion: Conversion) -> tuple[Image.Image, bool]:
    """A strip as opaque sRGB, and whether it was opaque before."""
    alpha = None
    if strip.has_transparency_data:
        strip = strip.convert("LA").convert("RGBA") if strip.mode == "La" else strip.convert("RGBA")
        alpha = strip.getchannel("A")
    colours = strip if strip.mode == conversion.base else strip.convert(conversion.base)
    if conversion.transform is not None:
        colours = _apply(colours, conversion.transform)
    elif colours.mode != "RGB":
        colours = colours.convert("RGB")
    if alpha is None or alpha.getextrema() == (255, 255):
        return colours, True
    return Image.composite(colours, Image.new("RGB", colours.size, "white"), alpha), False


# Profiles -----------------------------------------------------------------------------------------


def _conversion(profile: bytes, *, mode: str) -> Conversion:
    """The conversion for pixels of `mode` that carry `profile`."""
    natural = {"CMYK": "CMYK", "LAB": "LAB"}.get(
        mode, "L" if mode in ("1", "L", "LA", "La") else "RGB"
    )
    if profile:
        with_profile = _read_profile(profile, natural=natural)
        if with_profile is not None:
            return with_profile
    notes = (_(_BAD_PROFILE),) if profile else ()
    if natural == "LAB":
        return Conversion(
            "LAB", _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB"), notes
        )
    if natural == "CMYK":
        return Conversion("CMYK", notes=(_(_BARE_CMYK),))
    return Conversion(natural, notes=notes)


def _read_profile(profile: bytes, *, natural: str) -> Conversion | None:
    """The conversion by an ICC profile; None if it is broken, of another kind than the pixels, or
    too costly."""
    # "mpet" chains any number of steps, which may all be one and the same: a small profile can take
    # minutes to prepare.
    if len(profile) > MAX_PROFILE_BYTES or b"mpet" in profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        base = _MODE_OF_SPACE[source.profile.xcolor_space.strip()]
        if base not in (natural, "RGB" if natural == "L" else natural):
            return None
        transform = _transform(source, base)
        name = _clean(ImageCms.getProfileDescription(source))
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError, TypeError):
        return None
    if base in ("RGB", "L") and _is_identity(transform, base):
        return Conversion(base)
    return Conversion(
        base,
        transform,
        (_("Its colours were converted to sRGB from the profile “{name}”.", name=name),),
    )


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    done = ImageCms.applyTransform(image, transform)
    assert done is not None  # only a transform in place returns nothing
    return done


def _is_identity(transform: ImageCms.ImageCmsTransform, base: str) -> bool:
    """Whether a transform leaves a cube of colours (or all greys) as they are, but for SAME
    levels."""
    steps = np.arange(0, 256, 1 if base == "L" else 17, dtype=np.uint8)
    grid = (
        steps[:, None]
        if base == "L"
        else np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 1, 3)
    )
    done = np.asarray(_apply(Image.fromarray(grid), transform)).astype(int)
    return bool(np.abs(done - grid.astype(int).reshape(len(grid), 1, -1)).max() <= SAME)


def _clean(name: str) -> str:
    """A name out of the file, fit to be shown: no control characters, no markup, at most 60
    characters."""
    kept = "".join(c for c in name if c.isalnum() or c in " .,-_()+/:")
    return " ".join(kept.split())[:60] or "without a name"
