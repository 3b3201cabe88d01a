"""Copies of pictures as they travel, and edits by hand, all drawn by a seed: what a comparison has to tell apart."""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from causalclip.pictures.delivery import KERNELS, encode

Pixels = np.ndarray
SHARES = 0.005, 0.15  # of the picture that an edit changes
FAINT = 6.0  # in 1/255: an edit that changes its region by less on average is counted apart


def saved(pixels: Pixels, rng: np.random.Generator, *, low: int = 50, high: int = 96) -> Pixels:
    """Saved once more as JPEG or WebP of a random quality."""
    picture, quality = Image.fromarray(np.ascontiguousarray(pixels)), int(rng.integers(low, high))
    if rng.random() < 0.2:
        return np.asarray(encode(picture, "WEBP", quality, method=2))
    return np.asarray(encode(picture, "JPEG", quality, subsampling=int(rng.choice([0, 2]))))


def toned(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Another gamma, exposure, white balance or saturation, sometimes a vignette; all mild."""
    x = pixels.astype(np.float32) / 255
    gain = rng.uniform(0.9, 1.1, 3) if rng.random() < 0.5 else rng.uniform(0.9, 1.1)
    x = np.clip(x ** rng.uniform(0.85, 1.18) * gain, 0, 1)
    if rng.random() < 0.5:
        grey = x.mean(2, keepdims=True)
        x = grey + (x - grey) * rng.uniform(0.8, 1.2)
    if rng.random() < 0.25:
        y, across = np.mgrid[-1 : 1 : x.shape[0] * 1j, -1 : 1 : x.shape[1] * 1j]
        x = x * (1 - rng.uniform(0, 0.3) * (y**2 + across**2) / 2)[..., None]
    return np.asarray((np.clip(x, 0, 1) * 255).round(), np.uint8)


def copied(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """What another site shows: cropped, toned, mirrored, scaled, each by chance, and saved once or twice."""
    if rng.random() < 0.5:
        h, w = pixels.shape[:2]
        (left, right), (top, bottom) = rng.uniform(0, 0.15, 2) * w, rng.uniform(0, 0.15, 2) * h
        pixels = pixels[int(top) : h - int(bottom), int(left) : w - int(right)]
    if rng.random() < 0.5:
        pixels = toned(pixels, rng)
    if rng.random() < 0.15:
        pixels = pixels[:, ::-1]
    if rng.random() < 0.7:
        factor, kernel = rng.uniform(0.4, 1.1), KERNELS[rng.integers(4)]
        size = [max(64, round(side * factor)) for side in pixels.shape[1::-1]]
        pixels = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((size[0], size[1]), kernel))
    pixels = saved(pixels, rng)
    return saved(pixels, rng) if rng.random() < 0.3 else pixels


def region(height: int, width: int, rng: np.random.Generator) -> Pixels:
    """An ellipse or a rectangle somewhere: bool [height, width]."""
    area = np.exp(rng.uniform(*np.log(SHARES))) * height * width
    tall = min(height * 0.9, np.sqrt(area * np.exp(rng.uniform(-0.6, 0.6))))
    wide = min(width * 0.9, area / tall)
    y, x = rng.uniform(tall / 2, height - tall / 2), rng.uniform(wide / 2, width - wide / 2)
    mask = np.zeros((height, width), np.uint8)
    if rng.random() < 0.6:
        cv2.ellipse(mask, (int(x), int(y)), (max(2, int(wide * 0.55)), max(2, int(tall * 0.55))), 0, 0, 360, 1, -1)
    else:
        mask[int(y - tall / 2) : int(y + tall / 2), int(x - wide / 2) : int(x + wide / 2)] = 1
    return mask.astype(bool)


def _pasted(pixels: Pixels, other: Pixels, mask: Pixels, rng: np.random.Generator) -> Pixels:
    return cv2.resize(other, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)


def _removed(pixels: Pixels, other: Pixels, mask: Pixels, rng: np.random.Generator) -> Pixels:
    """Filled from around it, at a small size, as its own texture is not needed to see that it is gone."""
    zoom = min(1.0, 300 / max(pixels.shape))
    small = cv2.resize(pixels, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    hole = cv2.resize(mask.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    filled = cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA)
    return cv2.resize(filled, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _moved(pixels: Pixels, other: Pixels, mask: Pixels, rng: np.random.Generator) -> Pixels:
    return np.roll(pixels, [int(rng.uniform(0.2, 0.8) * side) for side in pixels.shape[:2]], (0, 1))


def _pixelated(pixels: Pixels, other: Pixels, mask: Pixels, rng: np.random.Generator) -> Pixels:
    cell = max(6, int(min(pixels.shape[:2]) * rng.uniform(0.02, 0.05)))
    small = cv2.resize(pixels, (pixels.shape[1] // cell, pixels.shape[0] // cell), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def _recoloured(pixels: Pixels, other: Pixels, mask: Pixels, rng: np.random.Generator) -> Pixels:
    hue = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).astype(int)
    hue[..., 0] = (hue[..., 0] + int(rng.integers(25, 155))) % 180
    return cv2.cvtColor(hue.astype(np.uint8), cv2.COLOR_HSV2RGB)


def _written_on(pixels: Pixels, other: Pixels, mask: Pixels, rng: np.random.Generator) -> Pixels:
    drawn = pixels.copy()
    rows, columns = np.nonzero(mask)
    size = max(0.4, min(pixels.shape[:2]) / 400 * rng.uniform(0.7, 1.5))
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    at = int(columns.min()), int(rows.mean())
    cv2.putText(drawn, "BREAKING NEWS", at, cv2.FONT_HERSHEY_DUPLEX, size, colour, max(1, int(2 * size)))
    return drawn


Edit = Callable[[Pixels, Pixels, Pixels, np.random.Generator], Pixels]
EDITS: dict[str, Edit] = {
    "another picture pasted in": _pasted,
    "something removed": _removed,
    "something moved": _moved,
    "text written on": _written_on,
    "pixelated": _pixelated,
    "recoloured": _recoloured,
}


def edited(pixels: Pixels, other: Pixels, kind: str, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """A picture with one region changed, and where it really changed: (uint8 [H, W, 3], bool [H, W])."""
    mask = region(pixels.shape[0], pixels.shape[1], rng)
    new = EDITS[kind](pixels, other, mask, rng)
    if kind == "text written on":
        mask = (new != pixels).any(2)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.2)[..., None]
    return np.asarray((soft * new + (1 - soft) * pixels).round(), np.uint8), mask


def strength(before: Pixels, after: Pixels, mask: Pixels) -> float:
    """How far a region changed on average, in 1/255."""
    return float(np.abs(after.astype(np.float32) - before).mean(2)[mask].mean()) if mask.any() else 0.0
