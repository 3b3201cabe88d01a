"""EXIF and XMP of HEIC and AVIF files: items of an ISO base media file (ISO/IEC 14496-12, section 8.11), bounded."""

import struct
from collections.abc import Iterator

MAX_BOXES = 500
MAX_ITEMS = 500
MAX_EXTENTS = 64  # of one item


def read_items(data: bytes) -> tuple[bytes, bytes]:
    """(EXIF as a TIFF structure, XMP) of a file; b"" for what is not there or cannot be followed."""
    meta = next((body for kind, body in _boxes(data) if kind == b"meta"), b"")
    parts: dict[bytes, bytes] = {}
    for kind, body in _boxes(meta[4:]):
        parts.setdefault(kind, body)
    exif = xmp = b""
    try:
        places = _locations(parts.get(b"iloc", b""))
        for number, kind, content in _infos(parts.get(b"iinf", b"")):
            item = b"".join(data[start : start + length] for start, length in places.get(number, ()))
            if kind == b"Exif" and not exif and len(item) > 4:
                exif = item[4 + int.from_bytes(item[:4], "big") :]
            elif kind == b"mime" and content.startswith(b"application/rdf+xml"):
                xmp = xmp or item
    except (struct.error, IndexError):
        return b"", b""
    return exif.removeprefix(b"Exif\0\0"), xmp


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, body) of the boxes in a stretch of bytes."""
    start = 0
    for _ in range(MAX_BOXES):
        if start + 8 > len(data):
            return
        size, kind, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = len(data) - start
        if size < head:
            return
        yield kind, data[start + head : start + size]
        start += size


def _infos(body: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(item, kind, content type) from an "iinf" box."""
    if not body:
        return
    skip = 4 + (2 if body[0] == 0 else 4)
    for count, (kind, info) in enumerate(_boxes(body[skip:])):
        if count >= MAX_ITEMS:
            return
        if kind != b"infe" or len(info) < 12 or info[0] not in (2, 3):
            continue
        width = 2 if info[0] == 2 else 4
        number, after = int.from_bytes(info[4 : 4 + width], "big"), 4 + width + 2
        yield number, info[after : after + 4], info[after + 4 :].partition(b"\0")[2]


def _locations(body: bytes) -> dict[int, list[tuple[int, int]]]:
    """{item: [(start, length) in the file]} from an "iloc" box; items that lie elsewhere are left out."""
    if not body:
        return {}
    version, packed = body[0], int.from_bytes(body[4:6], "big")
    offset, length, base, index = packed >> 12, packed >> 8 & 15, packed >> 4 & 15, packed & 15 if version else 0
    take = _Reader(body, 6)
    found: dict[int, list[tuple[int, int]]] = {}
    for _ in range(min(take(4 if version == 2 else 2), MAX_ITEMS)):
        number = take(4 if version == 2 else 2)
        method = take(2) & 15 if version else 0
        take(2)
        start = take(base)
        extents = []
        for _ in range(min(take(2), MAX_EXTENTS)):
            take(index)
            extents.append((start + take(offset), take(length)))
        if method == 0:
            found[number] = extents
    return found


class _Reader:
    """Takes unsigned numbers of so many bytes, one after the other; IndexError at the end."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.at = data, start

    def __call__(self, size: int) -> int:
        self.at += size
        if self.at > len(self.data):
            raise IndexError("The box ends too early.")
        return int.from_bytes(self.data[self.at - size : self.at], "big")
