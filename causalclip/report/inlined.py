"""A picture inside a page: a data address of bounded length."""

import base64
import io

from PIL import Image

SIDE = 640  # px on the long side
MAX_PICTURE = 52_000  # bytes: a third more as text
QUALITIES = 85, 70, 50, 30, 10  # of WebP, the best that is small enough


def address(image: Image.Image, *, side: int = SIDE) -> str:
    """A picture as a data address, at most `side` px long and MAX_PICTURE bytes large; it is shrunk in place."""
    image.thumbnail((side, side))
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality)
        if file.tell() <= MAX_PICTURE:
            break
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
