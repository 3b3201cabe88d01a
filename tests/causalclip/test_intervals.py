"""Intervals, against SciPy's own and by what they promise."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from causalclip.intervals import clopper_pearson, wilson
from training.detector.bands import upper_bound
from training.intervals import bootstrap

COUNTS = [(0, 59), (3, 100), (20, 20), (41, 42)]


@pytest.mark.parametrize(("events", "draws"), COUNTS)
def test_intervals_of_a_share_are_those_of_scipy(events: int, draws: int) -> None:
    found = binomtest(events, draws)
    assert wilson(events, draws) == pytest.approx(
        tuple(found.proportion_ci(0.95, method="wilson")), abs=1e-4
    )
    assert clopper_pearson(events, draws) == tuple(found.proportion_ci(0.95, method="exact"))
    exact = found.proportion_ci(0.8, method="exact").high
    assert upper_bound(events, draws, confidence=0.9) == pytest.approx(exact)


def test_so_few_events_are_as_rare_as_the_bound_was_asked_for() -> None:
    assert binom.cdf(3, 100, upper_bound(3, 100, confidence=0.9)) == pytest.approx(0.1)


def test_the_bootstrap_of_a_mean_is_near_its_normal_interval() -> None:
    values = np.random.default_rng(1).normal(size=200)
    low, high = bootstrap(np.mean, values, rounds=2000)
    spread = norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - spread, values.mean() + spread), abs=0.02)
    difference = bootstrap(lambda a, b: b.mean() - a.mean(), values, values + 1)
    assert difference[0] < 1 < difference[1]
