"""How much every block of two aligned copies differs, against what compression alone leaves there,
and which changed.

A block's difference is judged against what the same pair differs by in other blocks of like texture
(most of an edited picture is not edited), and never against less than its own copy differs by after
one more compression.

Before that, the tones and the sharpness of one copy are laid on the other's: what a filter, a site
or a screen changes everywhere. Colours by a polynomial of second degree (gamma, exposure, white
balance, saturation), fitted by iteratively reweighted least squares with Cauchy's weights, so that
what differs anyway has little say; then what it leaves, a curve a channel, by medians; then a
vignette.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import label, maximum_filter, minimum_filter

from causalclip.examination.alignment import Alignment

BLOCK = 16  # px of the grid; blocks overlap by half
# px of the grid's short side, under which a block is half as large: it would hide a caption
SMALL_GRID = 320
# px: a block is compared at the best of all shifts up to it, so that edges a hair off do not count
SHIFT = 2
BINS = 8  # of texture
CLIPPED, DARK, BRIGHT = 0.25, 4, 251  # of a block's pixels, that are at an end of a channel
QUALITIES = 95, 90, 80, 70, 60, 50, 40, 30, 20  # JPEG's, tried for the recompressed self
# Tones
SAMPLE = 6000  # pixels that teach the colours
ROUNDS = 8
LOOSE = 4.0  # in 1/255: where Cauchy's weight is a half
CURVE_BINS = 12  # of a channel's curve
MIN_SAMPLE = 40  # pixels of the sample that a bin needs
BLURS = 0.0, 0.6, 0.9, 1.3, 1.8, 2.5  # px, tried on either copy
# Changes
# z that a change reaches somewhere, and everywhere. These numbers were set on copies of training
# pictures that nobody changed, by owner; docs/tried.md says how.
PEAK_Z, EDGE_Z = 27.0, 6.0
# z times the share of its structure that a change takes away: a part of a copy that nobody changed
# differs in tone or sharpness and keeps its structure.
LOST_Z = 1.5
# Less z is enough for a part that is so large a share of the picture: where compression alone
# differs, it does so in specks.
WIDE_SHARE, WIDE_Z = 0.011, 14.0
# Where a textured block shows something else altogether, however coarse both copies are: its
# structure's correlation is below FOREIGN_BELOW in so many blocks that touch.
FOREIGN_BELOW, FOREIGN_BLOCKS = 0.65, 3
MIN_CHANGE = 0.001  # of the picture
MAX_CHANGES = 24  # changes that are told one by one, the largest first


@dataclass(frozen=True, slots=True)
class Blocks:
    """One number a block, [rows, columns] each; block (i, j) has its middle at pixel (j + 1, i + 1)
    * side / 2.

    z: how far it differs beyond what is expected, in standard deviations. similarity: of its
    structure, -1 to 1 (the normalised correlation of the two luminances). textured: whether there
    is structure to correlate. inside: bool.
    side: of a block, in pixels of the grid.
    """

    z: np.ndarray
    similarity: np.ndarray
    textured: np.ndarray
    inside: np.ndarray
    side: int = BLOCK


@dataclass(frozen=True, slots=True)
class _BlockMeasures:
    """[K, rows, columns]: what differs, K ways; larger is more."""

    found: np.ndarray
    similarity: np.ndarray
    texture: np.ndarray


def measure(aligned: Alignment) -> Blocks:
    """Every block's difference. Each copy's tones are laid on the other's, and the larger
    difference counts: a colour that is new in one copy can be led back to any other, but not the
    other way round. Where a copy is clipped, only one of the ways fits, and the smaller counts."""
    side = BLOCK if min(aligned.inside.shape) >= SMALL_GRID else BLOCK // 2
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
    ways = [_excess(one, self, seen) for one in found]
    z = np.where(_clipped(aligned, side), np.min(ways, 0), np.max(ways, 0))
    textured = seen & np.all([one.texture > 3 for one in found], 0)
    return Blocks(z, np.max([one.similarity for one in found], 0), textured, seen, side)


def _clipped(aligned: Alignment, side: int) -> np.ndarray:
    """Which blocks either copy has at an end of its scale."""
    ends = [
        np.any((p <= DARK) | (p >= BRIGHT), axis=2).astype(np.float32)
        for p in (aligned.a, aligned.b)
    ]
    return np.asarray(np.max([_sampled(end, side) for end in ends], 0) > CLIPPED)


def _planes(pixels: Any) -> np.ndarray:
    """float32 [h, w, 3]: CIE lightness, and Cr and Cb in hundredths of their range. In Lab's own
    colours, dark blue differs by more than anything else under another gamma."""
    rgb = (np.clip(pixels, 0, 255) / 255).astype(np.float32)
    planes = 100 * cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[..., 0]
    return np.asarray(planes)


def _sampled(plane: np.ndarray, side: int) -> np.ndarray:
    """A plane's mean in every block."""
    mean = cv2.blur(plane, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return mean[: plane.shape[0] - side + 1 : side // 2, : plane.shape[1] - side + 1 : side // 2]


def _differences(a: np.ndarray, b: np.ndarray, side: int) -> _BlockMeasures:
    """Of two pictures' planes: luminance in detail, colour, and structure."""
    light_a, light_b = (cv2.GaussianBlur(planes[..., 0], (0, 0), 0.7) for planes in (a, b))
    mean_a, mean_b = (_sampled(light, side) for light in (light_a, light_b))
    detail = np.min([_sampled(np.abs(light_a - moved), side) for moved in _shifted(light_b)], 0)
    tint = np.sqrt(sum(_sampled(a[..., c] - b[..., c], side) ** 2 for c in (1, 2)))
    texture = np.sqrt(np.maximum(_sampled(light_a**2, side) - mean_a**2, 0))
    other = np.sqrt(np.maximum(_sampled(light_b**2, side) - mean_b**2, 0))
    both = _sampled(light_a * light_b, side) - mean_a * mean_b
    similarity = (both + 0.5) / (texture * other + 0.5)
    return _BlockMeasures(np.stack([detail, tint]), similarity, np.maximum(texture, other))


def _shifted(plane: np.ndarray) -> list[np.ndarray]:
    steps = range(-SHIFT, SHIFT + 1)
    return [
        np.roll(plane, (y, x), (0, 1)) for y in steps for x in steps if abs(x) + abs(y) <= SHIFT
    ]


def _recompressed(pixels: np.ndarray, target: float, seen: np.ndarray, side: int) -> _BlockMeasures:
    """A copy against itself after JPEG at the quality that leaves what these two differ by, as far
    as that goes."""
    best, least, planes = None, np.inf, _planes(pixels)
    for quality in QUALITIES:
        _, data = cv2.imencode(".jpg", pixels.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        again = _planes(cv2.imdecode(data, cv2.IMREAD_COLOR))
        # imencode takes the channels for blue, green, red; only chroma's share of the error is
        # another for it.
        found = _differences(planes, again, side)
        off = abs(float(np.median(found.found[0][seen])) - target)
        if off > least:
            break
        best, least = found, off
    assert best is not None  # the first quality is nearer than infinity
    return best


def _excess(pair: _BlockMeasures, self: _BlockMeasures, seen: np.ndarray) -> np.ndarray:
    """How far each block differs beyond others of like texture, and beyond its recompressed self,
    in deviations: in what differs farthest."""
    edges = np.quantile(pair.texture[seen], np.linspace(0, 1, BINS + 1)[1:-1])
    bins = np.digitize(pair.texture, edges)
    z = np.zeros(pair.found.shape, np.float32)
    for excess, found, recompressed in zip(z, pair.found, self.found, strict=True):
        for i in range(BINS):
            mine = (bins == i) & seen
            if mine.sum() >= 4:
                (middle, width), (own, own_width) = (
                    _robust(found[mine]),
                    _robust(recompressed[mine]),
                )
                excess[mine] = (found[mine] - max(middle, own)) / max(width, own_width, 0.15)
    return np.where(seen, z.max(0), 0)


def _robust(values: np.ndarray) -> tuple[float, float]:
    """Median, and the deviation that the upper side's half width stands for: its tail is looked
    for."""
    low, middle = np.quantile(values, [0.16, 0.5])
    high = np.quantile(values, 0.75)
    return float(middle), float(max((high - middle) / 0.674, middle - low))


def like(of: np.ndarray, to: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """One copy with the other's tones: float32 [h, w, 3], 0 to 255; inside: bool [h, w], where both
    show something."""
    y, x = _sample(inside)
    # pixels of edges say nothing of tones
    soft_of, soft_to = (cv2.blur(p, (5, 5)) for p in (of, to))
    weights, rows = _polynomial(soft_of[y, x], soft_to[y, x])
    toned = _terms(of.reshape(-1, 3)) @ weights
    toned = np.clip(toned, 0, 255).reshape(of.shape).astype(np.float32)
    seen, target = np.clip(_terms(soft_of[y, x]) @ weights, 0, 255), soft_to[y, x]
    toned = np.stack([_curve(toned[..., c], seen[:, c], target[:, c], rows) for c in range(3)], 2)
    return np.clip(toned * _vignette(toned, to, inside)[..., None], 0, 255)


def same_sharpness(
    a: np.ndarray, b: np.ndarray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The sharper copy blurred as the other is: the blur, of either, that leaves the least
    difference."""
    planes = [
        cv2.cvtColor(p.astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (a, b)
    ]
    trials = [(sigma, side) for sigma in BLURS for side in (0, 1) if sigma or not side]
    left = []
    for sigma, side in trials:
        tried = [_blur(p, sigma) if side == i else p for i, p in enumerate(planes)]
        left.append(float(np.minimum(np.abs(tried[0] - tried[1]), 12)[inside].mean()))
    sigma, side = trials[int(np.argmin(left))]
    return (_blur(a, sigma), b) if side == 0 else (a, _blur(b, sigma))


def _sample(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of pixels all over, the same for the same picture."""
    found = np.flatnonzero(inside)
    chosen = found[np.random.default_rng(0).integers(0, len(found), min(SAMPLE, len(found)))]
    return np.unravel_index(chosen, inside.shape)  # type: ignore[return-value]


def _terms(colours: np.ndarray) -> np.ndarray:
    """[N, 3] -> [N, 10]."""
    r, g, b = (colours / 255).T
    return np.stack([np.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, g * b, r * b], 1).astype(
        np.float32
    )


def _polynomial(of: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients [10, 3], and the weight of every pixel of the sample in the end, [N]."""
    terms, weight = _terms(of).astype(np.float64), np.ones(len(of))
    ridge = 1e-4 * len(of) * np.eye(10)
    found = np.zeros((10, 3))
    for _ in range(ROUNDS):
        weighted = terms * weight[:, None]
        found = np.linalg.solve(terms.T @ weighted + ridge, weighted.T @ to)
        off = np.abs(terms @ found - to).mean(1)
        scale = max(LOOSE, 2 * float(np.median(off)))
        weight = 1 / (1 + (off / scale) ** 2)
    return found.astype(np.float32), weight


def _curve(
    channel: np.ndarray, seen: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """A channel without what its colours' fit leaves at each level: medians of BINS levels,
    straight between."""
    levels = np.linspace(0, 255, CURVE_BINS + 1)
    middles, offsets = [], []
    for low, high in pairwise(levels):
        mine = (seen >= low) & (seen <= high) & (weight > 0.1)
        if mine.sum() >= MIN_SAMPLE:
            middles.append(float(seen[mine].mean()))
            offsets.append(float(np.median(target[mine] - seen[mine])))
    return channel + np.interp(channel, middles, offsets).astype(np.float32) if middles else channel


def _vignette(of: np.ndarray, to: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A smooth gain, quadratic in the place, where the two are near each other already: float32 [h,
    w]."""
    h, w = inside.shape
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)
    bright, wanted = of.mean(2), to.mean(2)
    near = inside & (bright > 16) & (bright < 245) & (np.abs(wanted - bright) < 0.3 * bright)
    use = np.flatnonzero(near.ravel())[::37]
    if len(use) < 60:
        return np.ones((h, w), np.float32)
    rows, level, aim = terms.reshape(-1, 6)[use], bright.ravel()[use], wanted.ravel()[use]
    weight = np.ones(len(use))
    for _ in range(4):
        found, *_ = np.linalg.lstsq(rows * (level * weight)[:, None], aim * weight, rcond=None)
        off = np.abs(rows @ found * level - aim)
        weight = 1 / (1 + (off / max(LOOSE, 2 * float(np.median(off)))) ** 2)
    return np.clip(terms @ found.astype(np.float32), 0.7, 1.4)


def _blur(plane: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), sigma) if sigma else plane


@dataclass(frozen=True, slots=True)
class ChangedBlocks:
    """A changed part on the grid of blocks.

    mask: bool [rows, columns]. strength: its highest smoothed z. lost: strength x (1 - its mean
    similarity).
    """

    mask: np.ndarray
    strength: float
    lost: float


def find_changes(blocks: Blocks) -> list[ChangedBlocks]:
    """The changed parts, strongest first: over EDGE_Z everywhere and PEAK_Z somewhere, wide, or of
    other shape."""
    smooth = smoothed(blocks)
    foreign = (
        blocks.textured
        & (blocks.similarity < FOREIGN_BELOW)
        & minimum_filter(blocks.inside, 3, mode="constant")
    )
    groups, count = label((smooth > EDGE_Z) | foreign, np.ones((3, 3)))
    cells = blocks.inside.sum()
    found = []
    for i in range(1, count + 1):
        mask = groups == i
        peak = float(smooth[mask].max())
        part = ChangedBlocks(mask, peak, peak * (1 - float(blocks.similarity[mask].mean())))
        needed = WIDE_Z if mask.sum() >= WIDE_SHARE * cells else PEAK_Z
        changed = (
            part.strength > needed or part.lost > LOST_Z or foreign[mask].sum() >= FOREIGN_BLOCKS
        )
        if changed and mask.sum() >= max(2, MIN_CHANGE * cells):
            found.append(part)
    return sorted(found, key=lambda part: -part.strength)[:MAX_CHANGES]


def smoothed(blocks: Blocks) -> np.ndarray:
    """z where a block and its neighbours agree: the mean of the weaker half of each 2 x 2
    (opening), edges left out."""
    inside = minimum_filter(blocks.inside, 3, mode="constant")
    opened = maximum_filter(minimum_filter(blocks.z, 2), 2, origin=-1)
    return np.where(inside, opened, 0)


def hull(mask: np.ndarray, to_picture: np.ndarray, side: int = BLOCK) -> np.ndarray:
    """The corners [K, 2], in pixels of a picture, of the convex hull of a part's blocks; side: a
    block's, in pixels."""
    rows, columns = np.nonzero(mask)
    corners = [
        np.stack([columns * side / 2 + dx, rows * side / 2 + dy], 1)
        for dx in (side / 4, side * 3 / 4)
        for dy in (side / 4, side * 3 / 4)
    ]
    hull = cv2.convexHull(np.concatenate(corners).astype(np.float32))
    return np.asarray(cv2.perspectiveTransform(hull.astype(np.float64), to_picture)[:, 0])
