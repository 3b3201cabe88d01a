"""The only way a picture enters: a file or its bytes become upright 8-bit sRGB pixels, or an error
that says why not.

The format is decided by content, the size is checked before anything is decoded, and decoding is
strict: half a picture is refused. Errors and notes never hold the name or the path of the file.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from causalclip.images.decoding import Hidden, decode_in_sandbox
from causalclip.images.formats import (
    MAX_BYTES,
    MIN_SIDE,
    Box,
    Format,
    ImageError,
    ImageTooSmall,
    UnsupportedImage,
    sniff,
    too_many_bytes,
)
from causalclip.languages import ENGLISH, N_, _, number, speaking


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part lay in the picture that it was cut out of.

    box: left, top, right, bottom. width, height: of the whole. All in pixels of its file.
    """

    box: Box
    width: int
    height: int

    @property
    def words(self) -> str:
        """The same for a person."""
        return words(self.box, self.width, self.height)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """A picture as every model here sees it.

    pixels: uint8 [H, W, 3], sRGB, upright; transparent parts laid on white.
    sha256: of the file's bytes, in hexadecimal.
    format: "JPEG", "PNG", "WebP", "AVIF", "HEIC", "TIFF" or "GIF", by content.
    notes: sentences on what was done to the picture, or could mislead, for the user.
    file_size: of the file, in bytes.
    halved: whether it was read at half its size; the notes say why.
    hidden: a text in the file's lowest bits, and whether NovelAI signed it with the pixels; None
    for none.
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


def load_image(source: str | os.PathLike[str] | bytes, *, enough: int | None = None) -> LoadedImage:
    """Load the picture at a path, or whose file's bytes are given.

    At most MAX_BYTES bytes and MAX_PIXELS pixels, at least MIN_SIDE pixels on the shorter side. A
    JPEG of up to formats.MAX_REDUCED pixels that is not progressive is loaded at half its size,
    with a note. enough: pixels of a JPEG from which on half or a quarter of its size will do,
    without a note.

    Raises an ImageError, whose text is a sentence for the user: UnsupportedImage (not a picture, or
    not of an accepted format, or not readable), BrokenImage (cut short or damaged), ImageTooLarge,
    ImageTooSmall.
    """
    data = source if isinstance(source, bytes) else read_file(source)
    if len(data) > MAX_BYTES:
        raise too_many_bytes()
    name = sniff(data)
    pixels, notes, halved, hidden = decode_in_sandbox(data, name, enough=enough)
    return LoadedImage(
        pixels, hashlib.sha256(data).hexdigest(), name, notes, len(data), halved, hidden
    )


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
        raise UnsupportedImage(
            _("The file cannot be read. Check where it is, or copy it again.")
        ) from None


DESCRIPTION = 270  # of EXIF: the report repeats it among what the file says


def clip_box(box: tuple[float, float, float, float], width: int, height: int) -> Box:
    """Whole pixels inside a picture of width x height: left, top, right, bottom, in whichever order
    the corners came.

    Raises:
        ImageTooSmall: less than MIN_SIDE pixels are left of a side.
    """
    (left, right), (top, bottom) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    found = (
        max(0, round(left)),
        max(0, round(top)),
        min(width, round(right)),
        min(height, round(bottom)),
    )
    if min(found[2] - found[0], found[3] - found[1]) < MIN_SIDE:
        raise ImageTooSmall(
            _(
                "The part has less than {side} pixels on a side. The picture has {width} x "
                "{height}: choose a larger part of it.",
                side=MIN_SIDE,
                width=number(width),
                height=number(height),
            )
        )
    return found


def middle(height: int, width: int, *, most: int, longest: int) -> Box:
    """The middle of a picture: at most so many pixels, with the same aspect, and no side longer
    than that.

    Cut on the grid of 8 px that a JPEG has from the top left on.
    """
    rows, columns = min(height, longest), min(width, longest)
    share = min(1.0, (most / (rows * columns)) ** 0.5)
    rows, columns = int(rows * share), int(columns * share)
    top, left = (height - rows) // 16 * 8, (width - columns) // 16 * 8
    return left, top, left + columns, top + rows


def read_box(text: str) -> tuple[float, float, float, float]:
    """ "120,80,640,480" -> left, top, right, bottom; raises ValueError with a sentence."""
    try:
        left, top, right, bottom = (float(part) for part in text.replace(";", ",").split(","))
    except ValueError:
        said = N_("A part is four numbers of pixels, left,top,right,bottom; {given} is not.")
        raise ValueError(_(said, given=repr(text))) from None
    return left, top, right, bottom


def in_loaded(
    box: tuple[float, float, float, float], loaded: LoadedImage
) -> tuple[float, float, float, float]:
    """A box in pixels of the file, upright, in those of the picture as it was read: at half its
    size, perhaps."""
    left, top, right, bottom = box
    return (left / 2, top / 2, right / 2, bottom / 2) if loaded.halved else box


def words(box: Box, width: int, height: int) -> str:
    """Where a part lies, in words that a report can repeat."""
    left, top, right, bottom = box
    return _(
        "The part from ({left}, {top}) to ({right}, {bottom}) of a picture of {width} x {height} "
        "pixels",
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        width=width,
        height=height,
    )


def cut(loaded: LoadedImage, box: tuple[float, float, float, float]) -> bytes:
    """The part of a picture as a PNG file, without loss; its description says where it lay, and in
    which file.

    What was done to the picture as it was read stands there, too, as the part's own file no longer
    shows it. Raises as clip_box.
    """
    left, top, right, bottom = clip_box(box, loaded.width, loaded.height)
    with speaking(ENGLISH):  # a file stays what it is, whoever opens it
        said = words((left, top, right, bottom), loaded.width, loaded.height)
    exif, file = Image.Exif(), io.BytesIO()
    lines = (
        f"{said}, whose file has the SHA-256 {loaded.sha256}.",
        *loaded.notes,
        "Cut out by CausalCLIP.",
    )
    exif[DESCRIPTION] = " ".join(lines)
    part = np.ascontiguousarray(loaded.pixels[top:bottom, left:right])
    Image.fromarray(part).save(file, "PNG", exif=exif, compress_level=1)
    return file.getvalue()


def cut_part(loaded: LoadedImage, box: tuple[float, float, float, float]) -> LoadedImage:
    """Return a part of a picture, with the file's facts and where it lay.

    box: left, top, right, bottom, in pixels of the file. Raises as clip_box.
    """
    scale = 2 if loaded.halved else 1
    left, top, right, bottom = clip_box(in_loaded(box, loaded), loaded.width, loaded.height)
    place = (scale * left, scale * top, scale * right, scale * bottom)
    part = Part(place, scale * loaded.width, scale * loaded.height)
    pixels = np.ascontiguousarray(loaded.pixels[top:bottom, left:right])
    return replace(loaded, pixels=pixels, hidden=None, part=part)
