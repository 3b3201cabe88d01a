"""One place from two points is told from two places, where no plane lays one picture over the other."""

import numpy as np
import pytest
from skimage import data

from causalclip.evidence.comparison import compare, scene
from causalclip.evidence.keypoints import Epipolar, epipolar

SIDE, TILE, FARTHEST = 512, 32, 60  # px; of the picture, of what lies at one depth, and of its farthest shift


def shifted(picture: np.ndarray, *, along: tuple[int, int]) -> np.ndarray:
    """A second view: every tile lies at a depth of its own, so that it moves by its own amount, down and across."""
    rng = np.random.default_rng(0)
    other = np.full_like(picture, 128)
    for top in range(0, SIDE, TILE):
        for left in range(0, SIDE, TILE):
            y, x = (int(rng.integers(-FARTHEST, FARTHEST + 1)) * by for by in along)
            down, across = (min(SIDE - TILE, max(0, at + by)) for at, by in ((top, y), (left, x)))
            other[down : down + TILE, across : across + TILE] = picture[top : top + TILE, left : left + TILE]
    return other


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.asarray(data.astronaut())


def test_a_camera_that_moved_aside_shows_the_same_scene(picture: np.ndarray) -> None:
    found = compare(picture, shifted(picture, along=(0, 1)))
    assert found.answer == "same scene, another moment"
    assert found.points >= 20
    assert found.changes == ()
    assert found.aligned is None


def test_points_that_move_every_way_are_of_no_rigid_scene(picture: np.ndarray) -> None:
    aside, scattered = (epipolar(picture, shifted(picture, along=along)) for along in ((0, 1), (1, 1)))
    assert aside.share > 2 * scattered.share


def test_nothing_agrees_where_nothing_is_seen() -> None:
    assert epipolar(np.full((300, 400, 3), 127, np.uint8), np.asarray(data.coffee())) == Epipolar(0, 0.0, 0.0)


@pytest.mark.parametrize("few", [Epipolar(8, 0.9, 0.5), Epipolar(40, 0.1, 0.5), Epipolar(40, 0.9, 0.01)])
def test_few_points_a_small_share_or_a_shared_logo_are_no_scene(few: Epipolar) -> None:
    assert scene(few) is None
    assert scene(Epipolar(40, 0.9, 0.5)) == ("same scene, another moment", 0.75)
