"""The tags of a TIFF structure, which is also what EXIF is, by Pillow.

Pillow reads every tag, and a hostile file points thousands of tags at the same megabytes. Here it reads from a stream
that ends after so many bytes.
"""

import io
from contextlib import suppress
from typing import Any

from PIL import Image

EXIF_IFD, GPS_IFD = 0x8769, 0x8825


class Tags:
    """The first directory of a structure, and those of EXIF and GPS; damage ends the reading of a directory.

    Args:
        block: from the byte order mark on.
        limit: bytes that are read at most, of all directories together.
    """

    def __init__(self, block: bytes = b"", *, limit: int = 0) -> None:
        self._stream, self._exif = _Stream(block, limit), Image.Exif()
        with suppress(Exception):  # as decoders do, Pillow raises anything on bad input
            self._exif.load_from_fp(self._stream)

    @property
    def cut(self) -> bool:
        """Whether there was more to read than the limit."""
        return self._stream.cut

    def get(self, tag: int, *, inside: int | None = None) -> Any:
        """The value of a tag of the first directory, or of the one `inside` it (EXIF_IFD, GPS_IFD): text (as Latin-1),
        bytes, a number, or a tuple of numbers; None for what is not there or cannot be read."""
        with suppress(Exception):
            directory = self._exif if inside is None else self._exif.get_ifd(inside)
            return directory.get(tag)
        return None


class _Stream(io.BytesIO):
    def __init__(self, data: bytes, limit: int) -> None:
        super().__init__(data)
        self.left, self.cut = limit, False

    def read(self, size: int | None = -1) -> bytes:
        part = b"" if self.cut else super().read(size)
        self.left -= len(part)
        self.cut |= self.left < 0
        return b"" if self.cut else part
