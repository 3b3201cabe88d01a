"""How much every block of two aligned copies differs, against what compression alone leaves there,
and which changed.

A block's difference is judged against what the same pair differs by in other blocks of like texture
(most of an edited picture is not edited), and never against less than its own copy differs by after
one more compression. Before that, the tones and the sharpness of one copy are laid on the other's.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import label, maximum_filter, minimum_filter

from causalclip.examination.alignment import Alignment
from causalclip.examination.tones import match_sharpness, match_tones

BLOCK = 16  # px of the grid; blocks overlap by half
# px of the grid's short side, under which a block is half as large: it would hide a caption
SMALL_GRID = 320
# px: a block is compared at the best of all shifts up to it, so that edges a hair off do not count
SHIFT = 2
BINS = 8  # of texture
CLIPPED, DARK, BRIGHT = 0.25, 4, 251  # of a block's pixels, that are at an end of a channel
QUALITIES = 95, 90, 80, 70, 60, 50, 40, 30, 20  # JPEG's, tried for the recompressed self
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
    """One number a block, [rows, columns] each; block (i, j) has its middle at pixel
    (j + 1, i + 1) * side / 2 of the grid.

    Attributes:
        z: how far it differs beyond what is expected, in standard deviations.
        similarity: of its structure, -1 to 1 (the normalised correlation of the two luminances).
        textured: bool, whether there is structure to correlate.
        inside: bool, whether both pictures show it.
        side: of a block, in pixels of the grid.
    """

    z: np.ndarray
    similarity: np.ndarray
    textured: np.ndarray
    inside: np.ndarray
    side: int = BLOCK


@dataclass(frozen=True, slots=True)
class ChangedBlocks:
    """A changed part on the grid of blocks.

    Attributes:
        mask: bool [rows, columns].
        strength: its highest smoothed z.
        lost: strength x (1 - its mean similarity).
    """

    mask: np.ndarray
    strength: float
    lost: float


@dataclass(frozen=True, slots=True)
class _Differences:
    """What differs in every block of two planes.

    Attributes:
        measures: [2, rows, columns], luminance in detail, and colour; larger is more.
        similarity: of the structure, [rows, columns].
        texture: of the more textured one, [rows, columns].
    """

    measures: np.ndarray
    similarity: np.ndarray
    texture: np.ndarray


def measure(aligned: Alignment) -> Blocks:
    """Measure how far every block differs.

    Each copy's tones are laid on the other's, and the larger difference counts: a colour that is
    new in one copy can be led back to any other, but not the other way round. Where a copy is
    clipped, only one of the ways fits, and the smaller counts.
    """
    # 1. The blocks that both copies show
    inside = aligned.inside
    side = BLOCK if min(inside.shape) >= SMALL_GRID else BLOCK // 2
    visible = _block_means(inside.astype(np.float32), side) > 0.99
    if visible.sum() < 16:
        zero = np.zeros(visible.shape, np.float32)
        return Blocks(zero, zero, zero > 0, visible, side)

    # 2. Their differences, with either copy's tones
    tones_of_a = aligned.a, match_tones(aligned.b, aligned.a, inside)
    tones_of_b = match_tones(aligned.a, aligned.b, inside), aligned.b
    pairs = [match_sharpness(*pair, inside) for pair in (tones_of_a, tones_of_b)]
    differences = [_differences(_planes(a), _planes(b), side) for a, b in pairs]

    # 3. What is beyond compression
    typical = float(np.median(differences[0].measures[0][visible]))
    compression = _jpeg_differences(aligned.a, typical, visible, side)
    ways = [_excess(difference, compression, visible) for difference in differences]
    return Blocks(
        z=np.where(_clipped_blocks(aligned, side), np.min(ways, 0), np.max(ways, 0)),
        similarity=np.max([difference.similarity for difference in differences], 0),
        textured=visible & np.all([difference.texture > 3 for difference in differences], 0),
        inside=visible,
        side=side,
    )


def _clipped_blocks(aligned: Alignment, side: int) -> np.ndarray:
    """Return which blocks either copy has at an end of its scale."""
    ends = [
        np.any((pixels <= DARK) | (pixels >= BRIGHT), axis=2).astype(np.float32)
        for pixels in (aligned.a, aligned.b)
    ]
    return np.asarray(np.max([_block_means(end, side) for end in ends], 0) > CLIPPED)


def _planes(pixels: Any) -> np.ndarray:
    """Return CIE lightness, and Cr and Cb in hundredths of their range, float32 [h, w, 3].

    In Lab's own colours, dark blue differs by more than anything else under another gamma.
    """
    rgb = (np.clip(pixels, 0, 255) / 255).astype(np.float32)
    planes = 100 * cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[..., 0]
    return np.asarray(planes)


def _block_means(plane: np.ndarray, side: int) -> np.ndarray:
    """Return a plane's mean in every block."""
    mean = cv2.blur(plane, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return mean[: plane.shape[0] - side + 1 : side // 2, : plane.shape[1] - side + 1 : side // 2]


def _differences(a: np.ndarray, b: np.ndarray, side: int) -> _Differences:
    """Return how two pictures' planes differ in luminance, colour and structure."""
    light_a, light_b = (cv2.GaussianBlur(planes[..., 0], (0, 0), 0.7) for planes in (a, b))
    mean_a, mean_b = (_block_means(light, side) for light in (light_a, light_b))
    detail = np.min(
        [_block_means(np.abs(light_a - neighbour), side) for neighbour in _shifts(light_b)], 0
    )
    tint = np.sqrt(sum(_block_means(a[..., c] - b[..., c], side) ** 2 for c in (1, 2)))
    texture_a = np.sqrt(np.maximum(_block_means(light_a**2, side) - mean_a**2, 0))
    texture_b = np.sqrt(np.maximum(_block_means(light_b**2, side) - mean_b**2, 0))
    covariance = _block_means(light_a * light_b, side) - mean_a * mean_b
    similarity = (covariance + 0.5) / (texture_a * texture_b + 0.5)
    return _Differences(np.stack([detail, tint]), similarity, np.maximum(texture_a, texture_b))


def _shifts(plane: np.ndarray) -> list[np.ndarray]:
    """Return a plane moved by every step of at most SHIFT px."""
    steps = range(-SHIFT, SHIFT + 1)
    return [
        np.roll(plane, (y, x), (0, 1)) for y in steps for x in steps if abs(x) + abs(y) <= SHIFT
    ]


def _jpeg_differences(
    pixels: np.ndarray, typical: float, visible: np.ndarray, side: int
) -> _Differences:
    """Return how a copy differs from itself after JPEG, at the quality that leaves what two copies
    typically differ by, as far as that goes."""
    planes = _planes(pixels)
    best, least = None, np.inf
    for quality in QUALITIES:
        # imencode takes the channels for blue, green, red; only chroma's share of the error is
        # another for it.
        _, data = cv2.imencode(".jpg", pixels.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        again = _planes(cv2.imdecode(data, cv2.IMREAD_COLOR))
        differences = _differences(planes, again, side)
        distance = abs(float(np.median(differences.measures[0][visible])) - typical)
        if distance > least:
            break
        best, least = differences, distance
    assert best is not None  # the first quality is nearer than infinity
    return best


def _excess(pair: _Differences, compression: _Differences, visible: np.ndarray) -> np.ndarray:
    """Return how far each block differs beyond others of like texture, and beyond what compression
    leaves there, in deviations: in what differs farthest."""
    edges = np.quantile(pair.texture[visible], np.linspace(0, 1, BINS + 1)[1:-1])
    bins = np.digitize(pair.texture, edges)
    z = np.zeros(pair.measures.shape, np.float32)
    for excess, values, baseline in zip(z, pair.measures, compression.measures, strict=True):
        for i in range(BINS):
            members = (bins == i) & visible
            if members.sum() < 4:
                continue
            middle, width = _robust(values[members])
            own_middle, own_width = _robust(baseline[members])
            beyond = values[members] - max(middle, own_middle)
            excess[members] = beyond / max(width, own_width, 0.15)
    return np.where(visible, z.max(0), 0)


def _robust(values: np.ndarray) -> tuple[float, float]:
    """Return the median, and the deviation that the upper side's half width stands for: its tail is
    looked for."""
    low, middle = np.quantile(values, [0.16, 0.5])
    high = np.quantile(values, 0.75)
    return float(middle), float(max((high - middle) / 0.674, middle - low))


def find_changes(blocks: Blocks) -> list[ChangedBlocks]:
    """Return the changed parts, strongest first: over EDGE_Z everywhere and PEAK_Z somewhere, wide,
    or of other shape."""
    smooth = smoothed(blocks)
    foreign = (
        blocks.textured
        & (blocks.similarity < FOREIGN_BELOW)
        & minimum_filter(blocks.inside, 3, mode="constant")
    )
    groups, count = label((smooth > EDGE_Z) | foreign, np.ones((3, 3)))
    total = blocks.inside.sum()
    parts = []
    for i in range(1, count + 1):
        mask = groups == i
        if mask.sum() < max(2, MIN_CHANGE * total):
            continue
        peak = float(smooth[mask].max())
        part = ChangedBlocks(mask, peak, peak * (1 - float(blocks.similarity[mask].mean())))
        least = WIDE_Z if mask.sum() >= WIDE_SHARE * total else PEAK_Z
        if peak > least or part.lost > LOST_Z or foreign[mask].sum() >= FOREIGN_BLOCKS:
            parts.append(part)
    return sorted(parts, key=lambda part: -part.strength)[:MAX_CHANGES]


def smoothed(blocks: Blocks) -> np.ndarray:
    """Return z where a block and its neighbours agree: the mean of the weaker half of each 2 x 2
    (opening), edges left out."""
    inside = minimum_filter(blocks.inside, 3, mode="constant")
    opening = maximum_filter(minimum_filter(blocks.z, 2), 2, origin=-1)
    return np.where(inside, opening, 0)


def hull(mask: np.ndarray, to_picture: np.ndarray, side: int = BLOCK) -> np.ndarray:
    """Return the corners [K, 2], in pixels of a picture, of the convex hull of a part's blocks.

    Args:
        mask: bool [rows, columns], the part's blocks.
        to_picture: [3, 3], from the grid's pixels to the picture's.
        side: of a block, in pixels of the grid.
    """
    rows, columns = np.nonzero(mask)
    corners = [
        np.stack([columns * side / 2 + dx, rows * side / 2 + dy], 1)
        for dx in (side / 4, side * 3 / 4)
        for dy in (side / 4, side * 3 / 4)
    ]
    outline = cv2.convexHull(np.concatenate(corners).astype(np.float32))
    return np.asarray(cv2.perspectiveTransform(outline.astype(np.float64), to_picture)[:, 0])
