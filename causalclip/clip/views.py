"""The squares of a picture that a tower sees: of the whole picture, and windows at native scale."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

ViewType = Literal["whole", "window"]
WINDOWS = 2
MAX_SQUARES = 3
# px, the longest side that training sees; windows of a larger picture are of a copy so large
LARGEST_SIDE = 2048


@dataclass(frozen=True, slots=True)
class View:
    """A square of the picture that the tower sees at its own input size.

    Attributes:
        view_type: "whole" (the short side, scaled to the tower's input) or "window" (native scale).
        box: left, top, right, bottom in picture pixels.
    """

    view_type: ViewType
    box: tuple[float, float, float, float]


def plan_views(
    width: int, height: int, *, size: int = 224, windows: int = WINDOWS, squares: int = MAX_SQUARES
) -> list[View]:
    """Return the views of a picture of width x height px.

    At most `squares` squares and `windows` windows. Squares have the short side and are spread
    along the long one, so that a picture of aspect up to `squares` is covered. Windows have a side
    of `size`, or more where the long side is over LARGEST_SIDE, and are spread over the picture;
    one that is hardly larger than a window gets none.
    """
    short, long = min(width, height), max(width, height)
    squares = min(squares, math.ceil(long / short - 0.1))
    # the middle, or from end to end
    spread = [0.5] if squares == 1 else [i / (squares - 1) for i in range(squares)]
    views = [View("whole", _square(width, height, short, t)) for t in spread]
    return views + _windows(
        width, height, side=round(size * max(1, long / LARGEST_SIDE)), count=windows
    )


def _windows(width: int, height: int, *, side: int, count: int) -> list[View]:
    """Return `count` windows with a side of `side` px, spread over a picture that is larger than
    one by a fifth at least."""
    if not count or min(width, height) < 1.2 * side:
        return []
    side_count = max(1, round(math.sqrt(count)))
    few, many = sorted((side_count, max(1, count // side_count)))
    across, down = (many, few) if width >= height else (few, many)
    views = []
    for row in _middles(down):
        for column in _middles(across):
            # Whole pixels: between them, resampling would blur the very traces that a window is
            # there for.
            left, top = int(column * (width - side)), int(row * (height - side))
            views.append(View("window", (left, top, left + side, top + side)))
    return views


def _middles(count: int) -> list[float]:
    """Return the middles of `count` equal parts of [0, 1]."""
    return [(i + 0.5) / count for i in range(count)]


def _square(
    width: int, height: int, side: int, position: float
) -> tuple[float, float, float, float]:
    """Return the square at a position, 0 to 1, along the longer side."""
    left, top = position * (width - side), position * (height - side)
    return (left, top, left + side, top + side)


def render(pixels: np.ndarray, views: list[View], *, size: int = 224) -> Tensor:
    """Return the views of a picture, uint8 [H, W, 3], as float [len(views), 3, size, size] in
    [0, 1], bicubic with antialias."""
    shots = np.empty((len(views), 3, size, size), np.uint8)
    # of one, Pillow needs no copy; of all, it makes one with 4 bytes a pixel
    for channel in range(3):
        one = np.ascontiguousarray(pixels[..., channel])
        plane = Image.frombuffer("L", one.shape[::-1], one, "raw", "L", 0, 1)
        for shot, view in zip(shots, views, strict=True):
            patch = plane.resize(
                (size, size), Image.Resampling.BICUBIC, box=view.box, reducing_gap=3.0
            )
            shot[channel] = np.asarray(patch)
    return torch.from_numpy(shots).float() / 255
