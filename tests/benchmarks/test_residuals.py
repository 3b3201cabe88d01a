"""The statistics of residuals: what they are blind to, and what they tell apart."""

import numpy as np
import pytest

from benchmarks.detection.baselines.residuals import cooccurrences, residuals


def test_a_plane_has_no_residuals() -> None:
    plane = np.add.outer(np.arange(40.0), 2 * np.arange(50.0)).astype(np.float32)
    assert all(np.abs(r[1:-1, 1:-1]).max() < 1e-4 for r in residuals(plane))
    flat = cooccurrences(plane[:30, :30])
    assert flat[flat > 0.99].sum() >= 8  # all in one bin, for every filter along the plane's middle


def test_mirrored_and_negative_pictures_are_of_one_kind() -> None:
    picture = np.random.default_rng(0).normal(128, 3, (64, 48)).astype(np.float32)
    found = cooccurrences(picture)
    assert found.shape == (3 * 2 * 2 * 5**3,)
    assert (found**2).reshape(12, -1).sum(1) == pytest.approx(np.ones(12), abs=1e-5)
    assert np.allclose(cooccurrences(255 - picture), found, atol=1e-6)
    assert np.allclose(cooccurrences(picture[::-1, ::-1]), found, atol=1e-6)


def test_noise_of_another_texture_looks_another_way() -> None:
    rng = np.random.default_rng(1)
    white = rng.normal(128, 3, (96, 96)).astype(np.float32)
    again = rng.normal(128, 3, (96, 96)).astype(np.float32)
    smooth = (white + np.roll(white, 1, 0) + np.roll(white, 1, 1)) / 3
    distance = lambda a, b: float(np.linalg.norm(cooccurrences(a) - cooccurrences(b)))  # noqa: E731
    assert distance(white, smooth) > 3 * distance(white, again)
