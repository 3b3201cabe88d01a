"""Fields of EXIF, XMP and IPTC: camera, software, dates, credit, place, and how the picture came
about."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

from PIL.IptcImagePlugin import getiptcinfo
from PIL.JpegImagePlugin import JpegImageFile

from causalclip.languages import N_, _
from causalclip.marks.mark import Field
from causalclip.provenance.containers import EXIF_IFD, GPS_IFD, Blocks
from causalclip.provenance.source_types import SourceType, source_type
from causalclip.text import clean, decode

MAX_FIELDS = 60
MAX_NODES = 20_000  # elements and attributes of an XMP packet

_EXIF = {
    271: N_("Camera maker"),
    272: N_("Camera"),
    305: N_("Software"),
    306: N_("Changed"),
    316: N_("Computer"),
    315: N_("Artist"),
    33432: N_("Copyright"),
    270: N_("Description"),
    40092: N_("Comment"),
}
# some programs write both where they do not belong, into the first directory
XMP_TAG, USER_COMMENT = 700, 37510
XP_COMMENT = 40092  # of Windows, in UTF-16 without a character code
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
    "UserComment": N_("Comment"),
}
_SOURCE_TYPE = "DigitalSourceType"
# of generators, for causalclip/marks/
_MARKS = {"AIGC", "AI-generation-source", "GrokImagePrompt"}
_READ = {*_XMP, *_MARKS, _SOURCE_TYPE}
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
_UNICODE, _JIS = b"UNICODE\0", b"JIS\0\0\0\0\0"
_CHARACTER_CODES = (b"ASCII\0\0\0", _UNICODE, _JIS, bytes(8))
_JUDGED = 1000  # bytes of a text that tell its encoding
_IDEOGRAPHS = 0x31  # the first row of Unicode after the alphabets and kana
_NATIONAL = ("gb2312", "shift_jis", "euc_kr", "latin-1")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Fields of the metadata blocks.

    fields: for people, cleaned, not escaped. texts: the same in full. place: latitude and longitude
    in degrees.
    """

    fields: tuple[Field, ...] = ()
    texts: tuple[Field, ...] = ()
    source_types: tuple[SourceType, ...] = ()
    place: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def read_metadata(blocks: Blocks) -> Metadata:
    """Read the metadata in a file's blocks; never raise: what cannot be read is left out, and
    said."""
    texts, notes = [*_exif(blocks), *_iptc(blocks.iptc)], list(blocks.notes)
    inner = blocks.tag(XMP_TAG)
    place, xmp = _place(blocks), _xmp(blocks.xmp or (inner if isinstance(inner, bytes) else b""))
    if xmp is None:
        notes.append(_("The file's XMP block is damaged and was not read."))
    texts += [Field("XMP", _XMP[name], value) for name, value in xmp or () if name in _XMP]
    types = [source_type("XMP", value) for name, value in xmp or () if name == _SOURCE_TYPE]
    fields = [replace(field, value=clean(field.value)) for field in texts]
    brief = tuple(dict.fromkeys(f for f in fields if f.value))[:MAX_FIELDS]
    return Metadata(
        brief,
        (
            *texts,
            *(Field("XMP", name, value) for name, value in xmp or () if name in _MARKS),
            *blocks.texts,
        ),
        tuple(dict.fromkeys(t for t in types if t)),
        place,
        tuple(dict.fromkeys(notes)),
    )


# EXIF (CIPA DC-008) -------------------------------------------------------------------------------


def _exif(blocks: Blocks) -> Iterator[Field]:
    for inside, names in ((None, _EXIF | {USER_COMMENT: N_("Comment")}), (EXIF_IFD, _EXIF_MORE)):
        for tag, name in names.items():
            value = blocks.tag(tag, inside=inside)
            if isinstance(value, str | bytes):
                raw = value.encode("latin-1") if isinstance(value, str) else value
                yield Field("EXIF", name, _text(raw, is_wide=tag == XP_COMMENT))


def _text(value: bytes, *, is_wide: bool = False) -> str:
    """Return the text of a tag, also where its character code is missing or wrong.

    Programs write UTF-8 or either order of UTF-16 behind any of the codes, and behind none.

    Args:
        value: of the tag.
        is_wide: whether UTF-16 belongs there without a code.
    """
    # 1. The character code
    code, body = value[:8], value
    if code in _CHARACTER_CODES:
        body = value[8:]
    if code == _JIS:
        return body.decode("iso2022_jp", "replace").strip("\0")

    # 2. What is written behind it
    narrow = body.rstrip(b"\0")
    body = narrow + b"\0" * (len(narrow) % 2)  # half of a last character looks like padding
    marks = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
    order = marks.get(body[:2])
    if order is None:
        is_expected = is_wide or code == _UNICODE
        order = _likeliest(narrow, body) if is_expected else _byte_order(body)
    text = body.decode(order, "replace") if order else decode(body.split(b"\0", 1)[0])
    return text.removeprefix("\ufeff").rstrip("\0")


