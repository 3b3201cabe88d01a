"""Parts in which two aligned copies differ, by structural similarity (Wang et al., IEEE TIP 2004),
after the tones of one are laid on the other's.

A region's peak lies above what copies of training photographs reach that nobody changed
(docs/tried.md).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import label, minimum_filter, uniform_filter
from skimage.exposure import match_histograms
from skimage.metrics import structural_similarity

from causalclip.compare.align import Alignment

SOFTENING = 1.5  # px of the grid: compression's noise goes, what somebody changed stays
NEIGHBOURHOOD = 12  # px of the grid, over which dissimilarity is averaged
BORDER = 10  # px of the grid, at the edge of what both show, that are not judged
PEAK, EDGE = 0.21, 0.13  # dissimilarity that a change reaches somewhere, and everywhere
MIN_CHANGED_SHARE = 0.001  # of what both show
MAX_CHANGES = 24  # that are told one by one, the largest first
MIN_TEXTURE = 8.0  # in 1/255: the deviation of luminance, from which on there is structure
MAX_SAME = 0.1  # dissimilarity, below which both copies show the same there


@dataclass(frozen=True, slots=True)
class DifferenceMap:
    """Differences of two copies on one grid.

    Attributes:
        dissimilarity: float32 [h, w], 1 minus the mean structural similarity around a pixel, in
            [0, 2]; 0 where it is not judged.
        textured: bool [h, w], where both have structure to compare.
        inside: bool [h, w], where both show something.
    """

    dissimilarity: np.ndarray
    textured: np.ndarray
    inside: np.ndarray

    @property
    def similar_share(self) -> float:
        """The share of textured pixels that show the same in both, in [0, 1]."""
        if not self.textured.any():
            return 0.0
        return float((self.dissimilarity[self.textured] < MAX_SAME).mean())


@dataclass(frozen=True, slots=True)
class ChangedRegion:
    """A changed part on the grid.

    Attributes:
        mask: bool [h, w].
        strength: its largest dissimilarity.
    """

    mask: np.ndarray
    strength: float


def measure(aligned: Alignment) -> DifferenceMap:
    """Measure how far two aligned copies differ, pixel by pixel."""
    # 1. Where both show something
    inside = aligned.inside
    judged = minimum_filter(inside, 2 * BORDER + 1, mode="constant")
    if judged.sum() < NEIGHBOURHOOD**2:
        nothing = np.zeros(inside.shape, bool)
        return DifferenceMap(nothing.astype(np.float32), nothing, inside)

    # 2. Their dissimilarity, with the tones of either: the order changes nothing
    a, b = aligned.a, aligned.b
    ways = _dissimilarity(a, b, inside), _dissimilarity(b, a, inside)
    around = uniform_filter(np.where(inside, np.minimum(*ways), 0), NEIGHBOURHOOD)

    # 3. Where there is something to compare
    textured = judged & (_texture(a) > MIN_TEXTURE) & (_texture(b) > MIN_TEXTURE)
    return DifferenceMap(np.where(judged, around, 0), textured, inside)


def find_changes(difference: DifferenceMap) -> list[ChangedRegion]:
    """Return the changed parts, strongest first: over EDGE everywhere, and over PEAK somewhere.

    Parts whose frames touch are one.
    """
    regions, count = label(difference.dissimilarity > EDGE)
    min_pixels = max(1.0, MIN_CHANGED_SHARE * difference.inside.sum())
    changes = []
    for i in range(1, count + 1):
        mask = regions == i
        strength = float(difference.dissimilarity[mask].max())
        if strength > PEAK and mask.sum() >= min_pixels:
            changes.append(ChangedRegion(mask, strength))
    return sorted(_merge(changes), key=lambda change: -change.strength)[:MAX_CHANGES]


def _merge(changes: list[ChangedRegion]) -> list[ChangedRegion]:
    """Merge regions whose frames touch, until none do."""
    while len(changes) > 1:
        frames = np.zeros(changes[0].mask.shape, bool)
        for change in changes:
            frames[_window(change.mask, BORDER // 2)] = True
        labels, count = label(frames)
        if count == len(changes):
            break
        groups = [[c for c in changes if labels[c.mask][0] == i] for i in range(1, count + 1)]
        changes = [
            ChangedRegion(
                np.logical_or.reduce([change.mask for change in group]),
                max(change.strength for change in group),
            )
            for group in groups
        ]
    return changes


def _window(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    rows, columns = np.nonzero(mask)
    top, left = max(0, rows.min() - margin), max(0, columns.min() - margin)
    return slice(top, rows.max() + margin + 1), slice(left, columns.max() + margin + 1)


def _dissimilarity(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return 1 minus the structural similarity of a picture and another with its tones, [h, w],
    both without compression's noise."""
    toned = b.copy()
    toned[inside] = match_histograms(b[inside], a[inside], channel_axis=-1)
    soft_a, soft_b = (cv2.GaussianBlur(pixels, (0, 0), SOFTENING) for pixels in (a, toned))
    _, similarity = structural_similarity(
        soft_a, soft_b, channel_axis=2, data_range=255, gaussian_weights=True, full=True
    )
    return np.asarray(1 - similarity.mean(2))


def hull(mask: np.ndarray, to_picture: np.ndarray) -> np.ndarray:
    """Return the corners [K, 2], in pixels of a picture, of the convex hull of a region.

    Args:
        mask: bool [h, w], on the grid.
        to_picture: [3, 3], from the grid's pixels to the picture's.
    """
    rows, columns = np.nonzero(mask)
    outline = cv2.convexHull(np.stack([columns, rows], 1).astype(np.float32))
    return np.asarray(cv2.perspectiveTransform(outline.astype(np.float64), to_picture)[:, 0])


def _texture(pixels: np.ndarray) -> np.ndarray:
    """Return the deviation of luminance around each pixel, [h, w]."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), SOFTENING)
    mean = uniform_filter(grey, NEIGHBOURHOOD)
    return np.asarray(np.sqrt(np.maximum(uniform_filter(grey * grey, NEIGHBOURHOOD) - mean**2, 0)))
