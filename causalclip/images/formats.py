"""Rules for files that are accepted as pictures, by content and size, and the errors for the
rest."""

import re
from typing import Literal, get_args

from causalclip.languages import N_, _, any_of, decimal, figure, number, paragraph

MAX_BYTES = 20 * 2**20  # of the file
MAX_PIXELS = 50_000_000  # width x height, read from the header
# the same of a JPEG that can be decoded at half its size, in a quarter of the memory
MAX_REDUCED = 200_000_000
MIN_SIDE = 64  # pixels on the shorter side

Format = Literal["JPEG", "PNG", "WebP", "AVIF", "HEIC", "TIFF", "GIF"]
Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the upright picture

NAMES = f"{', '.join(get_args(Format)[:-1])} or {get_args(Format)[-1]}"
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".tif", ".tiff", ".gif")
SIZES = (
    f"at most {MAX_BYTES >> 20} MB and {MAX_PIXELS / 1e6:g} million pixels, at least "
    f"{MIN_SIDE} on the shorter side"
)
ACCEPTED = f"{NAMES}; {SIZES}."  # what every API says
EXPORT = N_("Save or export it as JPEG or PNG and try again.")
TOO_LARGE = N_("This picture is too large")
TOO_SMALL = N_("This picture is too small")
SMALLER = N_(
    "Save a copy as a JPEG of high quality, or cut out the part that matters. Do not scale it "
    "down: that removes what is looked for."
)

# The format by the first bytes
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"hevm",
    b"hevs",
    b"mif1",
    b"msf1",
}
_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_REFUSED = (
    (re.compile(rb"BM....\0\0\0\0", re.DOTALL), N_("a BMP picture")),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), N_("a JPEG XL picture")),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), N_("a JPEG 2000 picture")),
    (re.compile(rb"8BPS"), N_("a Photoshop document")),
    (re.compile(rb"%PDF"), N_("a PDF document")),
    (re.compile(rb"PK\x03\x04"), N_("an archive or an office document")),
    (
        re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL),
        N_("a video or another media file"),
    ),
    (re.compile(rb"\s*<(?:!doctype\s+)?html", re.IGNORECASE), N_("a web page")),
)
_SVG = re.compile(rb"\s*<(?:svg|[?!].*<svg)[\s>]", re.DOTALL | re.IGNORECASE)


class ImageError(ValueError):
    """A file that cannot be used as a picture; `str(error)` is a sentence for the user, without the
    file's name."""


class UnsupportedImage(ImageError):
    """Not an image, or an image of a kind that is not accepted."""


class BrokenImage(ImageError):
    """An image that is cut short or damaged."""


class ImageTooLarge(ImageError):
    """More bytes or more pixels than are accepted."""


class ImageTooSmall(ImageError):
    """Fewer pixels on the shorter side than are needed."""


def names() -> str:
    """Return NAMES in the reader's language."""
    return any_of(get_args(Format))


def sizes() -> str:
    """Return SIZES in the reader's language, with what is read of JPEGs that are not
    progressive."""
    sentence = N_(
        "at most {mb} MB and {millions} million pixels ({reduced} million in most JPEGs), at least "
        "{side} on the shorter side"
    )
    most, reduced = figure(MAX_PIXELS / 1e6), figure(MAX_REDUCED / 1e6)
    return _(sentence, mb=MAX_BYTES >> 20, millions=most, reduced=reduced, side=MIN_SIDE)


def with_export_hint(message: str, /, **values: object) -> str:
    """Return a message in the reader's language, and what to do: EXPORT."""
    return paragraph(_(message, **values), _(EXPORT))


def too_many_bytes() -> ImageTooLarge:
    """Return the error for a file of more than MAX_BYTES."""
    return ImageTooLarge(
        paragraph(_("The file has more than {mb} MB.", mb=MAX_BYTES >> 20), _(SMALLER))
    )


def check_size(width: int, height: int, *, most: int = MAX_PIXELS) -> None:
    """Raise ImageTooLarge or ImageTooSmall if a picture of width x height pixels is not
    accepted."""
    if width * height > most:
        raise ImageTooLarge(
            _(
                "The picture has {width} x {height} pixels, {millions} million; the limit is "
                "{most} million, and {reduced} million for a JPEG that is not progressive. Cut out "
                "the part that matters, at its own size: shrinking removes what is looked for.",
                width=number(width),
                height=number(height),
                millions=decimal(width * height / 1e6, digits=1),
                most=figure(MAX_PIXELS / 1e6),
                reduced=figure(MAX_REDUCED / 1e6),
            )
        )
    if min(width, height) < MIN_SIDE:
        raise ImageTooSmall(
            _(
                "The picture has {width} x {height} pixels; its shorter side must have at least "
                "{side}. Use a larger version of it.",
                width=number(width),
                height=number(height),
                side=MIN_SIDE,
            )
        )


def damaged(name: Format) -> BrokenImage:
    """Return the error for a file of format `name` that does not decode."""
    sentence = N_(
        "The {format} file is cut short or damaged, so it cannot be decoded. Download or copy it "
        "again."
    )
    return BrokenImage(_(sentence, format=name))


def sniff(data: bytes) -> Format:
    """Return the format of a file by its first bytes.

    Raises:
        UnsupportedImage: it is of no accepted format; the error names what it is, if known.
    """
    if not data:
        raise UnsupportedImage(
            _("The file is empty: it holds no bytes. Choose another file, or upload it again.")
        )
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIC_BRANDS:
        return "HEIC"
    for pattern, what in _REFUSED:
        if pattern.match(data):
            raise UnsupportedImage(
                with_export_hint(N_("This is {what}, which is not accepted."), what=_(what))
            )
    # UTF-16 reads like ASCII then
    text = data[:4096].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
    if _SVG.match(text):
        raise UnsupportedImage(with_export_hint(N_("This is an SVG drawing, which has no pixels.")))
    sentence = N_(
        "This is not a picture in an accepted format ({formats}), whatever its name says."
    )
    raise UnsupportedImage(_(sentence, formats=names()))


def _brands(data: bytes) -> set[bytes]:
    """Return major and compatible brands of an ISO media file; none of any other file."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return {data[8:12], *(data[i : i + 4] for i in range(16, end - 3, 4))}
