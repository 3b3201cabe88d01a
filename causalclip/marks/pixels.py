"""The marks on a picture's pixels: those that everybody can see, and watermarks that can be read without a key."""

from collections.abc import Iterator

import numpy as np

from causalclip.languages import N_
from causalclip.marks.dwtdct import find_watermark
from causalclip.marks.gemini import find_star
from causalclip.marks.logos import find_bar, find_logos
from causalclip.marks.mark import Box, Mark

WHERE = {
    "bottom right": N_("bottom right corner"),
    "bottom left": N_("bottom left corner"),
    "top left": N_("top left corner"),
}
PIXELS = N_("invisible, in the pixels")


def find_marks(pixels: np.ndarray, *, inside: tuple[Box, ...] = ()) -> tuple[Mark, ...]:
    """The marks on uint8 RGB [H, W, 3], each with its box.

    inside: boxes of pictures that the pixels show, as in a screenshot; their corners are searched, too.
    """
    found = [*_visible(pixels), *_invisible(pixels)]
    for x0, y0, x1, y1 in inside:
        found += [_moved(mark, x0, y0) for mark in _visible(pixels[y0:y1, x0:x1])]
    return tuple({(mark.generator, mark.kind): mark for mark in found}.values())


def _visible(pixels: np.ndarray) -> Iterator[Mark]:
    star, bar = find_star(pixels), find_bar(pixels)
    if star:
        yield _mark("Gemini", "bottom right", star[1])
    if bar:
        yield _mark("DALL-E 2", "bottom right", bar)
    for logo, _score, box in find_logos(pixels):
        yield _mark(logo.generator, logo.corner, box, edited=logo.edited)


def _mark(generator: str, corner: str, box: Box, *, edited: bool = False) -> Mark:
    return Mark(generator, WHERE[corner], kind="visible mark", box=box, edited=edited)


def _invisible(pixels: np.ndarray) -> Iterator[Mark]:
    watermark = find_watermark(pixels)
    if watermark:
        yield Mark(watermark[0], PIXELS, kind="invisible mark")


def _moved(mark: Mark, x: int, y: int) -> Mark:
    assert mark.box
    x0, y0, x1, y1 = mark.box
    return Mark(mark.generator, mark.where, kind=mark.kind, box=(x0 + x, y0 + y, x1 + x, y1 + y), edited=mark.edited)
