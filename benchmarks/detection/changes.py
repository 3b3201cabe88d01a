"""What is done to test pictures before they are judged: the deliveries of method.md, other shapes, retouching."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from causalclip.pictures.delivery import DELIVERIES, encode
from causalclip.training.retouching import random_retouch

AS_IT_IS = "as it is"
ASPECT = 4 / 3  # the common one


def crop_to(picture: Image.Image, aspect: float) -> Image.Image:
    """The largest middle part with this aspect (width by height)."""
    width, height = picture.size
    w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - w) // 2, (height - h) // 2
    return picture.crop((left, top, left + w, top + h))


def swap_shape(picture: Image.Image) -> Image.Image:
    """Squares become 3:2, everything longer becomes a square."""
    ratio = picture.width / picture.height
    return crop_to(picture, 1.0 if max(ratio, 1 / ratio) > 1.2 else 1.5)


SHAPES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "all cropped to 4:3": lambda p: crop_to(p, ASPECT),
    "squares to 3:2, others to squares": swap_shape,
}
RETOUCHED = "retouched"


def retouch(picture: Image.Image) -> Image.Image:
    """As causalclip.training.retouching does, by a seed of the picture's own."""
    return random_retouch(picture, np.random.default_rng([*picture.size, int(np.asarray(picture).sum())]))


NETWORK = "a social network's copy"
LONG_SIDE = 1_080  # px; of such a copy, at most


def network_copy(picture: Image.Image) -> Image.Image:
    """As social networks store it: scaled to a long side that they show, then JPEG 75 with halved chroma."""
    small = picture.copy()
    small.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return encode(small, "JPEG", 75, subsampling=2)


TRAVELS = DELIVERIES | {NETWORK: network_copy}
WITH_AIM = "JPEG 50", "WebP 80", "0.5x", NETWORK  # what AUC must hardly lose by
CHANGES = TRAVELS | SHAPES | {RETOUCHED: retouch}
TABLES = {"travel": tuple(TRAVELS), "shapes": (AS_IT_IS, *SHAPES), "retouched": (AS_IT_IS, RETOUCHED)}
