"""A signed map as a layer over its picture: one fixed scale for all pictures, no colour where there
is no evidence.

Composed by Pillow and NumPy from matplotlib's colours: a Figure costs more than the whole budget of
a map (60 ms).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from causalclip.maps.attribution import (
    Which,
    bridge_seams,
    canvas_size,
    covered_cells,
    picture_map,
    seams,
    unlocalised_share,
)
from causalclip.maps.low_information import low_information

if TYPE_CHECKING:
    from causalclip.detection import Detection

# log-odds per patch at the ends of the colour map: most (0.9) of what pictures show, smooth, is
# inside
SCALE = 0.015
COLOURS = "PuOr_r"  # diverging, told apart with any colour vision: purple below 0, orange above
# on the long side of a map patch by patch, and of a smooth one, which needs fewer
CELLS, SMOOTH = 512, 128
DRAWN_SIDES = 1024, 512  # the drawn picture's long side at most and at least, in pixels
OPACITY = 0.6  # of the strongest colour: the picture stays to be seen
STRONG = 0.5  # of the scale, from which a place has a line around it
LINE = 200  # alpha of that line
STRIPED, VEILED = 130, 56  # alpha of the stripes where a map cannot know, and between them
PAPER, INK = (250, 250, 249), (28, 25, 23)
DARK, LIGHT = (64, 64, 64), (245, 245, 245)  # the stripes: on bright places, on dark ones


Boxes = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """What drawing a map needs, small enough to keep for a session.

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


def draw_layer(
    drawing: Drawing,
    which: Which = "causal",
    *,
    opacity: float = OPACITY,
    smooth: bool = True,
    scale: float = SCALE,
    fade: bool = True,
) -> Image.Image:
    """The map alone, to be laid over its picture: RGBA, as large as `drawing.picture`.

    How much a colour covers follows the evidence: nothing where there is none, `opacity` from half
    of the scale on. A thin line, dark beside light, goes around the strong places of a smooth map,
    so that orange is seen on a fire.

    Args:
        which: "causal" or "non_causal"; both on the same scale.
        opacity: of the strongest colour, in [0, 1].
        smooth: averaged over the neighbourhood, or patch by patch.
        scale: log-odds per patch at the ends of the colour map; the same for every picture.
        fade: let all that is drawn pale where much of the score is tied to no place, so that no map
            shows more than it has.
    """
    detection = drawing.detection
    rows, columns = drawing.picture.shape[:2]
    levels = picture_map(
        detection, which, unit="patch", smooth=smooth, side=SMOOTH if smooth else CELLS
    )
    levels = bridge_seams(levels, detection)
    index = Image.fromarray(np.clip(levels * (127.5 / scale) + 127.5, 0, 255).astype(np.uint8))
    index = index.resize(
        (columns, rows), Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    )
    colour = index.copy()
    colour.putpalette(_palette().tobytes())
    layer = colour.convert("RGB")
    # a root: a tenth that has a place is seen
    strength = math.sqrt(1 - unlocalised_share(detection)) if fade else 1.0
    layer.putalpha(index.point(_alpha(round(opacity * strength, 3))))
    _hatch(layer, drawing, strength)
    if smooth:
        _outline(layer, index, strength)
    return layer


def draw_map(
    drawing: Drawing,
    which: Which = "causal",
    *,
    frame: bool = True,
    bar: bool = True,
    beside: str = "",
    scale: float = SCALE,
    **options: Any,
) -> Image.Image:
    """The map over its picture, with boxes around its visible marks: an RGB picture.

    Args:
        frame: mark the corners of the windows.
        bar: draw a colour bar below, for a picture that stands alone; without it, it is as large as
            `drawing.picture`.
        beside: lines of words below the bar, such as causalclip.maps.captions.caption.
        scale, options: of draw_layer.
    """
    over = Image.fromarray(drawing.picture)
    layer = draw_layer(drawing, which, scale=scale, **options)
    over.paste(layer, mask=layer)
    if frame:
        _mark_windows(over, drawing.detection)
    _draw_boxes(over, drawing.boxes)
    return _with_bar(over, scale, beside) if bar else over


@lru_cache(maxsize=1)
def _palette() -> np.ndarray:
    """Return the colour map, uint8 [256, 3]: the two arms of the colour map, without its pale
    middle (weak levels are transparent instead) and its ends (too dark to be told apart)."""
    import matplotlib  # slow to import, and an archive draws no map

    arms = np.concatenate([np.linspace(0.12, 0.34, 128), np.linspace(0.66, 0.88, 128)])
    return (matplotlib.colormaps[COLOURS](arms)[:, :3] * 255).round().astype(np.uint8)


