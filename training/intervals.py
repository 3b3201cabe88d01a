"""Intervals of measures."""

from collections.abc import Callable

import numpy as np


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
