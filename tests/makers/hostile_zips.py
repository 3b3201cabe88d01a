"""Zip files that would harm who unpacks them, and what has to be said of each.

Some say of themselves what is not so, so they are written byte by byte.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.makers.pictures import encode, photo

MB = 2**20
PNG, JPEG = encode(photo(), "PNG"), encode(photo(), "JPEG")
STORED, DEFLATED, DEFLATE64, ZSTANDARD, AES = 0, 8, 9, 93, 99
ENCRYPTED, PATCHED, UTF8 = 1, 0x20, 0x800  # bits of flags


@dataclass(frozen=True)
class Entry:
    """A member as it is packed and as it is listed.

    size: the size that it gives; None for the true one. mode: of Unix. at: where the list says that
    it begins; None for where it does. listed: its name in the list; None for its own.
    """

    name: bytes = b"good.png"
    packed: bytes = PNG
    method: int = STORED
    size: int | None = None
    crc: int | None = None
    flags: int = 0
    mode: int = 0
    extra: bytes = b""
    at: int | None = None
    listed: bytes | None = None

    def body(self) -> bytes:
        head = b"PK\x03\x04" + self._fields() + struct.pack("<HH", len(self.name), 0)
        return head + self.name + self.packed

    def line(self, begin: int) -> bytes:
        """Its line in the list of members; begin: where its body does."""
        name = self.name if self.listed is None else self.listed
        lengths = struct.pack("<HHHHH", len(name), len(self.extra), 0, 0, 0)
        place = struct.pack("<LL", self.mode << 16, begin if self.at is None else self.at)
        return b"PK\x01\x02\x1e\x03" + self._fields() + lengths + place + name + self.extra

    def _fields(self) -> bytes:
        """What body and line have in common."""
        crc = zlib.crc32(self.packed) if self.crc is None else self.crc
        sizes = len(self.packed), len(self.packed) if self.size is None else self.size
        return struct.pack("<HHHHHLLL", 20, self.flags, self.method, 0, 0x21, crc, *sizes)


GOOD = Entry()


def packed(
    *entries: Entry, before: bytes = b"", count: int | None = None, share: bool = False
) -> bytes:
    """An archive of entries.

    before: what stands before it. count: how many it says that there are. share: whether all lines
    of the list point to the first entry's body, the only one that is there.
    """
    bodies, lines = bytearray(before), []
    for entry in entries:
        lines.append(entry.line(len(before) if share else len(bodies)))
        if not (share and len(lines) > 1):
            bodies += entry.body()
    listed, many = b"".join(lines), len(entries) if count is None else count
    end = struct.pack("<HHHHLLH", 0, 0, many & 0xFFFF, many & 0xFFFF, len(listed), len(bodies), 0)
    return bytes(bodies) + listed + b"PK\x05\x06" + end


def zeros(name: bytes, size: int, *, says: int | None = None) -> Entry:
    """A member of so many MB of zeros; says: the bytes that it gives as its size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH)  # of each MB
    data = first * size + packer.flush()
    return Entry(name, data, DEFLATED, size=min(size * MB, 2**32 - 1) if says is None else says)


def nested(depth: int, width: int) -> bytes:
    """Archives in archives in archives, as 42.zip is."""
    inner = packed(zeros(b"0.png", 16))
    for _level in range(depth):
        inner = packed(*(Entry(b"%d.zip" % i, inner) for i in range(width)))
    return inner


