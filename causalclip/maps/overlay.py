"""A signed map in its picture: the photograph in grey, and colour where there is evidence, on one
fixed scale for all pictures.

Composed by Pillow and NumPy from matplotlib's colours: a Figure costs more than the whole budget of
a map (60 ms).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from causalclip.maps.attribution import (
    Place,
    Which,
    bridge_seams,
    canvas_size,
    covered_cells,
    picture_map,
    seams,
    strongest_places,
    unlocalised_share,
)
from causalclip.maps.low_information import low_information

if TYPE_CHECKING:
    from causalclip.detection import Detection

# log-odds per patch at the ends of the colour map: most (0.9) of what pictures show, smooth, is
# inside
SCALE = 0.015
COLOURS = "PuOr_r"  # diverging, told apart with any colour vision: purple below 0, orange above
SMOOTH = 128  # cells on the long side of the smooth map that is drawn
DRAWN_SIDES = 1024, 512  # the drawn picture's long side at most and at least, in pixels
OPACITY = 0.75  # of the strongest colour: the picture stays to be seen
PALENESS = 0.6  # from grey to paper, where the map cannot know
PLAIN = 200  # the grey of the ground without a photograph
PAPER, INK = (250, 250, 249), (28, 25, 23)


Boxes = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Inputs for drawing a map, small enough to keep for a session.

    Attributes:
        picture: uint8 RGB [h, w, 3], at drawing size.
        detection: whose map is drawn.
        low_information: bool [rows, columns], where the map cannot know; None where nobody looked.
        boxes: of visible marks, as shares of width and height.
    """

    picture: np.ndarray
    detection: Detection
    low_information: np.ndarray | None = None
    boxes: Boxes = ()


