"""Re-encodings by name for tables, and random chains that a seed repeats for training."""

import numpy as np
import pytest
from PIL import Image

from causalclip.images.augmentation import REENCODINGS, random_augmentation
from tests.makers.pictures import photo


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 6, (180, 240, 1))
    return Image.fromarray((photo(240, 180) + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("name", REENCODINGS)
def test_named_reencodings_change_what_they_say(name: str, picture: Image.Image) -> None:
    changed = REENCODINGS[name](picture)
    assert changed.mode == "RGB"
    sizes = {"0.75x": (180, 135), "0.5x": (120, 90), "crop 75 %": (180, 135), "shown at another size": (192, 144)}
    assert changed.size == sizes.get(name, picture.size)
    same = changed.size == picture.size and np.array_equal(changed, picture)
    assert same == (name == "as it is")
    again = REENCODINGS[name](picture)
    assert np.array_equal(again, changed)


def test_random_chains_are_seeded_varied_and_sometimes_nothing(picture: Image.Image) -> None:
    chains = [np.asarray(random_augmentation(picture, np.random.default_rng(s))) for s in range(25)]
    again = [np.asarray(random_augmentation(picture, np.random.default_rng(s))) for s in range(3)]
    assert all(np.array_equal(a, b) for a, b in zip(chains, again, strict=False))
    assert len({c.tobytes() for c in chains}) > 12
    assert len({c.shape for c in chains}) > 2
    untouched = sum(c.shape == (180, 240, 3) and np.array_equal(c, picture) for c in chains)
    assert 0 < untouched < 13
    assert np.array_equal(random_augmentation(picture, np.random.default_rng(0), strength=0), picture)
