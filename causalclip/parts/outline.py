"""From a map of cells to one part: which cells belong to it, its box and its outline in the picture's pixels."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import label

FOUND = 0.04  # of a picture's cells, the highest, whose mean is its number
FEWEST = 3  # cells, at least
SPECK = 0.25  # of the largest piece, below which a piece is left out
Ring = tuple[tuple[int, int], ...]


def top(levels: np.ndarray) -> float:
    """A map's number for its picture: the mean of its highest cells."""
    return float(np.sort(levels.ravel())[-max(FEWEST, round(FOUND * levels.size)) :].mean())


def part_of(levels: np.ndarray) -> np.ndarray:
    """bool [rows, columns]: what is halfway between the middle cell and the highest; its largest pieces."""
    groups, _ = label(levels > (np.median(levels) + top(levels)) / 2)
    sizes = np.bincount(groups.ravel())[1:]
    return np.asarray(np.isin(groups, 1 + np.nonzero(sizes >= SPECK * sizes.max())[0]))


def box_of(part: np.ndarray, cell: int, corner: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in px. corner: left and top of the cells in the picture, in px."""
    rows, columns = np.nonzero(part)
    left, top_, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    x, y = corner
    return x + int(left) * cell, y + int(top_) * cell, x + int(right) * cell, y + int(bottom) * cell


def rings_of(part: np.ndarray, cell: int, corner: tuple[int, int]) -> tuple[Ring, ...]:
    """The outline along the cells' edges, as closed rings of (x, y) in px; holes have rings of their own."""
    fine = part.astype(np.uint8).repeat(2, 0).repeat(2, 1)  # so that a cell has an inside
    contours, _ = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(_ring(contour[:, 0].astype(int), cell, corner) for contour in contours)


def _ring(points: np.ndarray, cell: int, corner: tuple[int, int]) -> Ring:
    """Points of the fine grid lie in the corners of cells: each goes to the corner that it is nearest to."""
    return tuple((corner[0] + (x + 1) // 2 * cell, corner[1] + (y + 1) // 2 * cell) for x, y in points.tolist())