def _likeliest(narrow: bytes, wide: bytes) -> str | None:
    """Return the codec of UTF-16 by which a text is the most ordinary one; None where it is
    more ordinary as UTF-8 or Latin-1."""
    narrow, wide = narrow[:_JUDGED], wide[:_JUDGED]
    readings: dict[str | None, str] = {None: decode(narrow)}
    for order in ("utf-16-le", "utf-16-be"):
        readings[order] = wide.decode(order, "replace")
    return min(readings, key=lambda order: _strangeness(readings[order]))


def _strangeness(text: str) -> float:
    """Return how far a text is from words in one script; the less, the likelier."""
    total, row = 0.0, -1
    for character in text:
        if not character.isprintable() and character not in "\n\u00a0":
            total += 4
        elif character.isascii():
            total += 1  # half as much as a letter of two bytes
        elif ord(character) >> 8 == row < _IDEOGRAPHS:
            total += 1.5
        else:
            total += 2 if _is_common(character) else 4
        row = ord(character) >> 8
    return total


def _is_common(character: str) -> bool:
    """Return whether a character is in one of the national sets that came before Unicode."""
    for codec in _NATIONAL:
        try:
            character.encode(codec)
        except UnicodeEncodeError:
            continue
        return True
    return False


def _byte_order(body: bytes) -> str | None:
    """Return the codec of UTF-16 by the zero bytes of Latin letters; None for other text.

    Args:
        body: with a zero as the first of each pair where it is big-endian.
    """
    first, second = body[0::2].count(0), body[1::2].count(0)
    if abs(first - second) < max(2, len(body) // 8):  # fewer may only end a text
        return None
    return "utf-16-be" if first > second else "utf-16-le"


def _place(blocks: Blocks) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees, north and east above 0."""
    north, latitude, east, longitude = (blocks.tag(tag, inside=GPS_IFD) for tag in (1, 2, 3, 4))
    place = _degrees(north, latitude, "S"), _degrees(east, longitude, "W")
    return place if abs(place[0]) <= 90 and abs(place[1]) <= 180 else None


def _degrees(side: Any, value: Any, negative: str) -> float:
    """Return an angle in degrees; not a number for what is no angle."""
    if not isinstance(value, tuple) or len(value) != 3 or not isinstance(side, str):
        return math.nan
    # cameras write 0/0 for no seconds
    parts = [0.0 if math.isnan(part) else float(part) for part in value]
    degrees = round(parts[0] + parts[1] / 60 + parts[2] / 3600, 5)
    return -degrees if side.startswith(negative) else degrees


# IPTC (IIM 4.2, record 2) -------------------------------------------------------------------------


def _iptc(block: bytes) -> Iterator[Field]:
    carrier = JpegImageFile.__new__(JpegImageFile)  # Pillow takes the block from a picture alone
    carrier.info = {"photoshop": {0x0404: block}}
    try:
        datasets = getiptcinfo(carrier) or {}
    except (SyntaxError, OSError):
        return
    for (record, number), values in datasets.items():
        if record == 2 and number in _IPTC:
            for value in values if isinstance(values, list) else [values]:
                yield Field("IPTC", _IPTC[number], decode(value or b""))


# XMP (ISO 16684-1) --------------------------------------------------------------------------------


def _xmp(packet: bytes) -> list[tuple[str, str]] | None:
    """Return (name without prefix, text) of all attributes and elements of interest of a packet in
    UTF-8, 16 or 32.

    A list's items go by the list's name. None for what is no XML, holds too much, or has a document
    type: no XMP needs one. No tree is built, and no namespace looked up: names of a long namespace
    would each be as long as it.
    """
    if not packet:
        return []
    reader = _Leaves()
    try:
        text = packet.decode(json.detect_encoding(packet), "replace")
        reader.parse(text[text.find("<") : text.rfind(">") + 1])
    except (ExpatError, ValueError):
        return None
    return reader.found


class _Leaves:
    """Collects what a packet says while it is parsed."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._nodes = 0
        self._open: list[str] = []  # names that apply to the text of the elements around
        self._text: list[str] | None = None  # of the innermost one, up to its first child

    def parse(self, text: str) -> None:
        """Parse a packet; raise ExpatError or ValueError."""
        parser = ParserCreate()
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(text, True)

    def _refuse(self, *_declaration: Any) -> None:
        raise ValueError("A packet with a document type is not read.")

    def _start(self, tag: str, attributes: list[str]) -> None:
        self._flush()
        self._nodes += 1 + len(attributes) // 2
        if self._nodes > MAX_NODES:
            raise ValueError("A packet of so many nodes is not read.")
        name = tag.rpartition(":")[2]
        named = (
            (self._open[-1] if self._open else "") if name in ("Alt", "Bag", "Seq", "li") else name
        )
        for key, value in zip(attributes[::2], attributes[1::2], strict=True):
            bare = key.rpartition(":")[2]
            self._keep(named if bare == "resource" else bare, value)
        self._open.append(named)
        self._text = [] if named in _READ else None

    def _end(self, _tag: str) -> None:
        self._flush()
        self._open.pop()

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _flush(self) -> None:
        if self._text:
            self._keep(self._open[-1], "".join(self._text))
        self._text = None

    def _keep(self, name: str, value: str) -> None:
        if name in _READ and value.strip():
            self.found.append((name, value))
