"""Marks on a picture's pixels: what is stamped in its corners, and the invisible watermark."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from causalclip.images.formats import Box
from causalclip.languages import N_
from causalclip.marks.bar import find_bar
from causalclip.marks.icons import find_icon
from causalclip.marks.logos import find_logos
from causalclip.marks.mark import EU_ICON, Mark
from causalclip.marks.stamps import STAMPS, find_stamps
from causalclip.marks.star import find_star
from causalclip.marks.watermark import find_watermark

WHERE = {
    "bottom right": N_("bottom right corner"),
    "bottom left": N_("bottom left corner"),
    "top left": N_("top left corner"),
    "top right": N_("top right corner"),
}
PIXELS = N_("invisible, in the pixels")


def find_marks(pixels: np.ndarray, *, inside: tuple[Box, ...] = ()) -> tuple[Mark, ...]:
    """Return the marks on uint8 RGB [H, W, 3], each with its box.

    inside: boxes of pictures that the pixels show, as in a screenshot; their corners are searched,
    too.
    """
    marks = list(_visible(pixels))
    if watermark := find_watermark(pixels):
        marks.append(Mark(watermark[0], PIXELS, kind="invisible mark", certainty="stamped"))
    for x0, y0, x1, y1 in inside:
        marks += [_shift_box(mark, x0, y0) for mark in _visible(pixels[y0:y1, x0:x1])]
    return tuple({(mark.generator, mark.kind): mark for mark in marks}.values())


def _visible(pixels: np.ndarray) -> Iterator[Mark]:
    if gemini := find_star(pixels):
        yield _mark("Gemini", "bottom right", gemini[1])
    if bar := find_bar(pixels):
        yield _mark("DALL-E 2", "bottom right", bar)
    logos = find_logos(pixels)
    for logo, _score, box in logos:
        yield _mark(logo.generator, logo.corner, box, edited=logo.edited)
    templates = {logo.template for logo, _score, _box in logos}
    stamp_match = None if templates & {stamp.template for stamp in STAMPS} else find_stamps(pixels)
    if stamp_match:
        stamp, _stamp_score, stamp_box = stamp_match
        yield _mark(stamp.generator, "bottom right", stamp_box)
    if icon_match := find_icon(pixels):
        icon, corner, _icon_score, icon_box = icon_match
        yield _mark(EU_ICON, corner, icon_box, edited=icon.edited, excerpt=icon.words)


def _mark(
    generator: str, corner: str, box: Box, *, edited: bool = False, excerpt: str = ""
) -> Mark:
    return Mark(
        generator,
        WHERE[corner],
        excerpt,
        kind="visible mark",
        certainty="stamped",
        box=box,
        edited=edited,
    )


def _shift_box(mark: Mark, x: int, y: int) -> Mark:
    assert mark.box
    x0, y0, x1, y1 = mark.box
    return replace(mark, box=(x0 + x, y0 + y, x1 + x, y1 + y))
