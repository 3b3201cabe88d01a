"""Headers of JPEG, PNG and WebP files, read before anything is decoded: size, colour profile,
orientation; and every block of JPEG, PNG, WebP and GIF files (walk).

JPEG and PNG files are also rewritten with only the parts that a decoder needs. Metadata can be
hostile (millions of empty parts, text that unpacks to gigabytes, tags that all point at the same
bytes), and nothing here has a use for it.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from causalclip.images.formats import (
    BrokenImage,
    Format,
    UnsupportedImage,
    damaged,
    with_export_hint,
)
from causalclip.languages import N_, _, number

# of a colour profile; printers' tables are the largest, at about 3 MB
MAX_PROFILE_BYTES = 4 * 2**20
MAX_PARTS = 50_000  # segments or chunks of a file: 20 MB in parts of 400 bytes
# of a progressive JPEG: encoders write about 10, and each costs a pass over all pixels
MAX_SCANS = 32
# of a GIF, at most 255 bytes each; 20 MB of pixels are some 80,000
MAX_SUB_BLOCKS = 400_000
ANIMATED = N_("The file is an animation; only its first frame was looked at.")
PAGES = N_("The file holds several pictures; only the first was looked at.")

# Markers of a JPEG: not fill, stuffing or restarts, which have no length
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_EOI, SCAN, _APP1, _APP2, _COM = b"\xd9", b"\xda", b"\xe1", b"\xe2", b"\xfe"
_SOF = {bytes([marker]) for marker in {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}}
_PROGRESSIVE = {b"\xc2", b"\xc6", b"\xca", b"\xce"}
# APP0 and APP14 stay: they say how the colours are coded
_DROPPED = {bytes([marker]) for marker in range(0xE1, 0xEE)} | {b"\xef", _COM}
# Chunks of a PNG that hold the picture
_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
# Blocks of a GIF
_EXTENSION, _IMAGE = 0x21, 0x2C
_GIF_XMP, _GIF_XMP_TRAILER = b"\x0bXMP DataXMP", b"\x01\xff\xfe\xfd"

BlockType = Literal["exif", "xmp", "icc", "text", "other"]
# marker, beginning and type of a JPEG's segments
_JPEG_TYPES: tuple[tuple[bytes, bytes, BlockType], ...] = (
    (_APP1, b"Exif\0\0", "exif"),
    (_APP1, b"http://ns.adobe.com/xap/1.0/\0", "xmp"),
    (_APP2, b"ICC_PROFILE\0", "icc"),
    (_COM, b"", "text"),
)
_CHUNK_TYPES: dict[bytes, BlockType] = {
    b"eXIf": "exif",
    b"iCCP": "icc",
    b"tEXt": "text",
    b"zTXt": "text",
    b"iTXt": "text",
    b"EXIF": "exif",
    b"XMP ": "xmp",
    b"CRFT": "text",
}


class Block(NamedTuple):
    """A block of a file: a JPEG's segment, a PNG's or WebP's chunk, a GIF's extension.

    Attributes:
        type: the same for all containers.
        tag: the container's own: a marker, a chunk's name, an extension's label.
        start, end: in the file.
        body: what it holds, without the mark of its type; a PNG's may be packed.
        whole: whether its checksum, if it has one, is right.
    """

    type: BlockType
    tag: bytes
    start: int
    end: int
    body: bytes
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Container:
    """A file before decoding, and what its metadata say.

    Attributes:
        data: for the decoder.
        width, height: in pixels.
        profile: ICC's.
        exif: a TIFF structure, without the "Exif" mark.
        bits: a channel.
        notes: sentences on what is not read.
        buffered: whether the decoder holds all coefficients at once, whatever the size is that
            comes out.
    """

    data: bytes
    width: int
    height: int
    profile: bytes = b""
    exif: bytes = b""
    bits: int = 8
    notes: tuple[str, ...] = ()
    buffered: bool = False


def read_container(data: bytes, name: Format) -> Container | None:
    """Read the header of a file of a format; None where the decoder reads it alone.

    Raises an ImageError for a file that is damaged, or of a variant that cannot be read.
    """
    match name:
        case "JPEG":
            return _read_jpeg(data)
        case "PNG":
            return _read_png(data)
        case "WebP":
            return _read_webp(data)
    return None


def walk(data: bytes, name: Format) -> Iterator[Block]:
    """Yield the blocks of a JPEG, PNG, WebP or GIF file in their order.

    Raises an ImageError for a file that is damaged, or of more blocks than any real picture.
    """
    return _WALKERS[name](data)


# JPEG ---------------------------------------------------------------------------------------------


class _Frame(NamedTuple):
    """The header of a JPEG's frame, and whether it is coded in passes."""

    bits: int = 8
    height: int = 0
    width: int = 0
    channels: int = 1
    progressive: bool = False


