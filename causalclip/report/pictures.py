"""Small pictures for a page: numbered frames, and data URLs without metadata."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from causalclip.maps.overlay import carried_font, shrink

if TYPE_CHECKING:
    from pathlib import Path

    from causalclip.images.formats import Box

DRAWN_SIDE = 1024  # px on the long side of what is drawn, at most
# a line that shows on anything: white within a dark pink
INNER, OUTER = (255, 255, 255), (190, 24, 93)
INLINE_SIDE = 640  # px on the long side of a picture inside a page
MAX_PICTURE = 52_000  # bytes: a third more as text
QUALITIES = 85, 70, 50, 30, 10  # of WebP, the best that is small enough


def draw_boxes(pixels: np.ndarray, boxes: list[Box]) -> Image.Image:
    """Draw a numbered frame around every box of a picture, shrunk to DRAWN_SIDE.

    Args:
        pixels: uint8 RGB [H, W, 3].
        boxes: in its pixels.
    """
    height, width = pixels.shape[:2]
    zoom = min(1.0, DRAWN_SIDE / max(height, width))
    picture = Image.fromarray(shrink(pixels, side=DRAWN_SIDE))
    pen = max(2, max(picture.size) // 250)
    draw = ImageDraw.Draw(picture)
    font = carried_font(max(12, max(picture.size) // 40), "DejaVuSans-Bold")
    for place, box in enumerate(boxes, 1):
        left, top, right, bottom = (round(zoom * edge) for edge in box)
        draw.rectangle((left - pen, top - pen, right + pen, bottom + pen), outline=OUTER, width=pen)
        draw.rectangle((left, top, right, bottom), outline=INNER, width=max(1, pen // 2))
        _label(draw, (left, top), str(place), font)
    return picture


def _label(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, font: ImageFont.FreeTypeFont
) -> None:
    x, y = max(0, corner[0]), max(0, corner[1] - font.size - 6)
    left, top, right, bottom = draw.textbbox((x + 3, y), text, font)
    draw.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill=OUTER)
    draw.text((x + 3, y), text, INNER, font)


def draw_thumbnail(pixels: np.ndarray, *, side: int = INLINE_SIDE) -> str:
    """Return a data URL of a picture, uint8 RGB [H, W, 3], with at most `side` px on its long
    side."""
    return data_url(Image.fromarray(shrink(pixels, side=side)), side=side)


def file_thumbnail(path: Path, *, side: int) -> str:
    """Return a data URL of a picture's file, with at most `side` px on its long side."""
    with Image.open(path) as picture:
        return data_url(picture.convert("RGB"), side=side)


def data_url(image: Image.Image, *, side: int = INLINE_SIDE, most: int = MAX_PICTURE) -> str:
    """Return a data URL of a picture, at most `side` px long and `most` bytes large.

    The picture is shrunk in place.
    """
    image.thumbnail((side, side))
    for quality in QUALITIES:
        file = io.BytesIO()
        # in a third of the time, a sixth larger
        image.save(file, "WEBP", quality=quality, method=2)
        if file.tell() <= most:
            break
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
