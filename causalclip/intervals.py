"""Intervals of shares and of measures."""

from collections.abc import Callable
from math import sqrt

import numpy as np

Z = 1.96  # standard deviations to either side that hold 95 %


def wilson(successes: float, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a share, in [0, 1]; honest also for few draws.

    As SciPy's binomtest, whose import takes most of a second: the page shows this one.
    """
    share = successes / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    reach = Z / (1 + Z**2 / count) * sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def clopper_pearson(successes: int, count: int) -> tuple[float, float]:
    """Return Clopper and Pearson's exact 95 % interval of a share, in [0, 1]."""
    from scipy.stats import binomtest

    low, high = binomtest(successes, count).proportion_ci(0.95, method="exact")
    return float(low), float(high)


def bootstrap(
    statistic: Callable[..., float], *samples: np.ndarray, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic; each sample is drawn by itself.

    Args:
        statistic: takes as many arrays [N] as there are samples. One that takes an axis, such as
            np.mean, is asked once for all rounds.
        samples: [N] each; of one value alone, the interval is the statistic.
    """
    if min(map(len, samples)) < 2:
        value = float(statistic(*samples))
        return value, value
    from scipy.stats import bootstrap as resample

    result = resample(
        samples,
        statistic,
        n_resamples=rounds,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
