"""Pictures out of a zip file, which may be hostile: nothing is written to disk, and every limit
holds while reading.

Nested archives, encrypted members, and names that point out of the archive are refused, each with a
sentence.
"""

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator

from causalclip.images import sandbox
from causalclip.images.formats import (
    MAX_BYTES,
    ImageError,
    ImageTooLarge,
    UnsupportedImage,
    too_many_bytes,
)
from causalclip.languages import N_, _, number, paragraph
from causalclip.text import clean

MAX_PICTURES = 200
MAX_TOTAL = 600 * 2**20  # bytes of all members, unpacked
# unpacked to packed, from RATIO_FROM bytes on; pictures hardly shrink when they are packed
MAX_RATIO = 100
RATIO_FROM = 2**20
SECONDS = 20.0  # of processor time for all members
MAX_DIRECTORY = 512 * 2**10  # bytes of the list of members: more than a thousand names
UNPACK_IT = N_("Unpack it and send the picture itself.")
FEWER = N_("Send fewer pictures at once.")

_MEMBER = b"PK\x03\x04"  # how each file in the archive begins
_END = b"PK\x05\x06"  # how the record at its end does, which may be followed by a comment
_END_SIZE = 22
_MAX_COMMENT = 2**16 - 1
_COUNT_AT = 10  # bytes into it: how many members there are (16 bits), and the size of their list
_END64 = b"PK\x06\x07"  # how Zip64's record does, right before that
_END64_SIZE = 20
_COUNT64, _SIZE64 = 0xFFFF, 0xFFFFFFFF  # "see Zip64's record", in place of the two
_ENCRYPTED = 1  # bit of a member's flags
_IGNORED = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")

Member = tuple[str, bytes | ImageError]  # name to show, and the bytes or why there are none


class ZipError(ImageError):
    """An archive that cannot be used at all; its text is a sentence for the user."""


def is_zip(data: bytes) -> bool:
    """Return whether a file begins like a zip archive."""
    return data[:4] in (_MEMBER, _END)


def read_zip(data: bytes, *, limit: int = MAX_PICTURES) -> Iterator[Member]:
    """Yield the members of an archive one by one, unpacked in a sandbox; a bad member yields its
    error and costs nothing else.

    Raises:
        ZipError: the archive is damaged, holds more than `limit` pictures, announces more than
            MAX_TOTAL, or takes longer than SECONDS.
    """
    try:
        with sandbox.stream(unpack, data, limit, seconds=SECONDS) as members:
            yield from members
    except sandbox.TooCostly:
        raise _too_much(N_("The archive takes too long or too much memory to unpack.")) from None


def count_zip(data: bytes) -> int:
    """Return how many files `read_zip` would yield; 0 for an archive that cannot be opened.

    Nothing is unpacked.
    """
    try:
        count: int = sandbox.call(count_members, data)
    except sandbox.TooCostly:
        return 0
    return count


# In the sandbox -----------------------------------------------------------------------------------


def unpack(data: bytes, limit: int) -> Iterator[Member]:
    """Yield what `read_zip` does."""
    # 1. The archive, if it is one, and no larger than it may be
    _check_directory(data)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OverflowError):
        raise _damaged_zip() from None
    with archive:
        members = _files(archive)
        if not members:
            raise ZipError(_("The archive is empty: it holds no files."))
        if len(members) > limit:
            sentence = N_("The archive holds {count} files; at most {limit} are examined at once.")
            raise ZipError(_(sentence, count=number(len(members)), limit=limit))
        sizes = [member.file_size for member in members]
        if sum(size for size in sizes if size <= MAX_BYTES) > MAX_TOTAL:  # of what is opened
            sentence = N_("The archive unpacks to more than {mb} MB.")
            raise _too_much(sentence, mb=MAX_TOTAL >> 20)

        # 2. Its members
        room = MAX_TOTAL
        for member in members:
            plain = member.filename.replace("\\", "/").rpartition("/")[2]
            name = clean(plain, limit=120) or "unnamed"
            try:
                content = _read(archive, member, room)
            except ImageError as error:
                yield name, error
                continue
            room -= len(content)
            yield name, content


def count_members(data: bytes) -> int:
    """Return what `count_zip` does."""
    try:
        _check_directory(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return len(_files(archive))
    except (
        ZipError,
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
        struct.error,
        OverflowError,
    ):
        return 0


def _files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members that are no folders and no system's own files."""
    return [
        member
        for member in archive.infolist()
        # its own `is_dir` fails at a name without a character (Python 3.11)
        if not member.filename.endswith("/")
        and not any(part in member.filename for part in _IGNORED)
    ]


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, room: int) -> bytes:
    """Read a member of at most `room` bytes.

    Raises:
        ImageError: it is refused; the error is a sentence.
    """
    # 1. What it says of itself
    name = member.filename.replace("\\", "/")
    if name.startswith("/") or ":" in name.partition("/")[0] or ".." in name.split("/"):
        raise _unopened(N_("Its name points out of the archive, so it was not opened."))
    if stat.S_ISLNK(member.external_attr >> 16):
        raise _unopened(N_("It is a link to another file, so it was not opened."))
    if member.flag_bits & _ENCRYPTED:
        raise _unopened(N_("It is encrypted, so it cannot be opened."))
    if member.file_size > MAX_BYTES:
        raise too_many_bytes()
    ratio = member.file_size / max(1, member.compress_size)
    if member.file_size > RATIO_FROM and ratio > MAX_RATIO:
        raise _unopened(N_("It unpacks to far more than any picture would, so it was not opened."))

    # 2. What it is
    most = min(MAX_BYTES, room)
    try:
        with archive.open(member) as file:
            content = file.read(most + 1)  # whatever the header announced
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
        *(EOFError, OSError, NotImplementedError, RuntimeError, ValueError, MemoryError),
    ):
        sentence = N_("It is damaged in the archive, or packed in a way that cannot be read.")
        raise _unopened(sentence) from None
    if len(content) > most:
        raise ImageTooLarge(_("It is larger than the archive says, so it was not opened."))
    if is_zip(content):
        raise UnsupportedImage(
            _(
                "It is an archive inside the archive, which is not opened. Send its pictures "
                "themselves."
            )
        )
    return content


def _check_directory(data: bytes) -> None:
    """Refuse a list of members that would take long to read, before it is read."""
    end = data.rfind(_END, max(0, len(data) - _END_SIZE - _MAX_COMMENT))
    if end < 0 or end + _END_SIZE > len(data):
        raise _damaged_zip()
    count, size = struct.unpack_from("<HI", data, end + _COUNT_AT)
    before = data[end - _END64_SIZE : end]
    if before.startswith(_END64) or size == _SIZE64 or count == _COUNT64:
        raise _too_much(N_("The archive is in the Zip64 format for very large archives."))
    if size > MAX_DIRECTORY:
        raise _too_much(N_("The archive lists far more files than can be examined at once."))


def _unopened(sentence: str) -> UnsupportedImage:
    """Return the error for a member that is not opened, with what to do."""
    return UnsupportedImage(paragraph(_(sentence), _(UNPACK_IT)))


def _too_much(sentence: str, **values: object) -> ZipError:
    """Return the error for an archive that is too large to be used, with what to do."""
    return ZipError(paragraph(_(sentence, **values), _(FEWER)))


def _damaged_zip() -> ZipError:
    return ZipError(
        _("The archive is cut short or damaged, so it cannot be opened. Pack it again.")
    )
