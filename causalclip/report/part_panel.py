"""The part that differs, as a picture: its outline and its box over the picture in small, and the same in words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from causalclip.examine.parts import TITLE
from causalclip.languages import N_, _
from causalclip.maps.overlay import shrink
from causalclip.report.inlined import SIDE, address

if TYPE_CHECKING:
    import numpy as np

    from causalclip.examine.parts import Parts
    from causalclip.parts.finder import Part

DARK, LIGHT = (28, 25, 23), (255, 255, 255)  # lines of both are seen on any picture
ALT = N_("The picture with an outline around the part that differs, from ({left}, {top}) to ({right}, {bottom}).")
LEGEND = N_("The line follows squares of {n} pixels, so it is coarser than the part; the thin box is drawn around it.")


def panel(pixels: np.ndarray, parts: Parts) -> str:
    """The picture (uint8 RGB [H, W, 3]) with the outline, as HTML; empty where no part was found."""
    if parts.part is None:
        return ""
    title = escape(_(TITLE))
    return (
        f"<section class='cc-panel cc-part' aria-label='{title}'><h2>{title}</h2><figure>"
        f"<img alt='{escape(alt(parts.part))}' src='{address(draw(pixels, parts.part))}'>"
        f"<figcaption class='cc-small'>{escape(legend(parts.part))}</figcaption></figure></section>"
    )


def alt(part: Part) -> str:
    """Where it is, for who cannot see it."""
    left, top, right, bottom = part.box
    return _(ALT, left=left, top=top, right=right, bottom=bottom)


def legend(part: Part) -> str:
    """What the lines are."""
    return _(LEGEND, n=part.cell)


def draw(pixels: np.ndarray, part: Part, *, side: int = SIDE) -> Image.Image:
    """The picture in small with outline and box."""
    drawn = Image.fromarray(shrink(pixels, side=side))
    scale = drawn.width / pixels.shape[1], drawn.height / pixels.shape[0]
    pen = ImageDraw.Draw(drawn)
    rings = [[(x * scale[0], y * scale[1]) for x, y in ring] for ring in part.outline]
    left, top, right, bottom = part.box
    box = [(left, top), (right, top), (right, bottom), (left, bottom)]
    thin = [(x * scale[0], y * scale[1]) for x, y in box]
    for colour, wide in ((DARK, 2), (LIGHT, 0)):
        for ring, width in [(thin, 1), *((ring, 3) for ring in rings)]:
            pen.line([*ring, ring[0], ring[1]], fill=colour, width=width + wide, joint="curve")
    return drawn
