"""Chosen tags of a TIFF structure, which is also what EXIF is: only what is asked for is read, and only so much of it.

Pillow reads every tag, and a hostile file points thousands of tags at the same megabytes.
"""

import struct
from collections.abc import Collection

MAX_ENTRIES = 2000  # of a directory
MAX_VALUE = 256 * 2**10  # bytes of a tag's value
EXIF_IFD, GPS_IFD = 0x8769, 0x8825

Value = bytes | tuple[float, ...]
_NUMBERS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}  # TIFF 6.0, section 2
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 13: 4, 129: 1}


def read_tags(block: bytes, wanted: Collection[int], *, directory: int | None = None) -> dict[int, Value]:
    """{tag: value} of those `wanted` that are in a directory: text and bytes as bytes, numbers and fractions as floats.

    Args:
        block: from the byte order mark on.
        directory: where it starts; the first one by default.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return {}
    start = struct.unpack_from(f"{order}I", block, 4)[0] if directory is None else directory
    if start + 2 > len(block):
        return {}
    (count,) = struct.unpack_from(f"{order}H", block, start)
    found: dict[int, Value] = {}
    for entry in range(start + 2, min(start + 2 + 12 * min(count, MAX_ENTRIES), len(block) - 11), 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", block, entry)
        size = _SIZES.get(kind, 0) * length
        if tag not in wanted or tag in found or not 0 < size <= MAX_VALUE:
            continue
        at = entry + 8 if size <= 4 else struct.unpack_from(f"{order}I", block, entry + 8)[0]
        if at + size <= len(block):
            found[tag] = _value(block[at : at + size], kind, length, order)
    return found


def _value(raw: bytes, kind: int, length: int, order: str) -> Value:
    if kind in _NUMBERS:
        return tuple(float(n) for n in struct.unpack(f"{order}{length}{_NUMBERS[kind]}", raw))
    if kind in (5, 10):
        pairs = struct.unpack(f"{order}{2 * length}{'I' if kind == 5 else 'i'}", raw)
        return tuple(a / b if b else 0.0 for a, b in zip(pairs[::2], pairs[1::2], strict=True))
    return raw