def _read_jpeg(data: bytes) -> Container:
    """Read the header of a JPEG, and the file without metadata and without what follows the first
    picture."""
    parts = [b"\xff\xd8"]
    icc: list[tuple[bytes, bytes]] = []
    notes: tuple[str, ...] = ()
    exif = b""
    frame = _Frame()
    scans: list[int] = []  # the channels of each
    body_start = body_end = len(data)

    # 1. Segment by segment
    for block_type, marker, start, end, body, _whole in walk(data, "JPEG"):
        if marker == _EOI:
            body_end = end
        elif marker == SCAN:
            scans.append(int.from_bytes(body[:1], "big"))
            body_start = min(body_start, start)
        elif scans:
            continue
        elif marker in _SOF and len(body) >= 6:
            frame = _Frame._make((*struct.unpack_from(">BHHB", body), marker in _PROGRESSIVE))
        elif block_type == "exif":
            exif = exif or body
        elif block_type == "icc":
            icc.append((body[:1], body[2:]))
        elif marker == _APP2 and body.startswith(b"MPF\0"):
            notes = (_(PAGES),)
        if not scans and marker not in _DROPPED:
            parts.append(data[start:end])

    # 2. What is refused, and what is left for the decoder
    _check_jpeg(frame, len(scans))
    return Container(
        data=b"".join((*parts, data[body_start:body_end])),
        width=frame.width,
        height=frame.height,
        profile=b"".join(part for _, part in sorted(icc, key=lambda part: part[0])),
        exif=exif,
        notes=notes,
        # channels that a scan lacks come in later ones
        buffered=frame.progressive or len(scans) > 1 or any(n < frame.channels for n in scans),
    )


def _check_jpeg(frame: _Frame, scans: int) -> None:
    """Raise an ImageError for a JPEG that cannot be read."""
    if scans > MAX_SCANS:
        sentence = N_("This JPEG is coded in {scans} passes, more than any real picture needs.")
        raise BrokenImage(with_export_hint(sentence, scans=scans))
    if 0 in (frame.width, frame.height):
        raise damaged("JPEG")
    if frame.bits != 8:
        sentence = N_("This JPEG has {bits} bits a channel; only 8 can be read.")
        raise UnsupportedImage(with_export_hint(sentence, bits=frame.bits))


def _walk_jpeg(data: bytes) -> Iterator[Block]:
    """Yield every segment up to the end of the first picture."""
    end = 2
    for _part in range(MAX_PARTS):
        match = _MARKER.search(data, end)
        if match is None:
            return  # cut short: the decoder says so
        marker, end = match[1], match.end()
        if marker != _EOI:
            end += max(2, int.from_bytes(data[end : end + 2], "big"))
        body = data[match.start() + 4 : end]
        beginning, block_type = next(
            (row[1:] for row in _JPEG_TYPES if row[0] == marker and body.startswith(row[1])),
            (b"", "other"),
        )
        yield Block(block_type, marker, match.start(), end, body[len(beginning) :])
        if marker == _EOI:
            return
    raise _too_many_parts("JPEG")


# PNG ----------------------------------------------------------------------------------------------


def _read_png(data: bytes) -> Container:
    """Read the header of a PNG, and the file with only the chunks that hold the picture, their
    checksums verified."""
    parts: list[bytes] = [data[:8]]
    chunks: dict[bytes, bytes] = {}
    for _type, kind, start, end, body, whole in walk(data, "PNG"):
        if kind in _PNG_KEPT:
            if not whole:
                raise damaged("PNG")
            parts.append(data[start:end])
        elif kind[:1].isupper():
            raise UnsupportedImage(
                with_export_hint(N_("This PNG is of a variant that cannot be read."))
            )
        chunks.setdefault(kind, body)
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13 or b"IEND" not in chunks:
        raise damaged("PNG")
    width, height, bits = struct.unpack_from(">IIB", header)
    notes: tuple[str, ...] = (_(ANIMATED),) if b"acTL" in chunks else ()
    if len(chunks.get(b"cICP", b"")) == 4:
        notes += coded_colours(*chunks[b"cICP"][:2])
    profile = b""
    if b"iCCP" in chunks:
        profile = _inflate(chunks[b"iCCP"].partition(b"\0")[2][1:])
    return Container(
        data=b"".join(parts),
        width=width,
        height=height,
        profile=profile,
        exif=chunks.get(b"eXIf", b""),
        bits=bits,
        notes=notes,
    )


def _walk_png(data: bytes) -> Iterator[Block]:
    """Yield every chunk up to IEND; start and end take in its length and checksum."""
    start = 8
    for _part in range(MAX_PARTS):
        length, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        end = start + 12 + length
        if end > len(data):
            raise damaged("PNG")
        checksum = int.from_bytes(data[end - 4 : end], "big")
        yield Block(
            _CHUNK_TYPES.get(kind, "other"),
            kind,
            start,
            end,
            body=data[start + 8 : end - 4],
            whole=zlib.crc32(data[start + 4 : end - 4]) == checksum,
        )
        if kind == b"IEND":
            return
        start = end
    raise _too_many_parts("PNG")


