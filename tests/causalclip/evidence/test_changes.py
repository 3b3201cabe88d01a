"""A part counts as changed by how far it differs, or by the structure that it no longer shares."""

import numpy as np
import pytest

from causalclip.evidence.blocks import Blocks, find_changes

SHAPE = 20, 30


def blocks(*, z: float, similarity: float, size: tuple[int, int]) -> Blocks:
    """Nothing differs but one part of `size` blocks."""
    differs, alike = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    part = slice(5, 5 + size[0]), slice(8, 8 + size[1])
    differs[part], alike[part] = z, similarity
    return Blocks(differs, alike, np.ones(SHAPE, bool), np.ones(SHAPE, bool))


def test_tone_alone_must_differ_far_or_widely() -> None:
    assert len(find_changes(blocks(z=30, similarity=1.0, size=(2, 2)))) == 1
    assert find_changes(blocks(z=16, similarity=0.99, size=(2, 2))) == []
    assert len(find_changes(blocks(z=16, similarity=0.99, size=(4, 4)))) == 1
    assert find_changes(blocks(z=8, similarity=0.99, size=(4, 4))) == []


def test_a_part_that_keeps_nearly_all_of_its_structure_is_no_change() -> None:
    """Another tone or sharpness, as sites and editors leave it all over a copy."""
    assert find_changes(blocks(z=10, similarity=0.96, size=(4, 4))) == []


def test_less_is_enough_where_the_structure_went() -> None:
    (part,) = find_changes(blocks(z=10, similarity=0.8, size=(4, 4)))
    assert part.lost == pytest.approx(10 * (1 - 0.8), rel=1e-4)
    assert (
        find_changes(blocks(z=4, similarity=0.8, size=(4, 4))) == []
    )  # under the lower threshold nothing is looked at


def test_another_thing_is_a_change_in_however_coarse_copies() -> None:
    assert len(find_changes(blocks(z=1, similarity=0.1, size=(2, 2)))) == 1
    assert find_changes(blocks(z=1, similarity=0.1, size=(1, 2))) == []
    assert find_changes(blocks(z=1, similarity=0.7, size=(4, 4))) == []