def of_zipfile(content: bytes, how: int) -> bytes:
    """An archive of a picture and of a content packed in one of zipfile's ways."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr("bad.png", content)
        archive.writestr("good.png", PNG)
    return file.getvalue()


def beside(*entries: Entry) -> Callable[[], bytes]:
    """An archive of entries and of a good picture."""
    return lambda: packed(*entries, GOOD)


def names(count: int, *, size: int = 10) -> list[Entry]:
    """So many empty members with long names."""
    return [Entry(b"%0*d" % (size, i), b"") for i in range(count)]


OUT, LINK, ENCODED = "points out of the archive", "is a link to another", "is encrypted"
FAR_MORE, DAMAGED, NESTED = "far more than any picture", "is damaged in", "archive inside the"
NO_PICTURE, EMPTY = "not a picture in an accepted format", "it holds no bytes"
ZIP64 = struct.pack("<HHQQQ", 1, 24, 2**40, 2**40, 0)

# The good picture in each is judged; of every other member, if any, this is said.
PARTLY_READ: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb of 4 GB": (lambda: packed(zeros(b"b.png", 4096), GOOD), "more than 20 MB"),
    "a bomb of 19 MB": (lambda: packed(zeros(b"b.png", 19), GOOD), FAR_MORE),
    "a bomb that says 1 kB": (lambda: packed(zeros(b"b.png", 512, says=1000), GOOD), DAMAGED),
    "a bomb that says 90 kB": (lambda: packed(zeros(b"b.png", 90, says=90_000), GOOD), DAMAGED),
    "a bomb by bzip2": (lambda: of_zipfile(bytes(19 * MB), zipfile.ZIP_BZIP2), FAR_MORE),
    "a bomb by LZMA": (lambda: of_zipfile(bytes(19 * MB), zipfile.ZIP_LZMA), FAR_MORE),
    "LZMA that asks for 4 GB": (
        beside(Entry(b"l.png", b"\x09\x14\x05\x00\x5d\xff\xff\xff\xff" + bytes(99), 14, 9999)),
        DAMAGED,
    ),
    "2 GB that are not there": (beside(Entry(b"b.png", size=2**31)), "more than 20 MB"),
    "Zip64 that says 1 TB": (
        beside(Entry(b"z.png", size=2**32 - 1, extra=ZIP64)),
        "more than 20 MB",
    ),
    "42.zip": (lambda: packed(Entry(b"42.zip", nested(2, 16)), GOOD), NESTED),
    "an archive in it": (beside(Entry(b"in.png", packed(GOOD))), NESTED),
    "itself": (lambda: packed(Entry(b"q.zip", packed(Entry(b"q.zip"), GOOD)), GOOD), NESTED),
    "absolute paths": (
        beside(Entry(b"/etc/passwd"), Entry(b"C:\\x.png"), Entry(b"\\\\host\\x.png")),
        OUT,
    ),
    "paths upwards": (beside(Entry(b"../../x.png"), Entry(b"a/..\\..\\x.png")), OUT),
    "a link": (beside(Entry(b"l.png", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)), LINK),
    "a device": (beside(Entry(b"d.png", b"", mode=stat.S_IFCHR | 0o666)), EMPTY),
    "a text of the same name": (beside(Entry(packed=b"a text")), NO_PICTURE),
    "encrypted": (beside(Entry(flags=ENCRYPTED), Entry(flags=ENCRYPTED, method=AES)), ENCODED),
    "a patch": (beside(Entry(b"p.png", flags=PATCHED)), DAMAGED),
    "unknown ways to pack": (
        beside(*(Entry(method=method) for method in (DEFLATE64, ZSTANDARD, 97))),
        DAMAGED,
    ),
    "a wrong checksum": (beside(Entry(crc=1)), DAMAGED),
    "places that are none": (beside(Entry(at=2**31), Entry(at=10)), DAMAGED),
    "two names": (beside(Entry(listed=b"other.png")), DAMAGED),
    "no name": (beside(Entry(b"", b"a text")), NO_PICTURE),
    "a name of 64 kB": (beside(Entry(b"n" * 65_000, b"a text")), NO_PICTURE),
    "a name with NUL": (beside(Entry(b"good.png\0.exe", b"a text")), NO_PICTURE),
    "a name that turns": (beside(Entry("\u202egnp.exe".encode(), b"a", flags=UTF8)), NO_PICTURE),
    "a name that is a tag": (beside(Entry(b"<img src=x onerror=alert(1)>", b"a")), NO_PICTURE),
    "too high a count": (lambda: packed(GOOD, count=100), ""),
    "a picture after it": (lambda: packed(GOOD) + JPEG, ""),
    "a picture before it": (lambda: packed(Entry(b"x.png", b""), before=JPEG), ""),
}

MANY, CUT, EXPANDED = "far more files than can", "cut short or damaged", "more than 600 MB"
# Nothing of these is judged.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "100,000 members": (lambda: packed(*names(100_000)), MANY),
    "nine names of 64 kB": (lambda: packed(*names(9, size=65_000)), MANY),
    "5,000 members": (lambda: packed(*names(5_000)), "holds 5,000 files"),
    "250 members, said to be none": (lambda: packed(*names(250), count=0), "holds 250 files"),
    "190 that share 19 MB": (lambda: packed(*[zeros(b"b.png", 19)] * 190, share=True), EXPANDED),
    "many of 19 MB": (lambda: packed(*[zeros(b"b.png", 19)] * 90), EXPANDED),
    "Zip64": (lambda: packed(GOOD, count=0xFFFF), "Zip64"),
    "Zip64 without its sizes": (
        lambda: packed(Entry(size=2**32 - 1, extra=b"\1\0\0\0"), GOOD),
        CUT,
    ),
    "a name that is no UTF-8": (lambda: packed(Entry(b"\xff\xfe.png", flags=UTF8), GOOD), CUT),
    "half a list of members": (lambda: packed(GOOD, GOOD)[:-60], CUT),
    "half a file": (lambda: packed(GOOD)[: len(PNG) // 2], CUT),
    "no member": (lambda: packed(), "is empty"),
    "folders alone": (lambda: packed(Entry(b"a/", b""), Entry(b"b/", b"")), "is empty"),
}
