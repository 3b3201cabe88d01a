"""The only way a picture enters: a file or its bytes become upright 8-bit sRGB pixels, or an error that says why not.

The format is decided by content, the size is checked before anything is decoded, and decoding is strict: half a picture
is refused. Errors and notes never hold the name or the path of the file.
"""

import hashlib
import os
import stat
from dataclasses import dataclass

import numpy as np

from causalclip.languages import _
from causalclip.pictures.decoding import decode_in_sandbox
from causalclip.pictures.formats import (
    MAX_BYTES,
    MAX_PIXELS,
    MIN_SIDE,
    BrokenImage,
    Format,
    ImageError,
    ImageTooLarge,
    ImageTooSmall,
    UnsupportedImage,
    sniff,
    too_many_bytes,
)

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "BrokenImage",
    "Format",
    "ImageError",
    "ImageTooLarge",
    "ImageTooSmall",
    "LoadedImage",
    "UnsupportedImage",
    "load_image",
    "read_file",
]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """A picture as every model here sees it.

    pixels: uint8 [H, W, 3], sRGB, upright; transparent parts laid on white.
    sha256: of the file's bytes, in hexadecimal.
    format: "JPEG", "PNG", "WebP", "AVIF", "HEIC", "TIFF" or "GIF", by content.
    notes: sentences on what was done to the picture, or could mislead, for the user.
    file_size: of the file, in bytes.
    halved: whether it was read at half its size; the notes say why.
    """

    pixels: np.ndarray
    sha256: str
    format: Format
    notes: tuple[str, ...]
    file_size: int
    halved: bool = False

    @property
    def width(self) -> int:
        """Columns of `pixels`."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows of `pixels`."""
        return int(self.pixels.shape[0])


def load_image(source: str | os.PathLike[str] | bytes) -> LoadedImage:
    """Load the picture at a path, or whose file's bytes are given.

    At most MAX_BYTES bytes and MAX_PIXELS pixels, at least MIN_SIDE pixels on the shorter side. A JPEG of up to
    formats.MAX_REDUCED pixels that is not progressive is loaded at half its size, with a note.

    Raises an ImageError, whose text is a sentence for the user: UnsupportedImage (not a picture, or not of an accepted
    format, or not readable), BrokenImage (cut short or damaged), ImageTooLarge, ImageTooSmall.
    """
    data = source if isinstance(source, bytes) else read_file(source)
    if len(data) > MAX_BYTES:
        raise too_many_bytes()
    name = sniff(data)
    pixels, notes, halved = decode_in_sandbox(data, name)
    return LoadedImage(pixels, hashlib.sha256(data).hexdigest(), name, notes, len(data), halved)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file, at most one more than MAX_BYTES; errors as in load_image."""
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):  # a pipe or a device could be read forever
            folder = stat.S_ISDIR(about.st_mode)
            raise UnsupportedImage(
                _("This is a folder, not a picture. Choose a picture's file.")
                if folder
                else _("This is not an ordinary file, not a picture. Choose a picture's file.")
            )
        if about.st_size > MAX_BYTES:
            raise too_many_bytes()
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UnsupportedImage(_("There is no such file. Check where it is.")) from None
    except PermissionError:
        raise UnsupportedImage(_("The file may not be read. Check its permissions.")) from None
    except ImageError:
        raise
    except (OSError, ValueError):  # ValueError: a path that no file can have
        raise UnsupportedImage(_("The file cannot be read. Check where it is, or copy it again.")) from None
