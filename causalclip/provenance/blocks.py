"""The metadata blocks of a picture's file, found by walking its container: what merely lies in the file is not read.

Bytes that were appended to a picture, or put where no decoder looks, are no part of it and make no claim about it.
Libraries unpack the blocks, but JPEG, PNG and WebP files are walked here: Pillow joins the EXIF segments of a JPEG in
quadratic time, gives a whole PNG up for one bad text, and reserves the canvas of a WebP on opening it.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from PIL.PngImagePlugin import PngStream, iTXt

from causalclip.languages import N_, _
from causalclip.pictures.formats import Format, ImageError
from causalclip.pictures.headers import jpeg_segments, png_chunks
from causalclip.pictures.plaintext import decode
from causalclip.provenance.budget import MAX_ITEM, MAX_TOTAL, TOO_MUCH, Budget
from causalclip.provenance.isomedia import read_items
from causalclip.provenance.jpegtables import open_head
from causalclip.provenance.tifftags import Tags

MAX_TEXTS = 64
DAMAGED = N_("The file's structure is damaged, so what it says about itself was not read.")
COSTLY = N_("The file's metadata is damaged, or more than any real picture needs; at most a part of it was read.")

_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_SOS, _APP1, _APP13, _COM = 0xDA, 0xE1, 0xED, 0xFE
_XMP_KEY = "XML:com.adobe.xmp"  # of a PNG text


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a file: `where` it is stored ("PNG text", "JPEG comment"), its `key` ("parameters"), its `value`."""

    where: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a container holds beside the picture. xmp: XML. iptc: IIM datasets."""

    exif: Tags = field(default_factory=Tags)
    xmp: bytes = b""
    iptc: bytes = b""
    texts: tuple[Text, ...] = ()
    notes: tuple[str, ...] = ()


def read_blocks(data: bytes, name: Format) -> Blocks:
    """The metadata blocks of a file of format `name`; empty where the container is broken or holds none."""
    reader, budget = _READERS.get(name), Budget()
    if reader is None:
        return Blocks()
    try:
        blocks = reader(data, budget)
    except ImageError:
        return Blocks(notes=(_(COSTLY if name in ("HEIC", "AVIF") else DAMAGED),))
    return replace(blocks, notes=(_(TOO_MUCH),)) if budget.exceeded else blocks


def _jpeg(data: bytes, budget: Budget) -> Blocks:
    exif = xmp = b""
    texts: list[Text] = []
    for marker, start, end in jpeg_segments(data):
        body = data[start + 4 : end]
        if marker == _SOS:
            break
        if marker == _APP1 and body.startswith(b"Exif\0\0"):
            exif = exif or budget.whole(body[6:])
        elif marker == _APP1 and body.startswith(_XMP_MARK):
            xmp = xmp or budget.whole(body[len(_XMP_MARK) :])
        elif marker == _COM and len(texts) < MAX_TEXTS:
            texts.append(Text("JPEG comment", "comment", decode(budget.cut(body))))
    head = open_head(data, _APP13)
    photoshop = head.info.get("photoshop", {}) if head else {}
    return Blocks(_exif(exif), xmp, budget.whole(photoshop.get(0x0404, b"")), tuple(texts))


def _png(data: bytes, budget: Budget) -> Blocks:
    exif = xmp = b""
    texts: list[Text] = []
    for kind, start, end in png_chunks(data):
        if kind not in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") or not _checked(data[start + 4 : end]):
            continue
        body = data[start + 8 : end - 4]
        if kind == b"eXIf":
            exif = exif or budget.whole(body)
        elif body.startswith(_XMP_KEY.encode() + b"\0"):
            xmp = xmp or budget.whole(_unpack(kind, body, budget)[1])
        elif len(texts) >= MAX_TEXTS:
            budget.exceeded = True
        elif not body.startswith(b"Raw profile type"):
            key, value = _unpack(kind, body, budget)
            texts.append(Text("PNG text", key[:79], decode(budget.cut(value))))
    return Blocks(_exif(exif), xmp, texts=tuple(texts))


def _webp(data: bytes, budget: Budget) -> Blocks:
    exif = xmp = b""
    start = 12
    for _part in range(1000):
        kind, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        if len(kind) < 4 or start + 8 + size > len(data):
            break
        body = data[start + 8 : start + 8 + size] if kind in (b"EXIF", b"XMP ") else b""
        if kind == b"EXIF":
            exif = exif or budget.whole(body.removeprefix(b"Exif\0\0"))
        elif kind == b"XMP ":
            xmp = xmp or budget.whole(body)
        start += 8 + size + size % 2
    return Blocks(_exif(exif), xmp)


def _tiff(data: bytes, budget: Budget) -> Blocks:
    tags = Tags(data, limit=MAX_TOTAL)
    xmp, iptc = tags.get(700), tags.get(33723)
    return Blocks(
        tags,
        budget.whole(xmp) if isinstance(xmp, bytes) else b"",
        budget.whole(iptc) if isinstance(iptc, bytes) else b"",
    )


def _iso(name: Format, data: bytes, budget: Budget) -> Blocks:
    exif, xmp = read_items(data, name)
    return Blocks(_exif(budget.whole(exif)), budget.whole(xmp))


_READERS: dict[Format, Callable[[bytes, Budget], Blocks]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "TIFF": _tiff,
    "HEIC": partial(_iso, "HEIC"),
    "AVIF": partial(_iso, "AVIF"),
}


def _exif(block: bytes) -> Tags:
    return Tags(block, limit=MAX_ITEM)


def _checked(chunk: bytes) -> bool:
    """Whether a PNG chunk, from its kind to its checksum, is whole."""
    return zlib.crc32(chunk[:-4]) == int.from_bytes(chunk[-4:], "big")


def _unpack(kind: bytes, body: bytes, budget: Budget) -> tuple[str, bytes]:
    """Key and value of a PNG text, as UTF-8 or Latin-1; both empty where it cannot be unpacked within the budget."""
    stream = PngStream(io.BytesIO(body))
    try:
        if budget.left > 0:
            getattr(stream, f"chunk_{kind.decode()}")(0, len(body))
    except (ValueError, SyntaxError):  # more than a megabyte, or packed in an unknown way
        budget.left -= MAX_ITEM
    if "xmp" in stream.im_info:
        return _XMP_KEY, stream.im_info["xmp"]
    for key, value in stream.im_text.items():
        return key, value.encode("utf-8" if isinstance(value, iTXt) else "latin-1")
    budget.exceeded = True
    return "", b""
