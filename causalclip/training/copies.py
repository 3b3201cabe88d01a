"""Copies of a training picture as it may reach a detector: delivered at full size, then seen in squares. Offline."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener
from torch import Tensor

from causalclip.clip.views import plan_views, render
from causalclip.pictures.delivery import KERNELS, encode, random_delivery
from causalclip.quality import compression
from causalclip.training.data import Record
from causalclip.training.retouching import RETOUCHES

register_heif_opener()  # phones write HEIC
LOSSLESS = "PNG", "TIFF", "BMP"
LONG_SIDES = (640, 2048), (512, 1600), (512, 1024)  # px; of a lightly and a much delivered copy, and of a retouched one
MUCH, RETOUCHED = 1, 2  # the numbers of those copies
_SHA256 = re.compile("[0-9a-f]{64}")
Copy = Literal["light", "much", "retouched", "drawn"]
# Of the pictures, where one copy of each has to do.
SHARES: dict[Copy, float] = {"light": 0.5, "much": 0.35, "retouched": 0.15}
HISTORY = 0.6  # how often a lossless file first gets a lossy past, as most photographs have one


def copy_picture(record: Record, root: str | Path, copy: int) -> tuple[Image.Image, np.random.Generator]:
    """The record's picture after the delivery of a copy, RGB, and the generator that goes on drawing for it.

    copy: 0 lightly delivered, 1 much, 2 retouched and delivered; both classes by the same chances. Seeded by the
    record.
    """
    rng = np.random.default_rng([copy, seed_of(record)])
    low, high = LONG_SIDES[copy]
    target = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    picture, lossless = open_original(record, root, most=int(target), rng=rng)
    if copy == RETOUCHED:
        picture = retouch(shrink(picture, 1024, rng), rng)
    elif lossless and rng.random() < HISTORY:
        picture = lossy(shrink(picture, 2048, rng), 80, 95, rng)
    picture = shrink(picture, target, rng)
    if copy == MUCH:
        picture = random_delivery(picture, rng, strength=1.0)
        return (lossy(picture, 60, 90, rng) if rng.random() < 0.7 else picture), rng
    return lossy(picture, 70 if copy == RETOUCHED else 80, 95, rng), rng


def copy_view(record: Record, root: str | Path, copy: int, *, size: int) -> tuple[Tensor, np.ndarray]:
    """One of the squares that detection sees of a copy, float [3, size, size] in [0, 1], and its compression [2]."""
    picture, rng = copy_picture(record, root, copy)
    pixels = np.asarray(picture)
    squares = plan_views(picture.width, picture.height, size=size, windows=0)
    return render(pixels, [squares[int(rng.integers(len(squares)))]], size=size)[0], compression(pixels)


def copy_windows(record: Record, root: str | Path, copy: int, *, size: int, windows: int) -> tuple[Tensor, np.ndarray]:
    """The windows that detection sees of a copy, float [W, 3, size, size] in [0, 1], and its compression [2].

    W: 0 for a picture that is hardly larger than a window.
    """
    picture, _ = copy_picture(record, root, copy)
    pixels = np.asarray(picture)
    views = plan_views(picture.width, picture.height, size=size, windows=windows)
    seen = [view for view in views if view.kind == "window"]
    shots = render(pixels, seen, size=size) if seen else torch.zeros(0, 3, size, size)
    return shots, compression(pixels)


def open_original(record: Record, root: str | Path, *, most: int, rng: np.random.Generator) -> tuple[Image.Image, bool]:
    """The record's picture, RGB and upright, and whether its file is lossless.

    most: px; a JPEG more than three times as large is decoded at reduced scale. rng: which picture of a sheet it is.
    """
    with Image.open(Path(root) / record.path) as file:
        lossless = file.format in LOSSLESS
        if file.format == "JPEG" and not record.crop and not record.grid and max(file.size) > 3 * most:
            file.draft("RGB", (2 * most, 2 * most))
        picture = on_white(ImageOps.exif_transpose(file))
    if record.crop:
        left, top, right, bottom = map(int, record.crop.split(","))
        picture = picture.crop((left, top, right, bottom))
    if record.grid:
        columns, rows = map(int, record.grid.split("x"))
        i, j = int(rng.integers(columns)), int(rng.integers(rows))
        w, h = picture.width / columns, picture.height / rows
        picture = picture.crop((round(i * w), round(j * h), round((i + 1) * w), round((j + 1) * h)))
    return picture, lossless


def on_white(picture: Image.Image) -> Image.Image:
    """RGB; what is transparent stands on white."""
    if "A" not in picture.mode and picture.mode != "P":
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    white.alpha_composite(layered)
    return white.convert("RGB")


def copy_number(record: Record, copy: Copy) -> int:
    """The number of a copy by name; a drawn one is one of the three, by the picture itself and SHARES."""
    if copy != "drawn":
        return list(SHARES).index(copy)
    lot = seed_of(record, last=True) / 2**24
    ends = np.cumsum(list(SHARES.values()))
    return min(int((lot >= ends).sum()), len(SHARES) - 1)


def drawn_of(records: Sequence[Record], copies: Sequence[Copy]) -> np.ndarray:
    """Which of the copies is the drawn one of each record, [N]; it is among them, or all that can be drawn are."""
    if "drawn" in copies:
        return np.full(len(records), copies.index("drawn"))
    place = [copies.index(name) for name in SHARES]
    return np.array([place[copy_number(record, "drawn")] for record in records])


def seed_of(record: Record, *, last: bool = False) -> int:
    """A number of the picture's own, so that a copy does not depend on what else is learned from.

    Below 2**48; last: another one, below 2**24.
    """
    own = record.picture if _SHA256.fullmatch(record.picture) else hashlib.sha256(record.path.encode()).hexdigest()
    return int(own[-6:] if last else own[:12], 16)


def retouch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One or two retouches; denoising, which takes seconds, is rarer than the others."""
    pixels = np.asarray(picture)
    names = [name for name in RETOUCHES if name != "less noise" or rng.random() < 0.3]
    for name in rng.permutation(names)[: rng.integers(1, 3)]:
        pixels = RETOUCHES[str(name)](pixels, rng)
    return Image.fromarray(pixels)


def shrink(picture: Image.Image, long_side: float, rng: np.random.Generator) -> Image.Image:
    """Scaled down to a long side in px, by one of the kernels of the web; a smaller picture stays as it is."""
    factor = long_side / max(picture.size)
    if factor >= 1:
        return picture
    size = max(64, round(picture.width * factor)), max(64, round(picture.height * factor))
    return picture.resize(size, KERNELS[rng.integers(5)], reducing_gap=3.0)


def lossy(picture: Image.Image, low: int, high: int, rng: np.random.Generator) -> Image.Image:
    """JPEG, or WebP in one of five cases, of a quality from low to high."""
    quality = int(rng.integers(low, high + 1))
    if rng.random() < 0.2:
        return encode(picture, "WEBP", quality, method=2)
    return encode(picture, "JPEG", quality, subsampling=int(rng.choice([0, 2, 2])))
