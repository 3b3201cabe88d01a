"""Letters that were written over a picture: captions, subtitles, stamps; by classical means, and by no model.

Letters are pieces of one light or one dark colour, alike in height and colour, side by side on a line. What nature puts
in rows, such as windows and heads, is seldom of one colour to within a few levels.
"""

from __future__ import annotations

import cv2
import numpy as np

from causalclip.maps.overlay import shrink

WORK = 800  # px on the long side of what is searched
LEVELS = 215, 160, 40, 90  # of luminance: light letters reach one of the first two, dark ones stay below the others
HEIGHT, WIDTH = (6, 100), (1, 240)  # px at WORK of a letter; letters that touch are one piece
FILLED = 0.2, 0.95  # of a letter's box
EVEN = 20.0  # levels that a letter's own spread is at most
ALIKE = 10.0  # levels that neighbours' means are apart at most
TALLER, SHIFTED, APART = 2.2, 0.6, 1.2  # of neighbours: height against height, their feet and the gap in heights
LETTERS = 5  # in a line at least
STRAIGHT = 2.5  # heights of a letter that a line is high at most
ONE, ALIKE_INK = 12, 0.6  # levels around the ink within which a letter is of one colour, and of how much of it
AROUND = 0.35  # of a letter's height, by which a line reaches beyond its letters
CONTRAST = 60  # levels between a line's ink and what is beside it
MOST = 1500  # pieces that are looked at; a picture with more of them is all texture


def lettering(pixels: np.ndarray, *, rows: int, columns: int) -> np.ndarray:
    """Which cells of a grid over a picture (uint8 RGB [H, W, 3]) are under a line of letters: bool [rows, columns]."""
    grey = cv2.cvtColor(shrink(pixels, side=WORK), cv2.COLOR_RGB2GRAY)
    lines = np.zeros(grey.shape, np.float32)
    for level in LEVELS:
        light = level > 127
        inked = (grey >= level if light else grey <= level).astype(np.uint8)
        for left, top, right, bottom in _lines(*_letters(grey, inked)):
            if _is_written(grey[top:bottom, left:right], inked[top:bottom, left:right]):
                lines[top:bottom, left:right] = 1
    return np.asarray(cv2.resize(lines, (columns, rows), interpolation=cv2.INTER_AREA) >= 0.4)


def _letters(grey: np.ndarray, inked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pieces that may be letters: their boxes int [N, 4] (left, top, right, bottom), and mean luminances [N]."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inked, connectivity=4)
    x, y, w, h, area = stats.T
    fits = (h >= HEIGHT[0]) & (h <= HEIGHT[1]) & (w >= WIDTH[0]) & (w <= WIDTH[1]) & (w <= 6 * h)
    fits &= (area >= FILLED[0] * w * h) & (area <= FILLED[1] * w * h)
    fits[0] = False  # what is behind
    kept = np.flatnonzero(fits)
    if not LETTERS <= len(kept) <= MOST:
        return np.zeros((0, 4), int), np.zeros(0)
    fitting = fits[labels]
    flat, values = labels[fitting], grey[fitting].astype(float)
    mean = np.bincount(flat, values, count) / np.maximum(area, 1)
    spread = np.sqrt(np.maximum(np.bincount(flat, values * values, count) / np.maximum(area, 1) - mean**2, 0))
    kept = kept[spread[kept] <= EVEN]
    return np.stack([x, y, x + w, y + h], 1)[kept].astype(int), mean[kept]


def _lines(boxes: np.ndarray, means: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Boxes around LETTERS pieces or more that are alike and run on beside each other."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if len(boxes) < LETTERS:
        return []
    left, top, right, bottom = boxes.T
    height = (bottom - top).astype(float)
    small = np.minimum(height[:, None], height)
    gap = np.maximum(left[:, None], left) - np.minimum(right[:, None], right)
    beside = (gap <= APART * small) & (gap > -0.5 * small) & (np.abs(bottom[:, None] - bottom) <= SHIFTED * small)
    beside &= (np.maximum(height[:, None], height) <= TALLER * small) & (np.abs(means[:, None] - means) <= ALIKE)
    count, line = connected_components(coo_matrix(beside), directed=False)
    groups = [np.flatnonzero(line == i) for i in np.flatnonzero(np.bincount(line, minlength=count) >= LETTERS)]
    found = []
    for g in groups:
        letter = float(np.median(height[g]))
        if bottom[g].max() - top[g].min() <= STRAIGHT * letter:
            more = round(AROUND * letter)
            near = max(0, int(left[g].min()) - more), max(0, int(top[g].min()) - more)
            found.append((*near, int(right[g].max()) + more, int(bottom[g].max()) + more))
    return found


def _is_written(grey: np.ndarray, inked: np.ndarray) -> bool:
    """Whether a line's pieces are of one ink, and steep at their edges."""
    letter = inked.astype(bool)
    near = cv2.dilate(inked, np.ones((7, 7), np.uint8)).astype(bool) & ~letter
    if not (letter.any() and near.any()):
        return False
    ink = float(np.median(grey[letter]))
    one = float((np.abs(grey[letter] - ink) <= ONE).mean())
    return one >= ALIKE_INK and abs(ink - float(grey[near].mean())) >= CONTRAST
