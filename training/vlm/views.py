"""The augmented views of a training picture, as CLIP is to see them."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

VIEWS = 6


@dataclass(frozen=True, slots=True)
class View:
    """A crop of the picture (left, top, right, bottom as fractions of its sides), then perhaps
    mirrored."""

    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    flip: bool = False


def plan_views(name: str, *, count: int = VIEWS, seed: int = 0) -> list[View]:
    """Return the views of the picture `name`: whole, whole mirrored, then mild crops, every other
    one mirrored."""
    rng = random.Random(f"{seed}:{name}")
    views = [View(), View(flip=True)]
    for i in range(count - 2):
        width, height = rng.uniform(0.75, 1.0), rng.uniform(0.75, 1.0)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        views.append(View((left, top, left + width, top + height), flip=i % 2 == 1))
    return views[:count]


def read_pixels(path: Path) -> Image.Image:
    """Read a picture file as RGB, upright."""
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def render_view(picture: Image.Image, view: View, *, size: int = 224) -> Tensor:
    """Render one view as float [3, size, size] in [0, 1], by the same resampling as
    `clip_features`."""
    left, top, right, bottom = view.box
    w, h = picture.size
    crop = picture.crop((round(left * w), round(top * h), round(right * w), round(bottom * h)))
    pixels = torch.from_numpy(np.array(crop)).permute(2, 0, 1).float()[None] / 255
    pixels = F.interpolate(
        pixels, (size, size), mode="bicubic", antialias=True, align_corners=False
    ).clamp(0, 1)[0]
    return pixels.flip(-1) if view.flip else pixels


def read_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture file as it is seen, without decoding it."""
    with Image.open(path) as picture:
        width, height = picture.size
        is_turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (height, width) if is_turned else (width, height)
