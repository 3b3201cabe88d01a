"""Augmentation: training pictures are re-encoded and retouched as they may reach a detector, then
cut. Offline."""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from pillow_heif import register_heif_opener
from torch import Tensor

from causalclip.clip.views import plan_views, render
from causalclip.images.jpeg import compression
from causalclip.images.reencoding import encode, rescale
from training.detector.data import Record

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
Pixels = np.ndarray  # uint8 RGB [H, W, 3]
Retouch = Callable[[Pixels, np.random.Generator], Pixels]


def augment(
    record: Record, root: str | Path, number: int
) -> tuple[Image.Image, np.random.Generator]:
    """The record's picture after an augmentation, RGB, and the generator that goes on drawing for
    it.

    number: 0 lightly re-encoded, 1 strongly, 2 retouched and re-encoded; both classes by the same
    chances. Seeded by the record.
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
    record: Record, root: str | Path, number: int, *, size: int
) -> tuple[Tensor, np.ndarray]:
    """A square that detection sees of an augmentation, float [3, size, size] in [0, 1], and its
    compression [2]."""
    picture, rng = augment(record, root, number)
    pixels = np.asarray(picture)
    squares = plan_views(picture.width, picture.height, size=size, windows=0)
    return render(pixels, [squares[int(rng.integers(len(squares)))]], size=size)[0], compression(
        pixels
    )


def augment_to_windows(
    record: Record, root: str | Path, number: int, *, size: int, windows: int
) -> tuple[Tensor, np.ndarray]:
    """The windows that detection sees of an augmentation, float [W, 3, size, size] in [0, 1], and
    its compression [2].

    W: 0 for a picture that is hardly larger than a window.
    """
    picture, _ = augment(record, root, number)
    pixels = np.asarray(picture)
    views = plan_views(picture.width, picture.height, size=size, windows=windows)
    seen = [view for view in views if view.view_type == "window"]
    shots = render(pixels, seen, size=size) if seen else torch.zeros(0, 3, size, size)
    return shots, compression(pixels)


def open_original(
    record: Record, root: str | Path, *, most: int, rng: np.random.Generator
) -> tuple[Image.Image, bool]:
    """The record's picture, RGB and upright, and whether its file is lossless.

    most: px; a JPEG more than three times as large is decoded at reduced scale. rng: which picture
    of a sheet it is.
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
    """RGB; what is transparent stands on white."""
    if "A" not in picture.mode and picture.mode != "P":
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    white.alpha_composite(layered)
    return white.convert("RGB")


def augmentation_number(record: Record, name: Augmentation) -> int:
    """The number of an augmentation by name; a drawn one is one of the three, by the picture itself
    and SHARES."""
    if name != "drawn":
        return list(SHARES).index(name)
    lot = seed_of(record, last=True) / 2**24
    ends = np.cumsum(list(SHARES.values()))
    return min(int((lot >= ends).sum()), len(SHARES) - 1)


def drawn_augmentation(
    records: Sequence[Record], augmentations: Sequence[Augmentation]
) -> np.ndarray:
    """Which augmentation is the drawn one of each record, [N]; it is among them, or all that can be
    drawn are."""
    if "drawn" in augmentations:
        return np.full(len(records), augmentations.index("drawn"))
    place = [augmentations.index(name) for name in SHARES]
    return np.array([place[augmentation_number(record, "drawn")] for record in records])


def seed_of(record: Record, *, last: bool = False) -> int:
    """A number of the picture's own, so that an augmentation does not depend on what else is
    learned from.

    Below 2**48; last: another one, below 2**24.
    """
    own = (
        record.picture
        if _SHA256.fullmatch(record.picture)
        else hashlib.sha256(record.path.encode()).hexdigest()
    )
    return int(own[-6:] if last else own[:12], 16)


