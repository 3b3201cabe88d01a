"""Colours to sRGB: by the file's ICC profile, from any mode of Pillow's, transparency on white."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from causalclip.images.containers import MAX_PROFILE_BYTES
from causalclip.images.formats import UnsupportedImage, with_export_hint
from causalclip.languages import N_, _

# converted at once: intermediate copies of a large picture would not fit in memory
STRIP_PIXELS = 2_000_000
# of 255, by which a profile may differ from sRGB before the pixels are converted
MAX_PROFILE_LEVELS = 2

# ICC's colour space: Pillow's mode
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
# Pillow's mode: the one that its colours are brought to, where that is not RGB
_BASE_OF_MODE = {"CMYK": "CMYK", "LAB": "LAB", "1": "L", "L": "L", "LA": "L", "La": "L"}
_TRANSPARENT = N_("Its transparent parts were laid on white.")
_BAD_PROFILE = N_("Its colour profile could not be used; its colours were taken as sRGB.")
_BARE_CMYK = N_(
    "It is made of printing inks (CMYK) without a colour profile; its colours are approximate."
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion of colours to sRGB.

    base: Pillow's mode that they are brought to first. transform: from there; None where Pillow
    does it. notes: sentences on it.
    """

    base: str
    transform: ImageCms.ImageCmsTransform | None = None
    notes: tuple[str, ...] = ()


def to_srgb(
    image: Image.Image, *, profile: bytes, bits: int = 8, white: int = 65535
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert a decoded picture to sRGB, transparency laid on white.

    Args:
        image: decoded.
        profile: the file's ICC profile; b"" where there is none.
        bits: its depth a channel.
        white: the level that stands for white where the mode has 16 bits.

    Returns:
        uint8 [H, W, 3], and sentences on what was done.

    Raises:
        UnsupportedImage: its pixels are measurements, not colours.
    """
    # 1. To 8 bits
    notes: tuple[str, ...] = ()
    if bits > 8:
        notes += (_("Its {bits} bits a channel were reduced to 8.", bits=bits),)
    if image.mode in ("I", "F"):
        raise UnsupportedImage(
            with_export_hint(
                N_("Its pixels are 32-bit, signed or floating-point numbers, not colours.")
            )
        )
    if image.mode.startswith("I;16"):
        image = _to_8_bits(image, white=white)

    # 2. To sRGB, strip by strip
    conversion = _conversion(profile, mode=image.mode)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    opaque = True
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        flat, strip_opaque = _flatten(strip, conversion)
        pixels[top : top + rows] = np.asarray(flat)
        opaque &= strip_opaque
    notes += conversion.notes
    if not opaque:
        notes += (_(_TRANSPARENT),)
    return pixels, notes


def _to_8_bits(image: Image.Image, *, white: int) -> Image.Image:
    """Scale grey levels from 0 to `white` to 8 bits, rounded; a level that stands for transparent
    becomes white."""
    levels = (np.arange(65536, dtype=np.uint32) * 255 + white // 2) // white
    table = np.minimum(levels, 255).astype(np.uint8)
    if isinstance(key := image.info.get("transparency"), int):
        table[key] = 255
    return Image.fromarray(table[np.asarray(image)])


def _flatten(strip: Image.Image, conversion: Conversion) -> tuple[Image.Image, bool]:
    """Return a strip as opaque sRGB, and whether it was opaque before."""
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


def _conversion(profile: bytes, *, mode: str) -> Conversion:
    natural = _BASE_OF_MODE.get(mode, "RGB")
    if profile:
        with_profile = _read_profile(profile, natural=natural)
        if with_profile is not None:
            return with_profile
    notes = (_(_BAD_PROFILE),) if profile else ()
    if natural == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return Conversion("LAB", _transform(lab, "LAB"), notes)
    if natural == "CMYK":
        return Conversion("CMYK", notes=(_(_BARE_CMYK),))
    return Conversion(natural, notes=notes)


def _read_profile(profile: bytes, *, natural: str) -> Conversion | None:
    """Return the conversion by an ICC profile; None if it is broken, of another kind than the
    pixels, or too costly."""
    # "mpet" chains any number of steps, which may all be one and the same: a small profile can take
    # minutes to prepare.
    if len(profile) > MAX_PROFILE_BYTES or b"mpet" in profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        base = _MODE_OF_SPACE[source.profile.xcolor_space.strip()]
        allowed = {natural, "RGB"} if natural == "L" else {natural}
        if base not in allowed:
            return None
        transform = _transform(source, base)
        name = _printable_name(ImageCms.getProfileDescription(source))
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError, TypeError):
        return None
    if base in ("RGB", "L") and _is_identity(transform, base):
        return Conversion(base)
    note = _("Its colours were converted to sRGB from the profile “{name}”.", name=name)
    return Conversion(base, transform, (note,))


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
    result = ImageCms.applyTransform(image, transform)
    assert result is not None  # only a transform in place returns nothing
    return result


def _is_identity(transform: ImageCms.ImageCmsTransform, base: str) -> bool:
    """Return whether a transform leaves a cube of colours (or all greys) as they are, but for
    MAX_PROFILE_LEVELS."""
    if base == "L":
        grid = np.arange(256, dtype=np.uint8)[:, None]
    else:
        steps = np.arange(0, 256, 17, dtype=np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 1, 3)
    after = np.asarray(_apply(Image.fromarray(grid), transform)).astype(int)
    before = grid.astype(int).reshape(len(grid), 1, -1)
    return bool(np.abs(after - before).max() <= MAX_PROFILE_LEVELS)


def _printable_name(name: str) -> str:
    """Return a name out of the file, fit to be shown: no control characters, no markup, at most 60
    characters."""
    plain = "".join(c for c in name if c.isalnum() or c in " .,-_()+/:")
    return " ".join(plain.split())[:60] or "without a name"
