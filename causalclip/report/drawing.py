"""Pictures for the page and the reports: numbered boxes, a comparison on one grid, an edited region, data URLs."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from causalclip.maps.overlay import carried_font, shrink

if TYPE_CHECKING:
    from causalclip.evidence.comparison import Comparison
    from causalclip.evidence.regions import Region
    from causalclip.images.formats import Box

DRAWN_SIDE = 1024  # px on the long side of what is drawn, at most
INNER, OUTER = (255, 255, 255), (190, 24, 93)  # a line that shows on anything: white within a dark pink
DARK, LIGHT = (28, 25, 23), (255, 255, 255)  # lines of both are seen on any picture
INLINE_SIDE = 640  # px on the long side of a picture inside a page
MAX_PICTURE = 52_000  # bytes: a third more as text
QUALITIES = 85, 70, 50, 30, 10  # of WebP, the best that is small enough


def draw_boxes(pixels: np.ndarray, boxes: list[Box]) -> Image.Image:
    """A picture (uint8 RGB [H, W, 3]) with a numbered frame around every box, in pixels of it; shrunk to DRAWN_SIDE."""
    height, width = pixels.shape[:2]
    zoom = min(1.0, DRAWN_SIDE / max(height, width))
    drawn = Image.fromarray(shrink(pixels, side=DRAWN_SIDE))
    pen = max(2, max(drawn.size) // 250)
    draw, font = ImageDraw.Draw(drawn), carried_font(max(12, max(drawn.size) // 40), "DejaVuSans-Bold")
    for number, box in enumerate(boxes, 1):
        left, top, right, bottom = (round(v * zoom) for v in box)
        draw.rectangle((left - pen, top - pen, right + pen, bottom + pen), outline=OUTER, width=pen)
        draw.rectangle((left, top, right, bottom), outline=INNER, width=max(1, pen // 2))
        _number(draw, (left, top), str(number), font)
    return drawn


def overlaid(found: Comparison) -> tuple[Image.Image, Image.Image] | None:
    """Both pictures as the comparison saw them, on one grid: for a slider. None without a match."""
    if found.aligned is None:
        return None
    aligned = found.aligned
    boxes = [_on_grid(change.box_a, np.linalg.inv(aligned.to_a)) for change in found.changes]
    pair = [
        np.where(aligned.inside[..., None], np.clip(p, 0, 255), 235).astype(np.uint8) for p in (aligned.a, aligned.b)
    ]
    return draw_boxes(pair[0], boxes), draw_boxes(pair[1], boxes)


def _on_grid(box: Box, to_grid: np.ndarray) -> Box:
    left, top, right, bottom = box
    import cv2

    corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64)
    to = cv2.perspectiveTransform(corners, to_grid)[0]
    (x0, y0), (x1, y1) = to.min(0).round().astype(int), to.max(0).round().astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def _number(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, font: ImageFont.FreeTypeFont) -> None:
    x, y = max(0, corner[0]), max(0, corner[1] - font.size - 6)
    left, top, right, bottom = draw.textbbox((x + 3, y), text, font)
    draw.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill=OUTER)
    draw.text((x + 3, y), text, INNER, font)


def draw_region(pixels: np.ndarray, region: Region) -> Image.Image:
    """The picture (uint8 RGB [H, W, 3]) in small with a region's outline and its box."""
    drawn = Image.fromarray(shrink(pixels, side=INLINE_SIDE))
    across, down = drawn.width / pixels.shape[1], drawn.height / pixels.shape[0]
    pen = ImageDraw.Draw(drawn)
    left, top, right, bottom = region.box
    box = (left, top), (right, top), (right, bottom), (left, bottom)
    for colour, wide in ((DARK, 2), (LIGHT, 0)):
        for ring, width in ((box, 1), *((ring, 3) for ring in region.outline)):
            line = [(x * across, y * down) for x, y in (*ring, *ring[:2])]
            pen.line(line, fill=colour, width=width + wide, joint="curve")
    return drawn


def draw_thumbnail(pixels: np.ndarray, *, side: int = INLINE_SIDE) -> str:
    """A data URL of the picture (uint8 RGB [H, W, 3]), `side` px at most, without its metadata."""
    return data_url(Image.fromarray(shrink(pixels, side=side)), side=side)


def data_url(image: Image.Image, *, side: int = INLINE_SIDE) -> str:
    """A picture inside a page, at most `side` px long and MAX_PICTURE bytes large; it is shrunk in place."""
    image.thumbnail((side, side))
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=2)  # in a third of the time, a sixth larger
        if file.tell() <= MAX_PICTURE:
            break
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
