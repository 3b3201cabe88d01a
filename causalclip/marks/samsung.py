"""Samsung's trailer behind a picture's end: whether Galaxy AI edited it.

Little-endian: blocks, then "SEFH", u32 version, u32 count, count entries (u16 0, u16 type, u32 distance back from SEFH,
u32 length), u32 length of the directory, "SEFT". A block: 4 bytes, u32 length of its name, name, value. The block
"PEg_Info" holds JSON; its genAIType above 0 says that generative AI took part. Any edit has
"PhotoEditor_Re_Edit_Data".
"""

import json
import struct

NAME = b"PEg_Info"
MOST = 64  # entries
LONGEST = 65_536  # bytes of a block


def edited_with_galaxy_ai(data: bytes) -> bool:
    """Whether a file's trailer says so; never raises."""
    if data[-4:] != b"SEFT" or len(data) < 24:
        return False
    (length,) = struct.unpack("<I", data[-8:-4])
    start = len(data) - 8 - length
    if start < 0 or data[start : start + 4] != b"SEFH" or length < 12:
        return False
    (count,) = struct.unpack("<I", data[start + 8 : start + 12])
    for entry in range(min(count, MOST)):
        at = start + 12 + 12 * entry
        if at + 12 > len(data) - 8:
            break
        _zero, _type, back, size = struct.unpack("<HHII", data[at : at + 12])
        block = data[max(0, start - back) : max(0, start - back) + min(size, LONGEST)] if back <= start else b""
        if block[8 : 8 + len(NAME)] == NAME and _says(block[8 + len(NAME) :]):
            return True
    return False


def _says(value: bytes) -> bool:
    try:
        found = json.loads(value.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return False
    kind = found.get("genAIType") if isinstance(found, dict) else None
    return isinstance(kind, int) and kind > 0
