"""What EXIF, XMP and IPTC say: camera, software, dates, credit, place, and how the picture came about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from causalclip.pictures.plaintext import clean, decode
from causalclip.provenance.blocks import Blocks, Text
from causalclip.provenance.sourcetypes import SourceType, source_type
from causalclip.provenance.tifftags import EXIF_IFD, GPS_IFD, Value, read_tags

MAX_FIELDS = 60
MAX_NODES = 20_000  # of an XMP packet

_EXIF = {
    271: "Camera maker",
    272: "Camera",
    305: "Software",
    306: "Changed",
    316: "Computer",
    315: "Artist",
    33432: "Copyright",
    270: "Description",
}
_EXIF_MORE = {36867: "Taken", 36868: "Digitised", 42036: "Lens", 37510: "Comment"}
_XMP = {
    "CreatorTool": "Software",
    "Credit": "Credit",
    "DateCreated": "Taken",
    "CreateDate": "Made",
    "ModifyDate": "Changed",
    "AISystemUsed": "AI system used",
    "AISystemVersionUsed": "Version of the AI system",
    "AIPromptInformation": "AI prompt",
    "Headline": "Headline",
    "description": "Description",
}
_IPTC = {
    40: "Instructions",
    55: "Taken",
    65: "Software",
    80: "Artist",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "Copyright",
    120: "Description",
}
_CHARSETS = {b"ASCII\0\0\0": "latin-1", b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp"}


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that the file says. where: "EXIF", "XMP", "IPTC". value: cleaned, but not escaped."""

    where: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the blocks say.

    fields: for people. texts: the same in full, for generators.py. place: latitude and longitude in degrees.
    """

    fields: tuple[Field, ...] = ()
    texts: tuple[Text, ...] = ()
    source_types: tuple[SourceType, ...] = ()
    place: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def read_metadata(blocks: Blocks) -> Metadata:
    """Never raises: what cannot be read is left out, and said."""
    said, notes = [*_exif(blocks.exif), *_iptc(blocks.iptc)], list(blocks.notes)
    xmp = _parse(blocks.xmp)
    if blocks.xmp and xmp is None:
        notes.append("The file's XMP block is damaged and was not read.")
    said += _xmp(xmp)
    types = [source_type("XMP", value) for name, value in _leaves(xmp) if name == "DigitalSourceType"]
    fields = [Field(t.where, t.key, clean(t.value)) for t in said]
    shown = tuple(dict.fromkeys(f for f in fields if f.value))[:MAX_FIELDS]
    return Metadata(
        shown,
        (*said, *blocks.texts),
        tuple(dict.fromkeys(t for t in types if t)),
        _place(blocks.exif),
        tuple(dict.fromkeys(notes)),
    )


# EXIF (CIPA DC-008) -------------------------------------------------------------------------------


def _exif(block: bytes) -> Iterator[Text]:
    first = read_tags(block, {*_EXIF, EXIF_IFD})
    for tag, name in _EXIF.items():
        yield from _text(name, first.get(tag))
    inner = _pointer(first.get(EXIF_IFD))
    if inner is not None:
        more = read_tags(block, _EXIF_MORE, directory=inner)
        for tag, name in _EXIF_MORE.items():
            yield from _text(name, more.get(tag))


def _text(name: str, value: Value | None) -> Iterator[Text]:
    if not isinstance(value, bytes):
        return
    charset = _CHARSETS.get(value[:8])
    if charset is None:
        yield Text("EXIF", name, decode(value.split(b"\0", 1)[0]))
    elif charset == "utf-16":
        body = value[8:]
        # Without a byte order mark, the zero bytes of Latin letters tell it.
        order = "utf-16-be" if body[0:1] == b"\0" else "utf-16-le"
        yield Text("EXIF", name, body.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").decode(order, "replace"))
    else:
        yield Text("EXIF", name, value[8:].decode(charset, "replace"))


def _pointer(value: Value | None) -> int | None:
    return int(value[0]) if isinstance(value, tuple) else None


def _place(block: bytes) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, north and east above 0."""
    start = _pointer(read_tags(block, {GPS_IFD}).get(GPS_IFD))
    if start is None:
        return None
    tags = read_tags(block, {1, 2, 3, 4}, directory=start)
    latitude, longitude = _degrees(tags.get(1), tags.get(2), b"S"), _degrees(tags.get(3), tags.get(4), b"W")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return round(latitude, 5), round(longitude, 5)


def _degrees(side: Value | None, value: Value | None, negative: bytes) -> float | None:
    if not isinstance(value, tuple) or len(value) != 3 or not isinstance(side, bytes):
        return None
    degrees = value[0] + value[1] / 60 + value[2] / 3600
    return -degrees if side[:1] == negative else degrees


# IPTC (IIM 4.2, record 2) -------------------------------------------------------------------------


def _iptc(block: bytes) -> Iterator[Text]:
    start = 0
    for _ in range(300):
        if block[start : start + 1] != b"\x1c" or start + 5 > len(block):
            return
        record, number, size = block[start + 1], block[start + 2], int.from_bytes(block[start + 3 : start + 5], "big")
        if record == 2 and number in _IPTC:
            yield Text("IPTC", _IPTC[number], decode(block[start + 5 : start + 5 + size]))
        start += 5 + size


# XMP (ISO 16684-1) --------------------------------------------------------------------------------


def _parse(packet: bytes) -> ElementTree.Element | None:
    """The tree of a packet; None for what is no XML, or has declarations, which no XMP needs and bombs are made of."""
    start, end = packet.find(b"<"), packet.rfind(b">")
    if start < 0 or re.search(rb"<!(?:DOCTYPE|ENTITY)", packet, re.IGNORECASE):
        return None
    if packet.count(b"<") > 2 * MAX_NODES:
        return None
    try:
        return ElementTree.fromstring(re.sub(rb"<\?xpacket.*?\?>", b"", packet[start : end + 1]).strip())
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def _leaves(tree: ElementTree.Element | None) -> Iterator[tuple[str, str]]:
    """(name without namespace, text) of all attributes, and of all elements; a list's items go by the list's name."""
    if tree is None:
        return
    stack = [(tree, "")]
    while stack:
        node, inherited = stack.pop()
        name = node.tag.rpartition("}")[2]
        named = inherited if name in ("Alt", "Bag", "Seq", "li") else name
        for key, value in node.attrib.items():
            bare = key.rpartition("}")[2]
            yield (named if bare == "resource" else bare), value
        if node.text and node.text.strip():
            yield named, node.text
        stack += [(child, named) for child in reversed(node)]


def _xmp(tree: ElementTree.Element | None) -> Iterator[Text]:
    for name, value in _leaves(tree):
        if name in _XMP:
            yield Text("XMP", _XMP[name], value)
