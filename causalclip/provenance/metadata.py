"""What EXIF, XMP and IPTC say: camera, software, dates, credit, place, and how the picture came about."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring
from PIL.IptcImagePlugin import getiptcinfo
from PIL.JpegImagePlugin import JpegImageFile

from causalclip.languages import N_, _
from causalclip.pictures.plaintext import clean, decode
from causalclip.provenance.blocks import Blocks, Text
from causalclip.provenance.budget import TOO_MUCH
from causalclip.provenance.sourcetypes import SourceType, source_type
from causalclip.provenance.tifftags import EXIF_IFD, GPS_IFD, Tags

MAX_FIELDS = 60
MAX_NODES = 20_000  # of an XMP packet

_EXIF = {
    271: N_("Camera maker"),
    272: N_("Camera"),
    305: N_("Software"),
    306: N_("Changed"),
    316: N_("Computer"),
    315: N_("Artist"),
    33432: N_("Copyright"),
    270: N_("Description"),
}
_EXIF_MORE = {36867: N_("Taken"), 36868: N_("Digitised"), 42036: N_("Lens"), 37510: N_("Comment")}
_XMP = {
    "CreatorTool": N_("Software"),
    "Credit": N_("Credit"),
    "DateCreated": N_("Taken"),
    "CreateDate": N_("Made"),
    "ModifyDate": N_("Changed"),
    "AISystemUsed": N_("AI system used"),
    "AISystemVersionUsed": N_("Version of the AI system"),
    "AIPromptInformation": N_("AI prompt"),
    "Headline": N_("Headline"),
    "description": N_("Description"),
}
_IPTC = {
    40: N_("Instructions"),
    55: N_("Taken"),
    65: N_("Software"),
    80: N_("Artist"),
    105: N_("Headline"),
    110: N_("Credit"),
    115: N_("Source"),
    116: N_("Copyright"),
    120: N_("Description"),
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
    place, xmp = _place(blocks.exif), _parse(blocks.xmp)
    if blocks.exif.cut:
        notes.append(_(TOO_MUCH))
    if blocks.xmp and xmp is None:
        notes.append(_("The file's XMP block is damaged and was not read."))
    said += _xmp(xmp)
    types = [source_type("XMP", value) for name, value in _leaves(xmp) if name == "DigitalSourceType"]
    fields = [Field(t.where, t.key, clean(t.value)) for t in said]
    shown = tuple(dict.fromkeys(f for f in fields if f.value))[:MAX_FIELDS]
    return Metadata(
        shown,
        (*said, *blocks.texts),
        tuple(dict.fromkeys(t for t in types if t)),
        place,
        tuple(dict.fromkeys(notes)),
    )


# EXIF (CIPA DC-008) -------------------------------------------------------------------------------


def _exif(tags: Tags) -> Iterator[Text]:
    for inside, wanted in ((None, _EXIF), (EXIF_IFD, _EXIF_MORE)):
        for tag, name in wanted.items():
            value = tags.get(tag, inside=inside)
            if isinstance(value, str | bytes):
                yield Text("EXIF", name, _text(value.encode("latin-1") if isinstance(value, str) else value))


def _text(value: bytes) -> str:
    charset = _CHARSETS.get(value[:8])
    if charset is None:
        return decode(value.split(b"\0", 1)[0])
    body = value[8:]
    if charset != "utf-16":
        return body.decode(charset, "replace")
    # Without a byte order mark, the zero bytes of Latin letters tell it.
    order = "utf-16-be" if body[0:1] == b"\0" else "utf-16-le"
    return body.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").decode(order, "replace")


def _place(tags: Tags) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, north and east above 0."""
    north, latitude, east, longitude = (tags.get(tag, inside=GPS_IFD) for tag in (1, 2, 3, 4))
    place = _degrees(north, latitude, "S"), _degrees(east, longitude, "W")
    return place if abs(place[0]) <= 90 and abs(place[1]) <= 180 else None


def _degrees(side: Any, value: Any, negative: str) -> float:
    """Not a number for what is no angle."""
    if not isinstance(value, tuple) or len(value) != 3 or not isinstance(side, str):
        return math.nan
    parts = [0.0 if math.isnan(part) else float(part) for part in value]  # cameras write 0/0 for no seconds
    degrees = round(parts[0] + parts[1] / 60 + parts[2] / 3600, 5)
    return -degrees if side.startswith(negative) else degrees


# IPTC (IIM 4.2, record 2) -------------------------------------------------------------------------


def _iptc(block: bytes) -> Iterator[Text]:
    carrier = JpegImageFile.__new__(JpegImageFile)  # Pillow takes the block from a picture alone
    carrier.info = {"photoshop": {0x0404: block}}
    try:
        found = getiptcinfo(carrier) or {}
    except (SyntaxError, OSError):
        return
    for (record, number), values in found.items():
        if record == 2 and number in _IPTC:
            for value in values if isinstance(values, list) else [values]:
                yield Text("IPTC", _IPTC[number], decode(value or b""))


# XMP (ISO 16684-1) --------------------------------------------------------------------------------


def _parse(packet: bytes) -> Element | None:
    """The tree of a packet in UTF-8, 16 or 32; None for what is no XML, or has a document type: no XMP needs one."""
    if not packet:
        return None
    try:
        text = packet.decode(json.detect_encoding(packet), "replace")
        if text.count("<") > 2 * MAX_NODES:
            return None
        tree: Element = fromstring(text[text.find("<") : text.rfind(">") + 1], forbid_dtd=True)
    except (ParseError, ValueError) as error:  # what is forbidden is a ValueError, too
        error.__traceback__ = None  # the parser keeps it in a circle, and with it all bytes of the file
        return None
    return tree


def _leaves(tree: Element | None) -> Iterator[tuple[str, str]]:
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


def _xmp(tree: Element | None) -> Iterator[Text]:
    for name, value in _leaves(tree):
        if name in _XMP:
            yield Text("XMP", _XMP[name], value)
