"""A part of a picture as a picture of its own, which says in its file where it was cut from."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from causalclip.languages import N_, _, number, speaking
from causalclip.languages.locale import ENGLISH
from causalclip.pictures.formats import MIN_SIDE, ImageTooSmall
from causalclip.pictures.loading import LoadedImage

Box = tuple[int, int, int, int]
DESCRIPTION = 270  # of EXIF: the report repeats it among what the file says


def clip_box(box: tuple[float, float, float, float], width: int, height: int) -> Box:
    """Whole pixels inside a picture of width x height: left, top, right, bottom, in whichever order the corners came.

    Raises:
        ImageTooSmall: less than MIN_SIDE pixels are left of a side.
    """
    (left, right), (top, bottom) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    found = max(0, round(left)), max(0, round(top)), min(width, round(right)), min(height, round(bottom))
    if min(found[2] - found[0], found[3] - found[1]) < MIN_SIDE:
        raise ImageTooSmall(
            _(
                "The part has less than {side} pixels on a side. The picture has {width} x {height}: choose a larger "
                "part of it.",
                side=MIN_SIDE,
                width=number(width),
                height=number(height),
            )
        )
    return found


def read_box(text: str) -> tuple[float, float, float, float]:
    """ "120,80,640,480" -> left, top, right, bottom; raises ValueError with a sentence."""
    try:
        left, top, right, bottom = (float(part) for part in text.replace(";", ",").split(","))
    except ValueError:
        said = N_("A part is four numbers of pixels, left,top,right,bottom; {given} is not.")
        raise ValueError(_(said, given=repr(text))) from None
    return left, top, right, bottom


def in_loaded(box: tuple[float, float, float, float], loaded: LoadedImage) -> tuple[float, float, float, float]:
    """A box in pixels of the file, upright, in those of the picture as it was read: at half its size, perhaps."""
    left, top, right, bottom = box
    return (left / 2, top / 2, right / 2, bottom / 2) if loaded.halved else box


def words(box: Box, width: int, height: int) -> str:
    """Where a part lies, in words that a report can repeat."""
    left, top, right, bottom = box
    return _(
        "The part from ({left}, {top}) to ({right}, {bottom}) of a picture of {width} x {height} pixels",
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        width=width,
        height=height,
    )


def cut(loaded: LoadedImage, box: tuple[float, float, float, float]) -> bytes:
    """The part of a picture as a PNG file, without loss; its description says where it lay, and in which file.

    What was done to the picture as it was read stands there, too, as the part's own file no longer shows it.
    Raises as clip_box.
    """
    left, top, right, bottom = clip_box(box, loaded.width, loaded.height)
    with speaking(ENGLISH):  # a file stays what it is, whoever opens it
        said = words((left, top, right, bottom), loaded.width, loaded.height)
    exif, file = Image.Exif(), io.BytesIO()
    lines = f"{said}, whose file has the SHA-256 {loaded.sha256}.", *loaded.notes, "Cut out by CausalCLIP."
    exif[DESCRIPTION] = " ".join(lines)
    part = np.ascontiguousarray(loaded.pixels[top:bottom, left:right])
    Image.fromarray(part).save(file, "PNG", exif=exif, compress_level=1)
    return file.getvalue()
