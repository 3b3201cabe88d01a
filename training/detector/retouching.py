"""Retouches that phones and apps make, by their name: each by its own random strength."""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

Pixels = np.ndarray  # uint8 RGB [H, W, 3]
Retouch = Callable[[Pixels, np.random.Generator], Pixels]


def retouch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return an RGB picture after one or two retouches.

    Denoising, which takes seconds, is rarer than the others.
    """
    pixels = np.asarray(picture)
    names = [name for name in RETOUCHES if name != "less noise" or rng.random() < 0.3]
    for name in rng.permutation(names)[: rng.integers(1, 3)]:
        pixels = RETOUCHES[str(name)](pixels, rng)
    return Image.fromarray(pixels)


def random_retouch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return an RGB picture after one to three retouches, each by its own random strength."""
    pixels = np.asarray(picture)
    for name in rng.permutation(list(RETOUCHES))[: rng.integers(1, 4)]:
        pixels = RETOUCHES[str(name)](pixels, rng)
    return Image.fromarray(pixels)


def _smooth_skin(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Flatten everything between the edges, as beauty filters do."""
    radius = max(5, min(pixels.shape[:2]) // 40) | 1
    smooth = cv2.bilateralFilter(pixels, radius, float(rng.uniform(20, 60)), radius)
    return _blend(smooth, pixels, float(rng.uniform(0.5, 0.9)))


def _map_tones(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Make contrast equal from place to place (CLAHE), as the HDR modes of phones do."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(float(rng.uniform(1.5, 4)), (8, 8)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def _enhance_detail(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Raise local contrast at all scales, as "clarity" does."""
    return cv2.detailEnhance(
        pixels, sigma_s=float(rng.uniform(5, 15)), sigma_r=float(rng.uniform(0.08, 0.2))
    )


def _remove_noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Remove noise by non-local means, as night modes do."""
    strength = float(rng.uniform(3, 9))
    return cv2.fastNlMeansDenoisingColored(pixels, None, strength, strength, 5, 11)


def grade(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Bend each channel by a curve, warm or cold, and change saturation, as presets do."""
    x = pixels / 255.0
    x = x ** rng.uniform(0.75, 1.3, 3)
    x = x + rng.uniform(0.0, 0.25) * (3 * x**2 - 2 * x**3 - x)  # an S-curve
    grey = x.mean(2, keepdims=True)
    return _to_pixels(grey + rng.uniform(0.6, 1.5) * (x - grey))


def sharpen(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Shrink, enlarge and sharpen, as upscalers and old web pages do."""
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
    return _to_pixels(
        (large + rng.uniform(0.5, 1.5) * (large - cv2.GaussianBlur(large, (0, 0), 1.5))) / 255
    )


def _blur_background(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Blur all but an ellipse, as portrait modes do."""
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
    return _to_pixels((share * pixels + (1 - share) * soft) / 255)


def _blend(a: Pixels, b: Pixels, share: float) -> Pixels:
    """Return `share` of `a` and the rest of `b`."""
    return _to_pixels((share * a + (1 - share) * b) / 255)


def _to_pixels(x: np.ndarray) -> Pixels:
    return np.asarray((np.clip(x, 0, 1) * 255).round(), np.uint8)


RETOUCHES: dict[str, Retouch] = {
    "smooth skin": _smooth_skin,
    "mapped tones": _map_tones,
    "enhanced detail": _enhance_detail,
    "less noise": _remove_noise,
    "colour grading": grade,
    "sharpened": sharpen,
    "blurred background": _blur_background,
}
