"""The rank that keeps a promise, against an exact count, a simulation, and crepes' p-values."""

import numpy as np
import pytest
from crepes.base import p_values_batch
from scipy.stats import binom

from causalclip.promise import allowed, needed, threshold, too_few


@pytest.mark.parametrize(("at_most", "least"), [(0.05, 59), (0.02, 149), (0.01, 299)])
def test_fewest_photographs(at_most: float, least: int) -> None:
    assert needed(at_most) == least
    assert (allowed(least - 1, at_most), allowed(least, at_most)) == (0, 1)
    assert str(least) in too_few(least - 1, at_most)
    assert too_few(least, at_most) == ""


@pytest.mark.parametrize(("n", "at_most", "k"), [(100, 0.05, 2), (200, 0.05, 5), (200, 0.02, 1), (1000, 0.01, 5)])
def test_rank_is_the_largest_that_keeps_the_promise(n: int, at_most: float, k: int) -> None:
    """P(Beta(k, n + 1 - k) <= a) is the chance that at least k of n uniform numbers lie at or below a."""
    assert allowed(n, at_most) == k
    assert 1 - binom.cdf(k - 1, n, at_most) >= 0.95
    assert 1 - binom.cdf(k, n, at_most) < 0.95


def test_promise_is_kept_in_95_of_100_archives() -> None:
    """Uniform scores, of which the share above a threshold is known: the plain rank would keep it in about half."""
    rng = np.random.default_rng(0)
    accused = [1 - (threshold(rng.uniform(size=200), 0.05) or 0.0) for _ in range(2000)]
    assert 0.945 <= np.mean(np.array(accused) <= 0.05) <= 0.985
    plain = [1 - np.sort(rng.uniform(size=200))[-10] for _ in range(2000)]
    assert np.mean(np.array(plain) <= 0.05) < 0.65


def test_threshold_is_just_above_a_tie() -> None:
    scores = [0.9] * 5 + [0.1] * 195
    high = threshold(scores, 0.05)
    assert high is not None
    assert high > 0.9
    assert high == np.nextafter(0.9, 2)
    assert threshold(scores[:58], 0.05) is None


def test_accused_are_those_with_the_p_value_of_the_rank() -> None:
    """crepes gives (1 + archive scores at least as high) / (n + 1); accused is who has at most k / (n + 1)."""
    rng = np.random.default_rng(1)
    archive, new = rng.normal(size=200), rng.normal(size=500)
    k = allowed(len(archive), 0.05)
    values = p_values_batch(archive, new, smoothing=False)
    high = threshold(archive, 0.05)
    assert high is not None
    assert np.array_equal(new >= high, values <= k / (len(archive) + 1) + 1e-12)
