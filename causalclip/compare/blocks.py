"""How much every block of two aligned copies differs, against what compression alone leaves there.

A block's difference is judged against what the same pair differs by in other blocks of like texture (most of an edited
picture is not edited), and never against less than its own copy differs by after one more compression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from causalclip.compare.alignment import Aligned
from causalclip.compare.tones import like, same_sharpness

BLOCK, STRIDE = 16, 8  # px of the grid
SHIFT = 2  # px: a block is compared at the best of all shifts up to it, so that edges a hair off do not count
BINS = 8  # of texture
QUALITIES = 95, 90, 80, 70, 60, 50, 40, 30, 20  # JPEG's, tried for the recompressed self


@dataclass(frozen=True, slots=True)
class Blocks:
    """One number a block, [rows, columns] each; block (i, j) has its middle at pixel (j, i) * STRIDE + BLOCK / 2.

    z: how far it differs beyond what is expected, in standard deviations. similarity: of its structure, -1 to 1 (the
    normalised correlation of the two luminances). textured: whether there is structure to correlate. inside: bool.
    """

    z: np.ndarray
    similarity: np.ndarray
    textured: np.ndarray
    inside: np.ndarray


@dataclass(frozen=True, slots=True)
class _Measured:
    """[K, rows, columns]: what differs, K ways; larger is more."""

    found: np.ndarray
    similarity: np.ndarray
    texture: np.ndarray


def measure(aligned: Aligned) -> Blocks:
    """Every block's difference, whichever copy's tones are laid on the other's: where one is clipped, only the other
    way round fits."""
    seen = _sampled(aligned.inside.astype(np.float32)) > 0.99
    nothing = np.zeros(seen.shape, np.float32)
    if seen.sum() < 16:
        return Blocks(nothing, nothing, nothing > 0, seen)
    both = (
        (aligned.a, like(aligned.b, aligned.a, aligned.inside)),
        (like(aligned.a, aligned.b, aligned.inside), aligned.b),
    )
    pairs = [[_lab(p) for p in same_sharpness(*pair, aligned.inside)] for pair in both]
    found = [_differences(*pair) for pair in pairs]
    self = _recompressed(aligned.a, float(np.median(found[0].found[0][seen])), seen)
    first, second = (_blocks(one, self, seen) for one in found)
    textured = np.minimum(first.textured, second.textured)
    return Blocks(np.minimum(first.z, second.z), np.maximum(first.similarity, second.similarity), textured, seen)


def _lab(pixels: Any) -> np.ndarray:
    return cv2.cvtColor((np.clip(pixels, 0, 255) / 255).astype(np.float32), cv2.COLOR_RGB2Lab)


def _blocks(pair: _Measured, self: _Measured, seen: np.ndarray) -> Blocks:
    z = np.max([_excess(f, s, pair.texture, seen) for f, s in zip(pair.found, self.found, strict=True)], 0)
    z[~seen] = 0
    return Blocks(z, pair.similarity, (pair.texture > 3) & seen, seen)


def _sampled(plane: np.ndarray) -> np.ndarray:
    """A plane's mean in every block."""
    mean = cv2.blur(plane, (BLOCK, BLOCK), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return mean[: plane.shape[0] - BLOCK + 1 : STRIDE, : plane.shape[1] - BLOCK + 1 : STRIDE]


def _differences(a: np.ndarray, b: np.ndarray) -> _Measured:
    """Of two float32 Lab pictures: luminance in detail, colour, and structure."""
    light_a, light_b = a[..., 0], cv2.GaussianBlur(b[..., 0], (0, 0), 0.7)
    light_a = cv2.GaussianBlur(light_a, (0, 0), 0.7)
    detail = np.min([_sampled(np.abs(light_a - moved)) for moved in _shifted(light_b)], 0)
    tint = np.sqrt(sum(_sampled(a[..., c] - b[..., c]) ** 2 for c in (1, 2)))
    level = np.abs(_sampled(light_a - light_b))
    texture = np.sqrt(np.maximum(_sampled(light_a**2) - _sampled(light_a) ** 2, 0))
    other = np.sqrt(np.maximum(_sampled(light_b**2) - _sampled(light_b) ** 2, 0))
    both = _sampled(light_a * light_b) - _sampled(light_a) * _sampled(light_b)
    similarity = (both + 0.5) / (texture * other + 0.5)
    return _Measured(np.stack([detail, tint, level]), similarity, np.maximum(texture, other))


def _shifted(plane: np.ndarray) -> list[np.ndarray]:
    steps = range(-SHIFT, SHIFT + 1)
    return [np.roll(plane, (y, x), (0, 1)) for y in steps for x in steps if abs(x) + abs(y) <= SHIFT]


def _recompressed(pixels: np.ndarray, target: float, seen: np.ndarray) -> _Measured:
    """A copy against itself after JPEG at the quality that leaves what these two differ by, as far as that goes."""
    best, least, lab = None, np.inf, _lab(pixels)
    for quality in QUALITIES:
        _, data = cv2.imencode(".jpg", pixels.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        again = _lab(cv2.imdecode(data, cv2.IMREAD_COLOR))
        # imencode takes the channels for blue, green, red; only chroma's share of the error is another for it.
        found = _differences(lab, again)
        off = abs(float(np.median(found.found[0][seen])) - target)
        if off > least:
            break
        best, least = found, off
    assert best is not None  # the first quality is nearer than infinity
    return best


def _excess(pair: np.ndarray, self: np.ndarray, texture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How far each block differs beyond others of like texture, and beyond its recompressed self, in deviations."""
    edges = np.quantile(texture[seen], np.linspace(0, 1, BINS + 1)[1:-1])
    bins = np.digitize(texture, edges)
    z = np.zeros(pair.shape, np.float32)
    for i in range(BINS):
        mine = (bins == i) & seen
        if mine.sum() < 4:
            continue
        (middle, width), (own, own_width) = _robust(pair[mine]), _robust(self[mine])
        z[mine] = (pair[mine] - max(middle, own)) / max(width, own_width, 0.15)
    return z


def _robust(values: np.ndarray) -> tuple[float, float]:
    """Median, and the deviation that the upper side's half width stands for: its tail is looked for."""
    low, middle = np.quantile(values, [0.16, 0.5])
    high = np.quantile(values, 0.75)
    return float(middle), float(max((high - middle) / 0.674, middle - low))
