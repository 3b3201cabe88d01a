"""The metadata blocks of a picture's file, found by walking its container: what merely lies in the
file is not read.

Bytes that were appended to a picture, or put where no decoder looks, are no part of it and make no
claim about it.
Libraries unpack the blocks, but the containers of JPEG, PNG, WebP and GIF are walked here: Pillow
keeps one comment of a JPEG, gives a whole PNG up for one bad text, and reserves the canvas of a
WebP on opening it. For a sandbox.
"""

import io
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pillow_heif
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngStream, iTXt

from causalclip.images.containers import SCAN, walk
from causalclip.images.formats import Format, ImageError, damaged
from causalclip.languages import N_, _
from causalclip.marks.mark import Field
from causalclip.text import decode

MAX_ITEM = 256 * 2**10  # bytes; XMP has a few thousand, ComfyUI's workflows some 100,000
MAX_TOTAL = 2**20
MAX_TEXTS = 64
TOO_MUCH = N_("The file holds more metadata than is read here; only a part of it was read.")
DAMAGED = N_("The file's structure is damaged, so what it says about itself was not read.")
COSTLY = N_(
    "The file's metadata is damaged, or more than any real picture needs; at most a part of it was "
    "read."
)
EXIF_IFD, GPS_IFD = 0x8769, 0x8825

