"""The metadata blocks of a picture's file, found by walking its container: what merely lies in the file is not read.

Bytes that were appended to a picture, or put where no decoder looks, are no part of it and make no claim about it.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from causalclip.pictures.formats import Format, ImageError
from causalclip.pictures.headers import jpeg_segments, png_chunks
from causalclip.pictures.plaintext import decode
from causalclip.provenance.isomedia import read_items
from causalclip.provenance.tifftags import read_tags

MAX_XMP = 256 * 2**10  # bytes; without thumbnails and histories it is a few thousand
MAX_TEXT = 512 * 2**10  # bytes of one text; ComfyUI's workflows are some 100,000
MAX_TEXTS = 64
MAX_UNPACKED = 2 * 2**20  # bytes of all compressed texts together
TOO_MUCH = "The file holds more metadata than any real picture needs; only the first part of it was read."

_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_SOS, _APP1, _APP13, _COM, _DQT = 0xDA, 0xE1, 0xED, 0xFE, 0xDB


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a file: `where` it is stored ("PNG text", "JPEG comment"), its `key` ("parameters"), its `value`."""

    where: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a container holds beside the picture. exif: a TIFF structure. xmp: XML. iptc: IIM datasets."""

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: tuple[Text, ...] = ()
    notes: tuple[str, ...] = ()


def read_blocks(data: bytes, name: Format) -> Blocks:
    """The metadata blocks of a file of format `name`; empty where the container is broken or holds none."""
    reader = _READERS.get(name)
    if reader is None:
        return Blocks()
    try:
        blocks = reader(data)
    except ImageError:
        return Blocks(notes=("The file's structure is damaged, so what it says about itself was not read.",))
    if len(blocks.xmp) > MAX_XMP:
        return replace(blocks, xmp=b"", notes=(*blocks.notes, TOO_MUCH))
    return blocks


def _jpeg(data: bytes) -> Blocks:
    exif = xmp = b""
    photoshop: list[bytes] = []
    texts: list[Text] = []
    for marker, start, end in jpeg_segments(data):
        if marker == _SOS:
            break
        body = data[start + 4 : end]
        if marker == _APP1 and body.startswith(b"Exif\0\0"):
            exif = exif or body[6:]
        elif marker == _APP1 and body.startswith(_XMP_MARK):
            xmp = xmp or body[len(_XMP_MARK) :]
        elif marker == _APP13 and body.startswith(b"Photoshop 3.0\0"):
            photoshop.append(body[14:])
        elif marker == _COM and len(texts) < MAX_TEXTS:
            texts.append(Text("JPEG comment", "comment", decode(body)))
    return Blocks(exif, xmp, _iptc(b"".join(photoshop[:MAX_TEXTS])), tuple(texts))


def _png(data: bytes) -> Blocks:
    exif = xmp = b""
    texts = _Texts()
    for kind, start, end in png_chunks(data):
        body = data[start + 8 : end - 4]
        if kind not in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") or not _checked(data[start + 4 : end]):
            continue
        if kind == b"eXIf":
            exif = exif or body
            continue
        key, _, rest = body.partition(b"\0")
        value = texts.unpack(kind, rest)
        if key == b"XML:com.adobe.xmp":
            xmp = xmp or value
        elif not key.startswith(b"Raw profile type"):
            texts.add(key, value)
    return Blocks(exif, xmp, b"", tuple(texts.found), (TOO_MUCH,) if texts.too_much else ())


def _webp(data: bytes) -> Blocks:
    exif = xmp = b""
    start = 12
    for _ in range(1000):
        kind, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        if len(kind) < 4 or start + 8 + size > len(data):
            break
        body = data[start + 8 : start + 8 + size]
        if kind == b"EXIF":
            exif = exif or body.removeprefix(b"Exif\0\0")
        elif kind == b"XMP ":
            xmp = xmp or body
        start += 8 + size + size % 2
    return Blocks(exif, xmp)


def _tiff(data: bytes) -> Blocks:
    xmp, iptc = 700, 33723
    found = {tag: value for tag, value in read_tags(data, (xmp, iptc)).items() if isinstance(value, bytes)}
    return Blocks(data, found.get(xmp, b""), found.get(iptc, b""))


def _iso(data: bytes) -> Blocks:
    return Blocks(*read_items(data))


_READERS: dict[Format, Callable[[bytes], Blocks]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "TIFF": _tiff,
    "HEIC": _iso,
    "AVIF": _iso,
}


def _checked(chunk: bytes) -> bool:
    """Whether a PNG chunk, from its kind to its checksum, is whole."""
    return zlib.crc32(chunk[:-4]) == int.from_bytes(chunk[-4:], "big")


def _iptc(resources: bytes) -> bytes:
    """The IIM block (resource 0x0404) of a Photoshop image resource section."""
    for number, body in _resources(resources):
        if number == 0x0404:
            return body
    return b""


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    for _ in range(500):
        if data[start : start + 4] != b"8BIM":
            return
        number, named = int.from_bytes(data[start + 4 : start + 6], "big"), data[start + 6 : start + 7]
        at = start + 6 + (1 + (named[0] if named else 0) + 1) // 2 * 2
        size = int.from_bytes(data[at : at + 4], "big")
        yield number, data[at + 4 : at + 4 + size]
        start = at + 4 + size + size % 2


@dataclass(slots=True)
class _Texts:
    """Collects the texts of a PNG, and stops at the limits."""

    found: list[Text] = field(default_factory=list)
    left: int = MAX_UNPACKED
    too_much: bool = False

    def add(self, key: bytes, value: bytes) -> None:
        if len(self.found) < MAX_TEXTS:
            self.found.append(Text("PNG text", decode(key[:79]), decode(value[:MAX_TEXT])))
        self.too_much |= len(self.found) >= MAX_TEXTS or len(value) > MAX_TEXT

    def unpack(self, kind: bytes, rest: bytes) -> bytes:
        """The value of a tEXt, zTXt or iTXt chunk after its key (PNG specification, section 11.3.3)."""
        if kind == b"tEXt":
            return rest
        if kind == b"zTXt":
            return self._inflate(rest[1:])
        packed, rest = rest[:1] == b"\1", rest[2:]
        value = rest.partition(b"\0")[2].partition(b"\0")[2]
        return self._inflate(value) if packed else value

    def _inflate(self, packed: bytes) -> bytes:
        unpacker = zlib.decompressobj()
        try:
            value = unpacker.decompress(packed, max(1, min(MAX_TEXT, self.left)))
        except zlib.error:
            return b""
        self.left -= len(value)
        self.too_much |= bool(unpacker.unconsumed_tail)
        return value
