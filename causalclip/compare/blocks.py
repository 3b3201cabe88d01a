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

BLOCK = 16  # px of the grid; blocks overlap by half
SMALL = 320  # px of the grid's short side, under which a block is half as large: it would hide a caption
SHIFT = 2  # px: a block is compared at the best of all shifts up to it, so that edges a hair off do not count
BINS = 8  # of texture
CLIPPED, DARK, BRIGHT = 0.25, 4, 251  # of a block's pixels, that are at an end of a channel
QUALITIES = 95, 90, 80, 70, 60, 50, 40, 30, 20  # JPEG's, tried for the recompressed self


@dataclass(frozen=True, slots=True)
class Blocks:
    """One number a block, [rows, columns] each; block (i, j) has its middle at pixel (j + 1, i + 1) * side / 2.

    z: how far it differs beyond what is expected, in standard deviations. similarity: of its structure, -1 to 1 (the
    normalised correlation of the two luminances). textured: whether there is structure to correlate. inside: bool.
    side: of a block, in pixels of the grid.
    """

    z: np.ndarray
    similarity: np.ndarray
    textured: np.ndarray
    inside: np.ndarray
    side: int = BLOCK


@dataclass(frozen=True, slots=True)
class _Measured:
    """[K, rows, columns]: what differs, K ways; larger is more."""

    found: np.ndarray
    similarity: np.ndarray
    texture: np.ndarray


def measure(aligned: Aligned) -> Blocks:
    """Every block's difference. Each copy's tones are laid on the other's, and the larger difference counts: a colour
    that is new in one copy can be led back to any other, but not the other way round. Where a copy is clipped, only one
    of the ways fits, and the smaller counts."""
    side = BLOCK if min(aligned.inside.shape) >= SMALL else BLOCK // 2
    seen = _sampled(aligned.inside.astype(np.float32), side) > 0.99
    nothing = np.zeros(seen.shape, np.float32)
    if seen.sum() < 16:
        return Blocks(nothing, nothing, nothing > 0, seen, side)
    both = (
        (aligned.a, like(aligned.b, aligned.a, aligned.inside)),
        (like(aligned.a, aligned.b, aligned.inside), aligned.b),
    )
    pairs = [same_sharpness(*pair, aligned.inside) for pair in both]
    found = [_differences(_planes(a), _planes(b), side) for a, b in pairs]
    self = _recompressed(aligned.a, float(np.median(found[0].found[0][seen])), seen, side)
    ways = [_excesses(one, self, seen) for one in found]
    z = np.where(_clipped(aligned, side), np.min(ways, 0), np.max(ways, 0))
    textured = seen & np.all([one.texture > 3 for one in found], 0)
    return Blocks(z, np.max([one.similarity for one in found], 0), textured, seen, side)


def _clipped(aligned: Aligned, side: int) -> np.ndarray:
    """Which blocks either copy has at an end of its scale."""
    ends = [np.any((p <= DARK) | (p >= BRIGHT), axis=2).astype(np.float32) for p in (aligned.a, aligned.b)]
    return np.asarray(np.max([_sampled(end, side) for end in ends], 0) > CLIPPED)


def _planes(pixels: Any) -> np.ndarray:
    """float32 [h, w, 3]: CIE lightness, and Cr and Cb in hundredths of their range. In Lab's own colours, dark blue
    differs by more than anything else under another gamma."""
    rgb = (np.clip(pixels, 0, 255) / 255).astype(np.float32)
    planes = 100 * cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[..., 0]
    return np.asarray(planes)


def _excesses(pair: _Measured, self: _Measured, seen: np.ndarray) -> np.ndarray:
    """The farthest of all that differs."""
    z = np.max([_excess(f, s, pair.texture, seen) for f, s in zip(pair.found, self.found, strict=True)], 0)
    return np.where(seen, z, 0)


def _sampled(plane: np.ndarray, side: int) -> np.ndarray:
    """A plane's mean in every block."""
    mean = cv2.blur(plane, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return mean[: plane.shape[0] - side + 1 : side // 2, : plane.shape[1] - side + 1 : side // 2]


def _differences(a: np.ndarray, b: np.ndarray, side: int) -> _Measured:
    """Of two pictures' planes: luminance in detail, colour, and structure."""
    light_a, light_b = (cv2.GaussianBlur(planes[..., 0], (0, 0), 0.7) for planes in (a, b))
    mean_a, mean_b = (_sampled(light, side) for light in (light_a, light_b))
    detail = np.min([_sampled(np.abs(light_a - moved), side) for moved in _shifted(light_b)], 0)
    tint = np.sqrt(sum(_sampled(a[..., c] - b[..., c], side) ** 2 for c in (1, 2)))
    texture = np.sqrt(np.maximum(_sampled(light_a**2, side) - mean_a**2, 0))
    other = np.sqrt(np.maximum(_sampled(light_b**2, side) - mean_b**2, 0))
    both = _sampled(light_a * light_b, side) - mean_a * mean_b
    similarity = (both + 0.5) / (texture * other + 0.5)
    return _Measured(np.stack([detail, tint]), similarity, np.maximum(texture, other))


def _shifted(plane: np.ndarray) -> list[np.ndarray]:
    steps = range(-SHIFT, SHIFT + 1)
    return [np.roll(plane, (y, x), (0, 1)) for y in steps for x in steps if abs(x) + abs(y) <= SHIFT]


def _recompressed(pixels: np.ndarray, target: float, seen: np.ndarray, side: int) -> _Measured:
    """A copy against itself after JPEG at the quality that leaves what these two differ by, as far as that goes."""
    best, least, planes = None, np.inf, _planes(pixels)
    for quality in QUALITIES:
        _, data = cv2.imencode(".jpg", pixels.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        again = _planes(cv2.imdecode(data, cv2.IMREAD_COLOR))
        # imencode takes the channels for blue, green, red; only chroma's share of the error is another for it.
        found = _differences(planes, again, side)
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