# of a JPEG: frame headers, tables, the first scan's header, and what IPTC is kept in
_KEPT = {b"\xc0", b"\xc1", b"\xc2", b"\xdb", SCAN, b"\xed"}
_TEXT_NAMES = {
    "JPEG": ("JPEG comment", "comment"),
    "WebP": ("WebP chunk", "CRFT"),
    "GIF": ("GIF comment", "comment"),
}
_XMP_KEY = "XML:com.adobe.xmp"  # of a PNG text
_PROFILE = b"Raw profile type "
_EXIF_PROFILES = {b"exif", b"APP1"}
MAX_DEFLATION = 1032  # bytes that deflate packs into one
_ITEMS = (b"Exif", b"rdf+xml")  # kinds of an item of HEIC and AVIF


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks that a container holds beside the picture.

    Attributes:
        exif: the tags of its EXIF.
        xmp: XML.
        iptc: IIM datasets.
        texts: of PNG, WebP and GIF, and the comments of a JPEG.
        notes: sentences on what was not read.
    """

    exif: Image.Exif = field(default_factory=Image.Exif)
    xmp: bytes = b""
    iptc: bytes = b""
    texts: tuple[Field, ...] = ()
    notes: tuple[str, ...] = ()

    def tag(self, tag: int, *, inside: int | None = None) -> Any:
        """Return the value of a tag of EXIF's first directory, or of the one `inside` it (EXIF_IFD,
        GPS_IFD): text (as Latin-1), bytes, a number, or a tuple of numbers; None for what is not
        there or cannot be read."""
        with suppress(Exception):  # as decoders do, Pillow raises anything on bad input
            return (self.exif if inside is None else self.exif.get_ifd(inside)).get(tag)
        return None


@dataclass(slots=True)
class Budget:
    """The bytes that may still be read of one file.

    Attributes:
        left: bytes.
        exceeded: whether anything was left out, or cut.
    """

    left: int = MAX_TOTAL
    exceeded: bool = False

    def whole(self, item: bytes) -> bytes:
        """Return an item of which a part would be of no use; empty if there is too much of it."""
        return item if self.cut(item) == item else b""

    def cut(self, item: bytes) -> bytes:
        """Return an item, or its beginning."""
        size = min(MAX_ITEM, self.left)
        self.left -= min(len(item), size)
        self.exceeded |= len(item) > size
        return item[:size]


def read_blocks(data: bytes, name: Format) -> Blocks:
    """Return the metadata blocks of a file of format `name`; empty where the container is broken or
    holds none."""
    budget = Budget()
    try:
        blocks = _read(data, name, budget)
    except ImageError:
        return Blocks(notes=(_(COSTLY if name in ("HEIC", "AVIF") else DAMAGED),))
    return replace(blocks, notes=(_(TOO_MUCH),)) if budget.exceeded else blocks


def _read(data: bytes, name: Format, budget: Budget) -> Blocks:
    """Read the blocks within a budget.

    Raises an ImageError where the container is broken.
    """
    match name:
        case "JPEG" | "WebP" | "GIF":
            return _read_walked(data, name, budget)
        case "PNG":
            return _read_png(data, budget)
        case "TIFF":
            return _read_tiff(data, budget)
        case "HEIC" | "AVIF":
            return _read_iso(data, name, budget)


def _read_walked(data: bytes, name: Format, budget: Budget) -> Blocks:
    """Read the blocks of a JPEG, WebP or GIF file."""
    exif = xmp = iptc = b""
    texts: list[Field] = []
    for block in walk(data, name):
        if name == "JPEG" and block.tag == SCAN:
            break
        if block.type == "exif":
            exif = exif or budget.whole(block.body)
        elif block.type == "xmp":
            xmp = xmp or budget.whole(block.body)
        elif block.type == "text" and len(texts) < MAX_TEXTS:
            texts.append(Field(*_TEXT_NAMES[name], decode(budget.cut(block.body))))
        elif block.type == "text":
            budget.exceeded = True
    if name == "JPEG" and (head := open_head(data)):
        iptc = budget.whole(head.info.get("photoshop", {}).get(0x0404, b""))
    return Blocks(_exif(exif, budget), xmp, iptc, tuple(texts))


def open_head(data: bytes) -> JpegImageFile | None:
    """Return a JPEG up to its pixels, as Pillow reads it, with its tables and IPTC's block; None if
    it is damaged.

    The other segments are left out, as Pillow makes more of them than it is asked for.
    """
    parts = [b"\xff\xd8"]
    try:
        for block in walk(data, "JPEG"):
            parts += [data[block.start : block.end]] if block.tag in _KEPT else []
            if block.tag == SCAN:
                break
        return JpegImageFile(io.BytesIO(b"".join(parts)))
    except Exception:  # it raises anything on bad input
        return None


def _read_png(data: bytes, budget: Budget) -> Blocks:
    exif = xmp = b""
    texts: list[Field] = []
    for block_type, kind, _start, _end, body, whole in walk(data, "PNG"):
        if block_type not in ("exif", "text") or not whole:
            continue
        if block_type == "exif":
            exif = exif or budget.whole(body)
        elif body.startswith(_XMP_KEY.encode() + b"\0"):
            xmp = xmp or budget.whole(_unpack(kind, body, budget)[1])
        elif len(texts) >= MAX_TEXTS:
            budget.exceeded = True
        elif body.startswith(_PROFILE):  # others than these are not unpacked
            name = body.partition(b"\0")[0].removeprefix(_PROFILE).strip()
            if name in _EXIF_PROFILES:
                exif = exif or _profile(kind, body, budget).removeprefix(b"Exif\0\0")
            elif name == b"xmp":
                xmp = xmp or _profile(kind, body, budget)
        else:
            key, value = _unpack(kind, body, budget)
            texts.append(Field("PNG text", key[:79], decode(budget.cut(value))))
    return Blocks(_exif(exif, budget), xmp, texts=tuple(texts))


def _profile(kind: bytes, body: bytes, budget: Budget) -> bytes:
    """Return the bytes of a block that ImageMagick wrote as text: a line with its name, one with
    its length, then hexadecimal digits; empty where they are none."""
    value = budget.whole(_unpack(kind, body, budget)[1])
    lines = value.strip().split(b"\n", 2)
    try:
        return bytes.fromhex(lines[2].decode("ascii"))
    except (IndexError, ValueError):
        return b""


def _unpack(kind: bytes, body: bytes, budget: Budget) -> tuple[str, bytes]:
    """Return key and value of a PNG text, as UTF-8 or Latin-1; both empty where it cannot be
    unpacked within the budget.

    The caller takes the value from the budget. Where nothing comes of a packed text, this does, as
    much may have been unpacked before that was known.
    """
    stream = PngStream(io.BytesIO(body))
    if budget.left > 0:
        with suppress(ValueError, SyntaxError):  # more than a megabyte, or packed in an unknown way
            getattr(stream, f"chunk_{kind.decode()}")(0, len(body))
    key, text = next(iter(stream.im_text.items()), ("", ""))
    value = text.encode("utf-8" if isinstance(text, iTXt) else "latin-1")
    if "xmp" in stream.im_info:
        key, value = _XMP_KEY, stream.im_info["xmp"]
    if not value and kind != b"tEXt":
        budget.left -= min(MAX_ITEM, MAX_DEFLATION * len(body))
    budget.exceeded |= not key
    return key, value


def _read_tiff(data: bytes, budget: Budget) -> Blocks:
    blocks = Blocks(_exif(data, budget, most=MAX_TOTAL))
    values = (blocks.tag(tag) for tag in (700, 33723))  # XMP and IPTC
    xmp, iptc = (budget.whole(value) if isinstance(value, bytes) else b"" for value in values)
    return replace(blocks, xmp=xmp, iptc=iptc)


def _read_iso(data: bytes, name: Format, budget: Budget) -> Blocks:
    """Read a HEIC or AVIF file, whose native readers join whatever it tells them to join, however
    often."""
    if not any(mark in data for mark in _ITEMS):
        return Blocks()
    try:
        if name == "AVIF":
            info = AvifImageFile(io.BytesIO(data)).info
        else:
            pillow_heif.options.THUMBNAILS = False
            pillow_heif.options.DEPTH_IMAGES = False
            pillow_heif.options.AUX_IMAGES = False
            info = pillow_heif.open_heif(data).info
    except Exception as error:  # the readers raise anything on bad input; all mean the same
        if "memory" in f"{error!r}".lower():  # libheif says it in words
            raise MemoryError from error
        raise damaged(name) from error
    exif = (info.get("exif") or b"").removeprefix(b"Exif\0\0")
    return Blocks(_exif(budget.whole(exif), budget), budget.whole(info.get("xmp") or b""))


def _exif(block: bytes, budget: Budget, *, most: int = MAX_ITEM) -> Image.Exif:
    """Return the tags of a TIFF structure, which is also what EXIF is, from the byte order mark on;
    damage ends a directory.

    Pillow reads every tag, and a hostile file points thousands of tags at the same bytes.
    """
    exif, stream = Image.Exif(), _Stream(block, most)
    with suppress(Exception):  # as decoders do, Pillow raises anything on bad input
        exif.load_from_fp(stream)
    for directory in (EXIF_IFD, GPS_IFD):
        with suppress(Exception):
            exif.get_ifd(directory)
    budget.exceeded |= stream.left < 0
    return exif


class _Stream(io.BytesIO):
    """A file in memory that ends after so many bytes were read, whichever they are."""

    def __init__(self, data: bytes, left: int) -> None:
        super().__init__(data)
        self.left = left

    def read(self, size: int | None = -1) -> bytes:
        part = b"" if self.left < 0 else super().read(size)
        self.left -= len(part)
        return part if self.left >= 0 else b""
