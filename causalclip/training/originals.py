"""A training picture as it is opened: the part of the file that is used, RGB, on white. Offline."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from causalclip.training.data import Record

LOSSLESS = "PNG", "TIFF", "BMP"


def open_original(record: Record, root: str | Path, *, most: int, rng: np.random.Generator) -> tuple[Image.Image, bool]:
    """The record's picture, RGB and upright, and whether its file is lossless.

    most: px; a JPEG more than three times as large is decoded at reduced scale. rng: which picture of a sheet it is.
    """
    with Image.open(Path(root) / record.path) as file:
        lossless = file.format in LOSSLESS
        if file.format == "JPEG" and not record.crop and not record.grid and max(file.size) > 3 * most:
            file.draft("RGB", (2 * most, 2 * most))
        picture = _on_white(ImageOps.exif_transpose(file))
    if record.crop:
        left, top, right, bottom = map(int, record.crop.split(","))
        picture = picture.crop((left, top, right, bottom))
    if record.grid:
        columns, rows = map(int, record.grid.split("x"))
        i, j = int(rng.integers(columns)), int(rng.integers(rows))
        w, h = picture.width / columns, picture.height / rows
        picture = picture.crop((round(i * w), round(j * h), round((i + 1) * w), round((j + 1) * h)))
    return picture, lossless


def _on_white(picture: Image.Image) -> Image.Image:
    if "A" not in picture.mode and picture.mode != "P":
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    white.alpha_composite(layered)
    return white.convert("RGB")