def retouch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One or two retouches; denoising, which takes seconds, is rarer than the others."""
    pixels = np.asarray(picture)
    names = [name for name in RETOUCHES if name != "less noise" or rng.random() < 0.3]
    for name in rng.permutation(names)[: rng.integers(1, 3)]:
        pixels = RETOUCHES[str(name)](pixels, rng)
    return Image.fromarray(pixels)


def shrink(picture: Image.Image, long_side: float, rng: np.random.Generator) -> Image.Image:
    """Scaled down to a long side in px, by one of the kernels of the web; a smaller picture stays
    as it is."""
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


def smooth_skin(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Edges kept, everything between them flattened, as beauty filters do."""
    radius = max(5, min(pixels.shape[:2]) // 40) | 1
    smooth = cv2.bilateralFilter(pixels, radius, float(rng.uniform(20, 60)), radius)
    return blend(smooth, pixels, float(rng.uniform(0.5, 0.9)))


def map_tones(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Contrast made equal from place to place (CLAHE), as the HDR modes of phones do."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(float(rng.uniform(1.5, 4)), (8, 8)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def enhance_detail(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Local contrast raised at all scales, as "clarity" does."""
    return cv2.detailEnhance(
        pixels, sigma_s=float(rng.uniform(5, 15)), sigma_r=float(rng.uniform(0.08, 0.2))
    )


def remove_noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Non-local means, as night modes do."""
    strength = float(rng.uniform(3, 9))
    return cv2.fastNlMeansDenoisingColored(pixels, None, strength, strength, 5, 11)


def grade(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A curve a channel, warm or cold, and more or less colour, as presets do."""
    x = pixels / 255.0
    x = x ** rng.uniform(0.75, 1.3, 3)
    x = x + rng.uniform(0.0, 0.25) * (3 * x**2 - 2 * x**3 - x)  # an S-curve
    grey = x.mean(2, keepdims=True)
    return to_pixels(grey + rng.uniform(0.6, 1.5) * (x - grey))


def sharpen(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Shrunk, enlarged and sharpened, as upscalers and old web pages do."""
    height, width = pixels.shape[:2]
    factor = float(rng.uniform(0.5, 0.8))
    small = cv2.resize(
        pixels,
        (max(1, round(width * factor)), max(1, round(height * factor))),
        None,
        0,
        0,
        cv2.INTER_AREA,
    )
    large = cv2.resize(small, (width, height), None, 0, 0, cv2.INTER_LANCZOS4).astype(float)
    return to_pixels(
        (large + rng.uniform(0.5, 1.5) * (large - cv2.GaussianBlur(large, (0, 0), 1.5))) / 255
    )


def blur_background(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Sharp in an ellipse, blurred around it, as portrait modes do."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.float32)
    centre = (int(width * rng.uniform(0.35, 0.65)), int(height * rng.uniform(0.35, 0.65)))
    axes = (
        max(1, int(width * rng.uniform(0.2, 0.4))),
        max(1, int(height * rng.uniform(0.25, 0.45))),
    )
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1.0, -1)
    size = min(height, width)
    share = cv2.GaussianBlur(mask, (0, 0), size / 25)[..., None]
    soft = cv2.GaussianBlur(pixels, (0, 0), size * float(rng.uniform(0.01, 0.03)))
    return to_pixels((share * pixels + (1 - share) * soft) / 255)


RETOUCHES: dict[str, Retouch] = {
    "smooth skin": smooth_skin,
    "mapped tones": map_tones,
    "enhanced detail": enhance_detail,
    "less noise": remove_noise,
    "colour grading": grade,
    "sharpened": sharpen,
    "blurred background": blur_background,
}


def random_retouch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """An RGB picture after one to three retouches, each by its own random strength."""
    pixels = np.asarray(picture)
    for name in rng.permutation(list(RETOUCHES))[: rng.integers(1, 4)]:
        pixels = RETOUCHES[str(name)](pixels, rng)
    return Image.fromarray(pixels)


def blend(a: Pixels, b: Pixels, share: float) -> Pixels:
    """`share` of a and the rest of b."""
    return to_pixels((share * a + (1 - share) * b) / 255)


def to_pixels(x: np.ndarray) -> Pixels:
    """[0, 1], clipped, to uint8."""
    return np.asarray((np.clip(x, 0, 1) * 255).round(), np.uint8)


def random_encoding(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One lossy round trip: mostly JPEG 50 to 95 with either chroma subsampling, sometimes WebP."""
    if rng.random() < 0.25:
        return encode(picture, "WEBP", int(rng.integers(50, 96)), method=2)
    return encode(picture, "JPEG", int(rng.integers(50, 96)), subsampling=int(rng.choice([0, 2])))


def random_augmentation(
    picture: Image.Image, rng: np.random.Generator, *, strength: float = 1.0
) -> Image.Image:
    """A random chain of them; each step happens with its own chance x strength."""
    if rng.random() < 0.4 * strength:
        picture = random_encoding(picture, rng)
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
        picture = random_encoding(picture, rng)
    return picture
