"""Retouches: the same kind of picture comes back, visibly changed, the same by the same seed."""

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from causalclip.training.augmentation import RETOUCHES, random_retouch

PICTURE = np.ascontiguousarray(astronaut()[::3, ::3])


@pytest.mark.parametrize("name", RETOUCHES)
def test_a_retouch_changes_the_picture_and_not_what_it_shows(name: str) -> None:
    done = RETOUCHES[name](PICTURE, np.random.default_rng(0))
    assert (done.shape, done.dtype) == (PICTURE.shape, np.uint8)
    moved = np.abs(done.astype(int) - PICTURE).mean()
    assert 0.3 < moved < 60, moved
    same = np.corrcoef(done.mean(2).ravel(), PICTURE.mean(2).ravel())[0, 1]
    assert same > 0.8, same


def test_smoothing_keeps_edges() -> None:
    step = np.zeros((80, 80, 3), np.uint8)
    step[:, 40:] = 200
    noisy = np.clip(step + np.random.default_rng(0).normal(0, 8, step.shape), 0, 255).astype(np.uint8)
    done = RETOUCHES["smooth skin"](noisy, np.random.default_rng(0)).astype(float)
    assert done[:, 45:].std() < 0.8 * noisy[:, 45:].std()
    assert done[:, 42:].mean() - done[:, :38].mean() > 150


def test_random_retouching_is_seeded() -> None:
    first, again, other = (
        np.asarray(random_retouch(Image.fromarray(PICTURE), np.random.default_rng(s))) for s in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
