"""Changes that others make to a picture before it is seen: re-saving, scaling, crops, blur."""

import io
from collections.abc import Callable

from PIL import Image, ImageFilter

Transform = Callable[[Image.Image], Image.Image]

# The rows of the robustness table and of the stability panel.
REENCODINGS: dict[str, Transform] = {
    "as it is": lambda picture: picture,
    "JPEG 90": lambda picture: encode(picture, "JPEG", 90),
    "JPEG 70": lambda picture: encode(picture, "JPEG", 70),
    "JPEG 50": lambda picture: encode(picture, "JPEG", 50),
    "WebP 80": lambda picture: encode(picture, "WEBP", 80),
    "0.75x": lambda picture: rescale(picture, 0.75),
    "0.5x": lambda picture: rescale(picture, 0.5),
    "blur 1 px": lambda picture: picture.filter(ImageFilter.GaussianBlur(1)),
    "crop 75 %": lambda picture: _centre_crop(picture, 0.75),
    # on a screen, without loss
    "shown at another size": lambda picture: rescale(picture, 0.8, Image.Resampling.BILINEAR),
}


def encode(picture: Image.Image, codec: str, quality: int, **options: int) -> Image.Image:
    """Save an RGB picture with loss and read it again. codec: "JPEG" or "WEBP"."""
    buffer = io.BytesIO()
    picture.save(buffer, codec, quality=quality, **options)
    return Image.open(buffer).convert("RGB")


def rescale(
    picture: Image.Image, factor: float, kernel: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    """Scale an RGB picture by a factor, with no side below 32 px."""
    size = max(32, round(picture.width * factor)), max(32, round(picture.height * factor))
    return picture.resize(size, kernel)


def _centre_crop(picture: Image.Image, share: float) -> Image.Image:
    width, height = round(picture.width * share), round(picture.height * share)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