def _inflate(packed: bytes) -> bytes:
    """Unpack a colour profile, at most one byte more than MAX_PROFILE_BYTES; what cannot be
    unpacked is b"?"."""
    try:
        return zlib.decompressobj().decompress(packed, MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return b"?"  # no profile, but not the same as none: the reader of profiles reports it


# WebP ---------------------------------------------------------------------------------------------


def _read_webp(data: bytes) -> Container:
    """Read the header of a WebP: its decoder allocates the canvas, and something for each chunk, on
    opening, so size and number must be known before."""
    for _block in walk(data, "WebP"):  # refuses a file of too many
        continue
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise damaged("WebP")
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(body[i : i + 3], "little") for i in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", body, 6))
    return Container(data, width, height)


def _walk_webp(data: bytes) -> Iterator[Block]:
    """Yield the chunks up to one that is cut short."""
    start = 12
    for _part in range(MAX_PARTS):
        kind = data[start : start + 4]
        end = start + 8 + int.from_bytes(data[start + 4 : start + 8], "little")
        if len(kind) < 4 or end > len(data):
            return
        body = data[start + 8 : end].removeprefix(b"Exif\0\0")
        yield Block(_CHUNK_TYPES.get(kind, "other"), kind, start, end, body)
        start = end + end % 2
    raise _too_many_parts("WebP")


# GIF ----------------------------------------------------------------------------------------------


def _walk_gif(data: bytes) -> Iterator[Block]:
    """Yield every extension's chain of sub-blocks, up to the trailer."""
    start = 13 + _colour_table(data[10:11])
    budget = MAX_SUB_BLOCKS
    while start < len(data):
        kind, label = data[start], data[start + 1 : start + 2]
        if kind == _EXTENSION and label:
            chain = start + 2
        elif kind == _IMAGE:
            chain = start + 11 + _colour_table(data[start + 9 : start + 10])
        else:
            return  # the trailer, or damage, of which the decoder says what is left

        start = chain
        while size := int.from_bytes(data[start : start + 1]):
            start, budget = start + 1 + size, budget - 1
            if not budget:
                raise damaged("GIF")
        start += 1
        if kind == _EXTENSION and start <= len(data):
            yield _gif_block(label, data, chain, start)


def _gif_block(label: bytes, data: bytes, start: int, end: int) -> Block:
    """Return an extension, its comment joined from its sub-blocks."""
    chain = data[start:end]
    if label == b"\xff" and chain.startswith(_GIF_XMP):
        # XMP itself is no chain: a trailer leads whoever takes it for one to its end
        packet = chain.removeprefix(_GIF_XMP).partition(_GIF_XMP_TRAILER)[0]
        return Block("xmp", label, start, end, packet)
    if label != b"\xfe":
        return Block("other", label, start, end, chain)
    parts, at = [], 0
    while size := chain[at]:
        parts.append(chain[at + 1 : at + 1 + size])
        at += 1 + size
    return Block("text", label, start, end, b"".join(parts))


def _colour_table(flags: bytes) -> int:
    """Return the size in bytes of the table that the flags tell of; 0 where there is none."""
    bits = int.from_bytes(flags)
    return 3 << (bits & 7) + 1 if bits & 0x80 else 0


# Shared -------------------------------------------------------------------------------------------


def orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, in the first directory of an EXIF block; 1 (upright) if there
    is none."""
    order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"
    start = int.from_bytes(exif[4:8], order)
    count = int.from_bytes(exif[start : start + 2], order)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        if int.from_bytes(exif[entry : entry + 2], order) == 0x0112:
            value = int.from_bytes(exif[entry + 8 : entry + 10], order)
            return value if 1 <= value <= 8 else 1
    return 1


def coded_colours(primaries: int, transfer: int) -> tuple[str, ...]:
    """Return a note on colours that are coded by number (ITU-T H.273) and are not sRGB's; such
    numbers are not converted."""
    if transfer in (16, 18):
        return (
            _(
                "Its brightness is coded for HDR screens and was read as if it were not: it looks "
                "pale."
            ),
        )
    if primaries in (9, 11, 12):
        return (
            _(
                "Its colours are coded for a wider gamut than sRGB and were read as sRGB: they "
                "look dull."
            ),
        )
    return ()


def _too_many_parts(name: Format) -> BrokenImage:
    sentence = N_("The {format} file is made of more than {parts} parts, as no real picture is.")
    return BrokenImage(with_export_hint(sentence, format=name, parts=number(MAX_PARTS)))


_WALKERS = {"JPEG": _walk_jpeg, "PNG": _walk_png, "WebP": _walk_webp, "GIF": _walk_gif}
