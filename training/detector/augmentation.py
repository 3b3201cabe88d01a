"""Augmentation: training pictures are re-encoded and retouched as they may reach a detector, then
cut."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from pillow_heif import register_heif_opener
from torch import Tensor

from causalclip.clip.views import MAX_SQUARES, plan_views, render
from causalclip.images.jpeg import compression
from causalclip.images.reencoding import encode, rescale
from training.detector.data import Record
from training.detector.retouching import retouch

register_heif_opener()  # phones write HEIC
LOSSLESS = "PNG", "TIFF", "BMP"
LONG_SIDES = (640, 2048), (512, 1600), (512, 1024)  # px, from and to, of each augmentation
MUCH, RETOUCHED = 1, 2  # the numbers of those augmentations
_SHA256 = re.compile("[0-9a-f]{64}")
Augmentation = Literal["light", "much", "retouched", "drawn"]
# Of the pictures, where one augmentation of each has to do.
SHARES: dict[Augmentation, float] = {"light": 0.5, "much": 0.35, "retouched": 0.15}
KERNELS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
    Image.Resampling.NEAREST,
)
HISTORY = 0.6  # how often a lossless file first gets a lossy past, as most photographs have one


def augment(
    record: Record, root: str | Path, number: int
) -> tuple[Image.Image, np.random.Generator]:
    """Return the record's picture after an augmentation, RGB, and the generator that goes on
    drawing for it.

    The generator is seeded by the record; both classes have the same chances.

    Args:
        number: 0 lightly re-encoded, 1 strongly, 2 retouched and re-encoded.
    """
    rng = np.random.default_rng([number, seed_of(record)])
    low, high = LONG_SIDES[number]
    target = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    picture, lossless = open_original(record, root, most=int(target), rng=rng)
    if number == RETOUCHED:
        picture = retouch(shrink(picture, 1024, rng), rng)
    elif lossless and rng.random() < HISTORY:
        picture = lossy(shrink(picture, 2048, rng), 80, 95, rng)
    picture = shrink(picture, target, rng)
    if number == MUCH:
        picture = random_augmentation(picture, rng, strength=1.0)
        return (lossy(picture, 60, 90, rng) if rng.random() < 0.7 else picture), rng
    return lossy(picture, 70 if number == RETOUCHED else 80, 95, rng), rng


def augment_to_square(
    record: Record, root: str | Path, number: int, *, size: int, squares: int = MAX_SQUARES
) -> tuple[Tensor, np.ndarray]:
    """Return one of the squares that detection sees of an augmentation, float [3, size, size] in
    [0, 1], and its compression [2].

    squares: that detection sees, at most.
    """
    picture, rng = augment(record, root, number)
    pixels = np.asarray(picture)
    views = plan_views(picture.width, picture.height, size=size, windows=0, squares=squares)
    square = views[int(rng.integers(len(views)))]
    return render(pixels, [square], size=size)[0], compression(pixels)


def augment_to_windows(
    record: Record, root: str | Path, number: int, *, size: int, windows: int
) -> tuple[Tensor, np.ndarray]:
    """Return the windows that detection sees of an augmentation, float [W, 3, size, size] in
    [0, 1], and its compression [2].

    W is 0 for a picture that is hardly larger than a window.
    """
    picture, _rng = augment(record, root, number)
    pixels = np.asarray(picture)
    views = plan_views(picture.width, picture.height, size=size, windows=windows)
    plan = [view for view in views if view.view_type == "window"]
    shots = render(pixels, plan, size=size) if plan else torch.zeros(0, 3, size, size)
    return shots, compression(pixels)


def open_original(
    record: Record, root: str | Path, *, most: int, rng: np.random.Generator
) -> tuple[Image.Image, bool]:
    """Return the record's picture, RGB and upright, and whether its file is lossless.

    Args:
        most: px of the long side; a JPEG more than three times as large is decoded at reduced
            scale.
        rng: draws which picture of a sheet it is.
    """
    with Image.open(Path(root) / record.path) as file:
        lossless = file.format in LOSSLESS
        if (
            file.format == "JPEG"
            and not record.crop
            and not record.grid
            and max(file.size) > 3 * most
        ):
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
    """Return the picture in RGB, with white behind what is transparent."""
    if "A" not in picture.mode and picture.mode != "P":
        return picture.convert("RGB")
    foreground = picture.convert("RGBA")
    white = Image.new("RGBA", foreground.size, "white")
    white.alpha_composite(foreground)
    return white.convert("RGB")


def augmentation_number(record: Record, name: Augmentation) -> int:
    """Return the number of an augmentation by name; "drawn" is one of the three, by the picture
    itself and SHARES."""
    if name != "drawn":
        return list(SHARES).index(name)
    lot = seed_of(record, last=True) / 2**24
    ends = np.cumsum(list(SHARES.values()))
    return min(int((lot >= ends).sum()), len(SHARES) - 1)


def drawn_augmentation(
    records: Sequence[Record], augmentations: Sequence[Augmentation]
) -> np.ndarray:
    """Return the place in `augmentations` of each record's drawn one, [N].

    Either "drawn" is in `augmentations`, or all that can be drawn are.
    """
    if "drawn" in augmentations:
        return np.full(len(records), augmentations.index("drawn"))
    place = [augmentations.index(name) for name in SHARES]
    return np.array([place[augmentation_number(record, "drawn")] for record in records])


def seed_of(record: Record, *, last: bool = False) -> int:
    """Return a number of the picture's own, below 2**48, so that an augmentation does not depend on
    what else is learned from.

    Args:
        last: return another one, below 2**24.
    """
    own = (
        record.picture
        if _SHA256.fullmatch(record.picture)
        else hashlib.sha256(record.path.encode()).hexdigest()
    )
    return int(own[-6:] if last else own[:12], 16)


def shrink(picture: Image.Image, long_side: float, rng: np.random.Generator) -> Image.Image:
    """Scale a picture down to a long side in px, by one of the kernels of the web; a smaller one
    stays as it is."""
    factor = long_side / max(picture.size)
    if factor >= 1:
        return picture
    size = max(64, round(picture.width * factor)), max(64, round(picture.height * factor))
    return picture.resize(size, KERNELS[rng.integers(5)], reducing_gap=3.0)


def lossy(picture: Image.Image, low: int, high: int, rng: np.random.Generator) -> Image.Image:
    """Encode a picture as JPEG, or as WebP in one of five cases, with a quality from low to high;
    return it decoded."""
    quality = int(rng.integers(low, high + 1))
    if rng.random() < 0.2:
        return encode(picture, "WEBP", quality, method=2)
    return encode(picture, "JPEG", quality, subsampling=int(rng.choice([0, 2, 2])))


def _random_encoding(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Encode and decode a picture: mostly JPEG 50 to 95 with either chroma subsampling, sometimes
    WebP."""
    if rng.random() < 0.25:
        return encode(picture, "WEBP", int(rng.integers(50, 96)), method=2)
    return encode(picture, "JPEG", int(rng.integers(50, 96)), subsampling=int(rng.choice([0, 2])))


def random_augmentation(
    picture: Image.Image, rng: np.random.Generator, *, strength: float = 1.0
) -> Image.Image:
    """Take a picture through a random chain of changes; each happens with its own chance times
    `strength`."""
    if rng.random() < 0.4 * strength:
        picture = _random_encoding(picture, rng)
    if rng.random() < 0.4 * strength:
        kernel = KERNELS[rng.integers(len(KERNELS))]
        factor = float(np.exp(rng.uniform(np.log(0.5), np.log(1.3))))
        smaller = rescale(picture, factor, kernel)
        # Back to the old size half of the time: what a site's own scaling does to a picture that is
        # then shown larger.
        picture = (
            smaller.resize(picture.size, KERNELS[rng.integers(5)])
            if rng.random() < 0.5
            else smaller
        )
    if rng.random() < 0.1 * strength:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.2))))
    if rng.random() < 0.1 * strength:
        noise = rng.normal(0, rng.uniform(1, 5), (picture.height, picture.width, 1))
        picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
    if rng.random() < 0.6 * strength:
        picture = _random_encoding(picture, rng)
    return picture