def shrink(pixels: np.ndarray, *, side: int = DRAWN_SIDES[0]) -> np.ndarray:
    """Return a picture, uint8 RGB [H, W, 3], with `side` pixels on its long side if it was larger.

    Rows and columns are dropped before filtering, so that 50 million pixels cost as little as one.
    """
    height, width = pixels.shape[:2]
    step = max(1, max(height, width) // (2 * side))
    picture = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    long = min(side, max(height, width))
    return np.asarray(
        picture.resize(canvas_size(width, height, side=long), Image.Resampling.BILINEAR)
    )


def prepare(pixels: np.ndarray, detection: Detection, *, boxes: Boxes = ()) -> Drawing:
    """Keep what draw_map needs of a picture (uint8 RGB [H, W, 3]), its detection, and the boxes of
    its marks."""
    small = Image.fromarray(shrink(pixels))
    long = max(small.size)
    if long < DRAWN_SIDES[1]:  # or the colour bar's words would be too small to read
        small = small.resize(
            canvas_size(*small.size, side=DRAWN_SIDES[1]), Image.Resampling.BICUBIC
        )
    return Drawing(np.asarray(small), detection, low_information(pixels), boxes)


def draw_map(
    drawing: Drawing,
    which: Which = "causal",
    *,
    texture: bool = True,
    numbered: bool = False,
    bar: bool = False,
    beside: str = "",
    scale: float = SCALE,
    fade: bool = True,
) -> Image.Image:
    """The photograph in grey with colour where there is evidence, and boxes around visible marks.

    Colour follows the evidence: none where there is none, all of OPACITY from half of the scale on.
    The texture of the photograph stays visible inside it. Places that cannot be judged are pale.

    Args:
        which: "causal" or "non_causal"; both on the same scale.
        texture: whether the photograph is seen; without it, the colours stand on a plain ground.
        numbered: whether the strongest places have a number, as `strongest_places` sorts them.
        bar: draw a colour bar below, for a picture that stands alone; without it, the map is as
            large as `drawing.picture`.
        beside: lines of words below the bar, such as causalclip.maps.captions.caption.
        scale: log-odds per patch at the ends of the colour map; the same for every picture.
        fade: let the colours pale where much of the score is tied to no place, so that no map shows
            more than it has.

    Returns:
        An RGB picture.
    """
    detection = drawing.detection
    if texture:
        grey = np.asarray(Image.fromarray(drawing.picture).convert("L"), np.float32) * 0.75 + 50
    else:
        grey = np.full(drawing.picture.shape[:2], PLAIN, np.float32)
    # a root: a tenth that has a place is seen
    strength = math.sqrt(1 - unlocalised_share(detection)) if fade else 1.0
    coloured = _colour(grey, _levels(drawing, which, scale), strength)
    pale = _unknown(drawing)[..., None]
    coloured += pale * (grey[..., None] * (1 - PALENESS) + PAPER[0] * PALENESS - coloured)
    picture = Image.fromarray(coloured.round().clip(0, 255).astype(np.uint8))
    _draw_boxes(picture, drawing.boxes)
    if numbered:
        _draw_numbers(picture, strongest_places(detection, drawing.low_information))
    return _with_bar(picture, scale, beside) if bar else picture


def _levels(drawing: Drawing, which: Which, scale: float) -> np.ndarray:
    """Return the smooth map at the picture's size, uint8 [h, w]: 0 and 255 at the scale's ends."""
    rows, columns = drawing.picture.shape[:2]
    levels = picture_map(drawing.detection, which, unit="patch", smooth=True, side=SMOOTH)
    levels = bridge_seams(levels, drawing.detection)
    index = Image.fromarray(np.clip(levels * (127.5 / scale) + 127.5, 0, 255).astype(np.uint8))
    return np.asarray(index.resize((columns, rows), Image.Resampling.BILINEAR))


def _colour(grey: np.ndarray, index: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Return grey levels, float32 [h, w], in the colours of `index`, uint8 [h, w]: [h, w, 3].

    With a colour c that covers a, a grey g becomes g (1 - a) + (0.35 c + 0.65 (g / 255) 1.15 c) a:
    g times a factor, plus an offset, both by level.
    """
    colour = _palette().astype(np.float32)
    cover = np.abs(np.arange(256, dtype=np.float32) - 127.5) / 127.5
    cover = (OPACITY * strength * np.minimum(1.0, 2 * cover))[:, None]
    factor = 1 - cover + cover * colour * (0.65 * 1.15 / 255)
    offset = 0.35 * cover * colour
    return np.asarray(grey[..., None] * factor[index] + offset[index])


def _unknown(drawing: Drawing) -> np.ndarray:
    """Return where the map cannot know, float32 [h, w] in [0, 1] with soft borders."""
    rows, columns = drawing.picture.shape[:2]
    area = Image.fromarray(_unseen((columns, rows), drawing.detection).astype(np.uint8) * 255)
    if drawing.low_information is not None:
        grid = Image.fromarray(drawing.low_information.astype(np.uint8) * 255)
        area = ImageChops.lighter(area, grid.resize((columns, rows), Image.Resampling.BILINEAR))
    soft = area.filter(ImageFilter.GaussianBlur(max(columns, rows) / 160))
    return np.asarray(soft, np.float32) / 255


@lru_cache(maxsize=1)
def _palette() -> np.ndarray:
    """Return the colour map, uint8 [256, 3]: the two arms of the colour map, without its pale
    middle (weak levels cover less instead) and its ends (too dark to be told apart)."""
    import matplotlib  # slow to import, and an archive draws no map

    arms = np.concatenate([np.linspace(0.12, 0.34, 128), np.linspace(0.66, 0.88, 128)])
    return (matplotlib.colormaps[COLOURS](arms)[:, :3] * 255).round().astype(np.uint8)


def _unseen(size: tuple[int, int], detection: Detection) -> np.ndarray:
    """Return what no view covers: bool [rows, columns]; not the seams between squares, which are
    bridged."""
    columns, rows = size
    unseen = ~covered_cells(detection, columns=columns, rows=rows)
    for axis, start, stop in seams(detection):
        zoom = columns / detection.width if axis == 1 else rows / detection.height
        np.moveaxis(unseen, axis, 0)[int(start * zoom) : math.ceil(stop * zoom) + 1] = False
    return unseen


def _draw_numbers(picture: Image.Image, places: Sequence[Place]) -> None:
    """The number of each place in a dark disc with a white edge; in place."""
    radius = max(9, max(picture.size) // 42)
    font = carried_font(round(1.35 * radius), "DejaVuSans-Bold")
    draw = ImageDraw.Draw(picture)
    for number, place in enumerate(places, 1):
        x = min(max(place.x * picture.width, radius + 2), picture.width - radius - 3)
        y = min(max(place.y * picture.height, radius + 2), picture.height - radius - 3)
        edge = max(1, radius // 8)
        disc = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(disc, fill=INK, outline="white", width=edge)
        draw.text((x, y), str(number), "white", font, anchor="mm")


def _draw_boxes(picture: Image.Image, boxes: Boxes) -> None:
    """A frame around every visible mark, dark outside and white inside; in place."""
    draw, pen = ImageDraw.Draw(picture), max(2, max(picture.size) // 300)
    for left, top, right, bottom in boxes:
        around = (
            left * picture.width,
            top * picture.height,
            right * picture.width,
            bottom * picture.height,
        )
        for colour, away in ((INK, 2 * pen), ("white", pen)):
            x0, y0, x1, y1 = (
                at + away * sign for at, sign in zip(around, (-1, -1, 1, 1), strict=True)
            )
            draw.rectangle((x0, y0, x1, y1), outline=colour, width=pen)


def _with_bar(picture: Image.Image, scale: float, beside: str) -> Image.Image:
    """Put the picture on paper, with the colour bar and lines of words below it."""
    width = max(picture.width, round(0.6 * picture.height))
    bar, size = _bar(width, scale), max(11, width // 34)
    below = picture.height + bar.height
    page = Image.new(
        "RGB",
        (width, below + (round((0.4 + 1.4 * len(beside.splitlines())) * size) if beside else 0)),
        PAPER,
    )
    page.paste(picture, ((width - picture.width) // 2, 0))
    page.paste(bar, (0, picture.height))
    if beside:
        ImageDraw.Draw(page).text(
            (size, below), beside, INK, carried_font(size), spacing=round(0.35 * size)
        )
    return page


@lru_cache(maxsize=16)
def _bar(width: int, scale: float) -> Image.Image:
    """The colour bar with its unit in words, in proportion to the picture's width: it is read when
    scaled down, too."""
    size = max(11, width // 34)
    font = carried_font(size)
    bar = Image.new("RGB", (width, round(4.6 * size)), PAPER)
    draw = ImageDraw.Draw(bar)
    margin, top, thick = size, round(1.9 * size), round(0.9 * size)
    levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    ramp = levels.resize((width - 2 * margin, thick), Image.Resampling.NEAREST)
    coloured = _colour(np.full((thick, ramp.width), PLAIN, np.float32), np.asarray(ramp))
    bar.paste(Image.fromarray(coloured.round().astype(np.uint8)), (margin, top))
    above, below = round(0.4 * size), top + thick + round(0.3 * size)
    draw.text((margin, above), "\N{LEFTWARDS ARROW} pushes towards not generated", INK, font)
    draw.text(
        (width - margin, above),
        "pushes towards generated \N{RIGHTWARDS ARROW}",
        INK,
        font,
        anchor="ra",
    )
    draw.text((margin, below), f"\N{MINUS SIGN}{scale:g}", INK, font)
    draw.text((width / 2, below), "0", INK, font, anchor="ma")
    draw.text((width - margin, below), f"+{scale:g} log-odds per patch", INK, font, anchor="ra")
    return bar


@lru_cache(maxsize=16)
def carried_font(size: int, name: str = "DejaVuSans") -> ImageFont.FreeTypeFont:
    """A font that matplotlib carries: none of the system is needed."""
    import matplotlib

    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size
    )
