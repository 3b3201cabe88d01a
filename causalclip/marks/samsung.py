"""Galaxy AI's entries in Samsung's trailer behind a picture."""

import struct

from causalclip.text import json_object

# The trailer, little-endian: blocks, then "SEFH", u32 version, u32
# count, count entries (u16 0, u16 type, u32 distance back from SEFH, u32 length), u32 length of the
# directory, "SEFT". A block: 4 bytes, u32 length of its name, name, value. EDITOR_BLOCK holds JSON
# whose genAIType is above 0 where generative AI took part.
EDITOR_BLOCK = b"PEg_Info"
MAX_ENTRIES = 64  # of a directory
LONGEST_BLOCK = 65_536  # bytes of a block


def edited_with_galaxy_ai(data: bytes) -> bool:
    """Return whether a file's trailer says that Galaxy AI edited the picture; never raises."""
    if data[-4:] != b"SEFT" or len(data) < 24:
        return False
    (length,) = struct.unpack("<I", data[-8:-4])
    directory = len(data) - 8 - length
    if directory < 0 or data[directory : directory + 4] != b"SEFH" or length < 12:
        return False
    (count,) = struct.unpack("<I", data[directory + 8 : directory + 12])
    for number in range(min(count, MAX_ENTRIES)):
        entry = directory + 12 + 12 * number
        if entry + 12 > len(data) - 8:
            break
        _zero, _type, distance, size = struct.unpack_from("<HHII", data, entry)
        if distance > directory:
            continue
        start = directory - distance
        block = data[start : start + min(size, LONGEST_BLOCK)]
        name, value = block[8 : 8 + len(EDITOR_BLOCK)], block[8 + len(EDITOR_BLOCK) :]
        if name == EDITOR_BLOCK and _is_generative(value):
            return True
    return False


def _is_generative(value: bytes) -> bool:
    """Return whether the editor's JSON object says that generative AI took part."""
    edit = json_object(value.rstrip(b"\0").decode(errors="replace")) or {}
    ai_type = edit.get("genAIType")
    return isinstance(ai_type, int) and ai_type > 0
