"""Intervals of shares."""

from math import sqrt

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
