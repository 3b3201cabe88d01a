"""From real photographs' scores to a threshold that accuses few of their like, and how sure that is.

The threshold lies just above the k-th highest of n scores. For one archive, the share of further real pictures above it
follows Beta(k, n + 1 - k), if they are like those in the archive (arXiv 2303.02770). k is the largest for which that
share is within the promise in 95 of 100 archives; the usual split-conformal rank keeps it in about half of them.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from math import ceil, log, nextafter

from causalclip.languages import N_, _, figure, number

PROMISES = (0.05, 0.02, 0.01)  # shares of real photographs that may be accused
CONFIDENCE = 0.95  # share of archives of that size in which a promise holds


def threshold(counted: Sequence[float], at_most: float) -> float | None:
    """Just above the k-th highest score: ties err to the safe side. None where there are too few."""
    k = allowed(len(counted), at_most)
    return nextafter(sorted(counted, reverse=True)[k - 1], 2.0) if k else None


@lru_cache(maxsize=256)
def allowed(n: int, at_most: float, *, confidence: float = CONFIDENCE) -> int:
    """The largest k with P(Beta(k, n + 1 - k) <= at_most) >= confidence; 0 where there is none."""
    from scipy.stats import beta  # a second of imports

    # The probability falls as k grows.
    return bisect_left(range(1, n + 1), x=True, key=lambda k: bool(beta.cdf(at_most, k, n + 1 - k) < confidence))


def needed(at_most: float, *, confidence: float = CONFIDENCE) -> int:
    """The fewest photographs with which the promise can be kept: 59, 149, 299 for 5, 2, 1 %."""
    return ceil(log(1 - confidence) / log(1 - at_most))


def too_few(n: int, at_most: float) -> str:
    """A sentence where n are too few for the promise; empty otherwise."""
    least = needed(at_most)
    said = N_("{n} are too few for {percent} %: {least} are needed.")
    return "" if n >= least else _(said, n=number(n), percent=figure(100 * at_most), least=least)
