"""Re-encoding, rescaling and cropping, as on a picture's way: named ones for tables, random chains for training."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Transform = Callable[[Image.Image], Image.Image]
KERNELS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
    Image.Resampling.NEAREST,
)


def encode(picture: Image.Image, codec: str, quality: int, **options: int) -> Image.Image:
    """RGB -> the same picture after a lossy round trip through `codec` ("JPEG" or "WEBP")."""
    buffer = io.BytesIO()
    picture.save(buffer, codec, quality=quality, **options)
    return Image.open(buffer).convert("RGB")


def rescale(picture: Image.Image, factor: float, kernel: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    """RGB scaled by `factor`, no side below 32 px."""
    size = (max(32, round(picture.width * factor)), max(32, round(picture.height * factor)))
    return picture.resize(size, kernel)


def centre_crop(picture: Image.Image, share: float) -> Image.Image:
    """The central `share` of each side."""
    w, h = round(picture.width * share), round(picture.height * share)
    left, top = (picture.width - w) // 2, (picture.height - h) // 2
    return picture.crop((left, top, left + w, top + h))


# The rows of the robustness table and of the stability panel.
REENCODINGS: dict[str, Transform] = {
    "as it is": lambda p: p,
    "JPEG 90": lambda p: encode(p, "JPEG", 90),
    "JPEG 70": lambda p: encode(p, "JPEG", 70),
    "JPEG 50": lambda p: encode(p, "JPEG", 50),
    "WebP 80": lambda p: encode(p, "WEBP", 80),
    "0.75x": lambda p: rescale(p, 0.75),
    "0.5x": lambda p: rescale(p, 0.5),
    "blur 1 px": lambda p: p.filter(ImageFilter.GaussianBlur(1)),
    "crop 75 %": lambda p: centre_crop(p, 0.75),
    "shown at another size": lambda p: rescale(p, 0.8, Image.Resampling.BILINEAR),  # on a screen, without loss
}


def random_encoding(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One lossy round trip: mostly JPEG 50 to 95 with either chroma subsampling, sometimes WebP."""
    if rng.random() < 0.25:
        return encode(picture, "WEBP", int(rng.integers(50, 96)), method=2)
    return encode(picture, "JPEG", int(rng.integers(50, 96)), subsampling=int(rng.choice([0, 2])))


def random_augmentation(picture: Image.Image, rng: np.random.Generator, *, strength: float = 1.0) -> Image.Image:
    """A random chain of them; each step happens with its own chance x strength."""
    if rng.random() < 0.4 * strength:
        picture = random_encoding(picture, rng)
    if rng.random() < 0.4 * strength:
        kernel = KERNELS[rng.integers(len(KERNELS))]
        factor = float(np.exp(rng.uniform(np.log(0.5), np.log(1.3))))
        smaller = rescale(picture, factor, kernel)
        # Back to the old size half of the time: what a site's own scaling does to a picture that is then shown larger.
        picture = smaller.resize(picture.size, KERNELS[rng.integers(5)]) if rng.random() < 0.5 else smaller
    if rng.random() < 0.1 * strength:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.2))))
    if rng.random() < 0.1 * strength:
        noise = rng.normal(0, rng.uniform(1, 5), (picture.height, picture.width, 1))
        picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
    if rng.random() < 0.6 * strength:
        picture = random_encoding(picture, rng)
    return picture
