"""What happens to pictures on their way, and changes that no answer should hang on: by name."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from causalclip.images.reencoding import REENCODINGS, encode
from training.detector.retouching import random_retouch

ASPECT = 4 / 3  # width by height: the common one
RETOUCHED = "retouched"
NETWORK = "a social network's copy"
LONG_SIDE = 1_080  # px; of such a copy, at most


def _crop_to(picture: Image.Image, aspect: float) -> Image.Image:
    """Return the largest middle part with this aspect (width by height)."""
    width, height = picture.size
    w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - w) // 2, (height - h) // 2
    return picture.crop((left, top, left + w, top + h))


def _swap_shape(picture: Image.Image) -> Image.Image:
    """Crop a square to 3:2, and everything longer to a square."""
    ratio = picture.width / picture.height
    return _crop_to(picture, 1.0 if max(ratio, 1 / ratio) > 1.2 else 1.5)


def _retouch_by_seed(picture: Image.Image) -> Image.Image:
    """Retouch a picture as training does, by a seed of the picture's own."""
    seed = [*picture.size, int(np.asarray(picture).sum())]
    return random_retouch(picture, np.random.default_rng(seed))


def _network_copy(picture: Image.Image) -> Image.Image:
    """Copy a picture as social networks store it: scaled to a long side that they show, then JPEG
    75 with halved chroma."""
    small = picture.copy()
    small.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return encode(small, "JPEG", 75, subsampling=2)


SHAPES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "all cropped to 4:3": lambda picture: _crop_to(picture, ASPECT),
    "squares to 3:2, others to squares": _swap_shape,
}
TRAVELS = REENCODINGS | {NETWORK: _network_copy}
CHANGES = TRAVELS | SHAPES | {RETOUCHED: _retouch_by_seed}