@lru_cache(maxsize=32)
def _alpha(opacity: float) -> list[int]:
    """Return how much of the colour covers the picture, by level: none at 0, `opacity` from half of
    the scale on."""
    strength = np.abs(np.arange(256) - 127.5) / 127.5
    return [round(255 * opacity * min(1.0, 2 * s)) for s in strength]


def _outline(layer: Image.Image, index: Image.Image, strength: float) -> None:
    """A line around the places from STRONG of the scale on, dark with a light core; in place.

    index: levels as grey values, 0 to 255 for both ends of the scale. strength: of the line, in [0,
    1].
    """
    strong = np.abs(np.asarray(index, np.float32) - 127.5) >= STRONG * 127.5
    contours, _hierarchy = cv2.findContours(
        strong.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    pen = max(1, max(layer.size) // 500)
    lines = np.array(layer)
    for colour, width in ((INK, 3 * pen), (LIGHT, pen)):
        cv2.drawContours(lines, contours, -1, (*colour, round(LINE * strength)), width)
    border = np.zeros_like(strong)  # a place that the picture's edge cuts off has no line there
    border[2 * pen : -2 * pen, 2 * pen : -2 * pen] = True
    layer.paste(Image.fromarray(np.where(border[..., None], lines, np.asarray(layer))))


def _hatch(layer: Image.Image, drawing: Drawing, strength: float) -> None:
    """Draw thin stripes without colour where the map cannot know, and where no view was; in place.

    strength: of the stripes, in [0, 1].
    """
    area = _unseen(layer.size, drawing.detection)
    if drawing.low_information is not None:
        grid = Image.fromarray(drawing.low_information.astype(np.uint8) * 255)
        area |= np.asarray(grid.resize(layer.size, Image.Resampling.NEAREST)) > 0
    if not area.any():
        return
    y, x = np.ogrid[: layer.height, : layer.width]
    period = max(6, max(layer.size) // 96)
    stripes = (x + y) % period < max(1, period // 5)
    around = Image.fromarray(drawing.picture).convert("L").resize((32, 32), Image.Resampling.BOX)
    dark = np.asarray(around.resize(layer.size, Image.Resampling.BILINEAR)) < 128
    for colour, there in ((LIGHT, area & dark), (DARK, area & ~dark)):
        layer.paste((*colour, round(VEILED * strength)), mask=Image.fromarray(there))
        layer.paste((*colour, round(STRIPED * strength)), mask=Image.fromarray(there & stripes))


def _unseen(size: tuple[int, int], detection: Detection) -> np.ndarray:
    """Return what no view covers: bool [rows, columns]; not the seams between squares, which are
    bridged."""
    columns, rows = size
    unseen = ~covered_cells(detection, columns=columns, rows=rows)
    for axis, start, stop in seams(detection):
        zoom = columns / detection.width if axis == 1 else rows / detection.height
        np.moveaxis(unseen, axis, 0)[int(start * zoom) : math.ceil(stop * zoom) + 1] = False
    return unseen


def _mark_windows(picture: Image.Image, detection: Detection) -> None:
    """The corners of every window, white beside black so that they show on anything; in place."""
    draw = ImageDraw.Draw(picture)
    pen = max(1, max(picture.size) // 400)
    zoom_x, zoom_y = picture.width / detection.width, picture.height / detection.height
    for left, top, right, bottom in (
        view.box for view in detection.views if view.view_type == "window"
    ):
        arm_x, arm_y = (right - left) * zoom_x / 7, (bottom - top) * zoom_y / 7
        sides = ((left, 1), (right, -1)), ((top, 1), (bottom, -1))  # and the way inwards
        corners = [(x * zoom_x, y * zoom_y, dx, dy) for x, dx in sides[0] for y, dy in sides[1]]
        for colour, inwards in ((INK, 0), ("white", pen)):
            for x, y, dx, dy in corners:
                at = x + dx * inwards, y + dy * inwards
                draw.line(
                    [(x + dx * arm_x, at[1]), at, (at[0], y + dy * arm_y)], fill=colour, width=pen
                )


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
    colour = ramp.copy()
    colour.putpalette(_palette().tobytes())
    ground = Image.new("RGB", ramp.size, (176, 176, 176))
    bar.paste(
        Image.composite(colour.convert("RGB"), ground, ramp.point(_alpha(1.0))), (margin, top)
    )
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
