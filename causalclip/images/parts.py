"""A part of a picture: its box, in whole pixels and in words, and the picture cut down to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalclip.images.formats import MIN_SIDE, Box, ImageTooSmall
from causalclip.images.loading import LoadedImage
from causalclip.languages import N_, _, number


@dataclass(frozen=True, slots=True)
class Part:
    """The place of a part in the picture that it was cut out of.

    box: left, top, right, bottom. width, height: of the whole. All in pixels of its file.
    """

    box: Box
    width: int
    height: int

    @property
    def words(self) -> str:
        """The place of the part, in words."""
        return place_words(self.box, self.width, self.height)


def clip_box(box: tuple[float, float, float, float], width: int, height: int) -> Box:
    """Return a box of whole pixels inside a picture of width x height.

    Args:
        box: left, top, right, bottom, in whichever order the corners came.
        width, height: of the picture, in pixels.

    Raises:
        ImageTooSmall: less than MIN_SIDE pixels are left of a side.
    """
    left, right = sorted((box[0], box[2]))
    top, bottom = sorted((box[1], box[3]))
    inside = (
        max(0, round(left)),
        max(0, round(top)),
        min(width, round(right)),
        min(height, round(bottom)),
    )
    if min(inside[2] - inside[0], inside[3] - inside[1]) < MIN_SIDE:
        raise ImageTooSmall(
            _(
                "The part has less than {side} pixels on a side. The picture has {width} x "
                "{height}: choose a larger part of it.",
                side=MIN_SIDE,
                width=number(width),
                height=number(height),
            )
        )
    return inside


def middle(height: int, width: int, *, most: int, longest: int) -> Box:
    """Return the middle of a picture, cut on the grid of 8 px that a JPEG has from the top left on.

    Args:
        height, width: of the picture, in pixels.
        most: pixels of the middle, at most; it has the picture's aspect.
        longest: pixels of a side, at most.
    """
    rows, columns = min(height, longest), min(width, longest)
    share = min(1.0, (most / (rows * columns)) ** 0.5)
    rows, columns = int(rows * share), int(columns * share)
    top, left = (height - rows) // 16 * 8, (width - columns) // 16 * 8
    return left, top, left + columns, top + rows


def read_box(text: str) -> tuple[float, float, float, float]:
    """Read "120,80,640,480" as left, top, right, bottom.

    Raises:
        ValueError: it is no such text; the error is a sentence.
    """
    try:
        left, top, right, bottom = (float(part) for part in text.replace(";", ",").split(","))
    except ValueError:
        sentence = N_("A part is four numbers of pixels, left,top,right,bottom; {given} is not.")
        raise ValueError(_(sentence, given=repr(text))) from None
    return left, top, right, bottom


def place_words(box: Box, width: int, height: int) -> str:
    """Return where a part lies, in words that a report can repeat."""
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


def in_file(box: Box, *, halved: bool) -> Box:
    """Return a box in pixels of a picture's file. box: in pixels of the picture as it was read.
    halved: whether that was at half its size."""
    left, top, right, bottom = box
    scale = 2 if halved else 1
    return scale * left, scale * top, scale * right, scale * bottom


def cut_part(image: LoadedImage, box: tuple[float, float, float, float]) -> LoadedImage:
    """Return a part of a picture, with the file's facts and where it lay.

    box: left, top, right, bottom, in pixels of the file. Raises as clip_box.
    """
    scale = 2 if image.halved else 1
    as_read = (box[0] / scale, box[1] / scale, box[2] / scale, box[3] / scale)
    left, top, right, bottom = clip_box(as_read, image.width, image.height)
    place = in_file((left, top, right, bottom), halved=image.halved)
    part = Part(place, scale * image.width, scale * image.height)
    pixels = np.ascontiguousarray(image.pixels[top:bottom, left:right])
    return replace(image, pixels=pixels, hidden=None, part=part)
