"""The only way a picture enters: a file or its bytes become upright 8-bit sRGB pixels, or an error
that says why not.

The format is decided by content, the size is checked before anything is decoded, and decoding is
strict: half a picture is refused. Errors and notes never hold the name or the path of the file.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from causalclip.images.colours import to_srgb
from causalclip.images.decoding import Hidden, decode_in_sandbox
from causalclip.images.formats import (
    MAX_BYTES,
    Format,
    ImageError,
    UnsupportedImage,
    sniff,
    too_many_bytes,
)
from causalclip.languages import _

if TYPE_CHECKING:
    from causalclip.images.parts import Part


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """A picture as every model here sees it.

    Attributes:
        pixels: uint8 [H, W, 3], sRGB, upright; transparent parts laid on white.
        sha256: of the file's bytes, in hexadecimal.
        format: "JPEG", "PNG", "WebP", "AVIF", "HEIC", "TIFF" or "GIF", by content.
        notes: sentences on what was done to the picture, or could mislead, for the user.
        file_size: of the file, in bytes.
        halved: whether it was read at half its size; the notes say why.
        hidden: a text in the file's lowest bits, and whether NovelAI signed it with the pixels;
            None for none.
        part: where the pixels were cut out of the file's picture; None for all of it.
    """

    pixels: np.ndarray
    sha256: str
    format: Format
    notes: tuple[str, ...]
    file_size: int
    halved: bool = False
    hidden: Hidden | None = None
    part: Part | None = None

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

    >>> load_image("picture.jpg").pixels  # doctest: +SKIP

    At most MAX_BYTES bytes and MAX_PIXELS pixels, at least MIN_SIDE pixels on the shorter side. A
    JPEG of up to formats.MAX_REDUCED pixels that is not progressive is loaded at half its size,
    with a note.

    Args:
        source: a path, or a file's bytes.

    Raises:
        UnsupportedImage: not a picture, not of an accepted format, or not readable.
        BrokenImage: cut short or damaged.
        ImageTooLarge: more bytes or pixels than are accepted.
        ImageTooSmall: fewer pixels on the shorter side than are needed.
    """
    data = source if isinstance(source, bytes) else read_file(source)
    if len(data) > MAX_BYTES:
        raise too_many_bytes()
    format = sniff(data)
    pixels, notes, halved, hidden = decode_in_sandbox(data, format)
    return LoadedImage(
        pixels=pixels,
        sha256=hashlib.sha256(data).hexdigest(),
        format=format,
        notes=notes,
        file_size=len(data),
        halved=halved,
        hidden=hidden,
    )


def as_pixels(picture: str | os.PathLike[str] | Image.Image | np.ndarray) -> np.ndarray:
    """Return a picture's pixels, uint8 RGB [H, W, 3].

    Args:
        picture: a path, which is read as `load_image` does; PIL's image, which is turned upright,
            brought to sRGB and laid on white; or the pixels themselves, which are returned as they
            are.

    Raises:
        ImageError: the file is refused, or PIL's image holds measurements, not colours.
        TypeError: an array is not uint8 [H, W, 3].
    """
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise TypeError(
                f"An array must be uint8 RGB [H, W, 3], not {picture.dtype} {list(picture.shape)}."
            )
        return picture
    if isinstance(picture, Image.Image):
        upright = ImageOps.exif_transpose(picture)
        pixels, _notes = to_srgb(upright, profile=picture.info.get("icc_profile") or b"")
        return pixels
    return load_image(picture).pixels


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Read a regular file, at most one byte more than MAX_BYTES; raises as load_image does."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UnsupportedImage(_("This is a folder, not a picture. Choose a picture's file."))
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device could be read forever
            raise UnsupportedImage(
                _("This is not an ordinary file, not a picture. Choose a picture's file.")
            )
        if status.st_size > MAX_BYTES:
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
        raise UnsupportedImage(
            _("The file cannot be read. Check where it is, or copy it again.")
        ) from None
