"""From cells to a part: its pieces, its box and rings that enclose exactly its cells."""

import cv2
import numpy as np
import pytest

from causalclip.evidence.region_finder import box_of, region_of, rings_of, top


def drawn(part: np.ndarray, cell: int = 4, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """The rings, filled: bool of the cells whose middle is inside."""
    rings = [np.array(ring, np.float32) for ring in rings_of(part, cell, corner)]
    inside = np.zeros(part.shape, bool)
    for row, column in np.ndindex(part.shape):
        middle = corner[0] + (column + 0.5) * cell, corner[1] + (row + 0.5) * cell
        inside[row, column] = sum(cv2.pointPolygonTest(ring, middle, False) > 0 for ring in rings) % 2 == 1
    return inside


@pytest.mark.parametrize("corner", [(0, 0), (24, 8)])
def test_rings_enclose_the_cells_and_no_others(corner: tuple[int, int]) -> None:
    part = np.zeros((9, 12), bool)
    part[2:6, 3:8] = True
    part[3, 5] = False  # a hole
    part[6, 4] = part[8, 11] = True  # a step, and a piece of one cell
    assert (drawn(part, corner=corner) == part).all()


def test_the_box_is_in_the_pictures_pixels() -> None:
    part = np.zeros((5, 6), bool)
    part[1:3, 2:5] = True
    assert box_of(part, 32, (100, 8)) == (164, 40, 260, 104)


def test_specks_are_no_part() -> None:
    levels = np.zeros((20, 20))
    levels[4:9, 5:11] = levels[15, 15] = 4.0
    part = region_of(levels)
    assert part[4:9, 5:11].all()
    assert part.sum() == 30


def test_a_maps_number_is_of_its_highest_cells() -> None:
    levels = np.arange(100.0).reshape(10, 10)
    assert top(levels) == np.mean([96, 97, 98, 99])
    assert top(np.array([[1.0, 2.0, 6.0, 0.0]])) == 3.0  # of three cells at least
