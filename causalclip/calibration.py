"""From a raw logit to a probability that means what it says, and to a band in words; how the bands
are chosen."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Band = Literal["likely generated", "inconclusive", "likely not generated", "no answer"]
MIN_OWNERS = 5  # owners: the mean over fewer says nothing of others
CONFIDENCE = 0.9  # with which the bands keep their budgets on new owners


@dataclass(frozen=True, slots=True)
class Calibration:
    """logit = scale * raw + offset + quality . q, fitted on families and sites that the heads had
    not seen.

    quality: weights of the estimated compression (causalclip.images.jpeg.compression); never of
    width, height or aspect.
    low, high: the bands' thresholds, as probabilities: likely not generated at or below `low`,
    likely generated at or above `high`, inconclusive between them.
    threshold: where balanced accuracy was best on the same held-out pictures.
    """

    scale: float = 1.0
    offset: float = 0.0
    quality: tuple[float, ...] = ()
    low: float = 0.2
    high: float = 0.8
    threshold: float = 0.5

    def shift(self, quality: np.ndarray) -> float:
        """What does not depend on the raw logit: offset + quality . q."""
        return self.offset + float(np.dot(self.quality, quality)) if self.quality else self.offset

    def logit(self, raw: float, quality: np.ndarray) -> float:
        return self.scale * raw + self.shift(quality)

    @property
    def borders(self) -> tuple[float, float]:
        """The highest scores of the two lower bands."""
        return self.low, float(np.nextafter(self.high, 0))

    def band(self, probability: float) -> Band:
        if probability >= self.high:
            return "likely generated"
        return "likely not generated" if probability <= self.low else "inconclusive"


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow."""
    return (
        float(1 / (1 + np.exp(-logit)))
        if logit >= 0
        else float(np.exp(logit) / (1 + np.exp(logit)))
    )


def fit_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    ridge: float = 1e-3,
    given: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Logistic regression by L-BFGS: features [N, K] -> coefficients [K + 1], the last one the
    offset.

    given: log-odds [N] that are known already, and to which the fitted ones are added.
    """
    from scipy.optimize import (
        minimize,  # here, as only fitting needs SciPy: 45 MB, which the app has no use for
    )

    X = np.column_stack([features, np.ones(len(features))])
    w = np.ones(len(labels)) if weight is None else weight / weight.mean()
    sign = np.where(labels == 1, 1.0, -1.0)

    def objective(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (X @ coefficients + given)
        loss = float(
            np.mean(w * np.logaddexp(0, -margin))
            + ridge * np.dot(coefficients[:-1], coefficients[:-1])
        )
        pull = -(w * sign / (1 + np.exp(np.clip(margin, -500, 500))))
        return loss, X.T @ pull / len(X) + 2 * ridge * np.append(coefficients[:-1], 0)

    start = np.zeros(X.shape[1])
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B").x)


def choose_bands(
    labels: np.ndarray,
    probabilities: np.ndarray,
    owners: np.ndarray,
    *,
    sets: np.ndarray | None = None,
    false_alarms: float = 0.05,
    misses: float = 0.10,
) -> tuple[float, float, dict[str, float]]:
    """(low, high, their bounds): at most `false_alarms` of real pictures at or above high, `misses`
    of generated ones at or below low, on owners that the heads have not seen.

    An owner is one draw, however many pictures he has: his share counts, and the mean over owners
    is bounded from above by Clopper and Pearson's exact binomial bound (Biometrika 26, 1934) at
    CONFIDENCE. In each of the sets, which differ in how hard their pictures are, the mean itself
    keeps the budget, too, if it has at least MIN_OWNERS.
    """
    real, generated = labels == 0, labels == 1
    names = np.zeros(len(labels), dtype=int) if sets is None else sets

    def within(scores: np.ndarray, inside: np.ndarray, budget: float) -> float:
        at = [threshold_within(scores[inside], owners[inside], budget=budget)]
        for rows in (inside & (names == name) for name in np.unique(names[inside])):
            if len(np.unique(owners[rows])) < MIN_OWNERS < len(np.unique(owners[inside])):
                continue
            at.append(threshold_within(scores[rows], owners[rows], budget=budget, confidence=None))
        return max(at)

    high, low = (
        within(probabilities, real, false_alarms),
        -within(-probabilities, generated, misses),
    )
    low, high = min(low, high), max(low, high)
    bounds = {"confidence": CONFIDENCE}
    for name, inside, out in (
        ("accused", real, probabilities >= high),
        ("missed", generated, probabilities <= low),
    ):
        shares = owner_shares(out[inside], owners[inside])
        bounds |= {f"{name}_owners": len(shares), f"{name}_share": float(shares.mean())}
        bounds[f"{name}_bound"] = upper_bound(float(shares.sum()), len(shares))
    return low, high, bounds


def owner_shares(out: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """The share of each owner's pictures that `out` [N] holds for, one value an owner."""
    _, owner = np.unique(owners, return_inverse=True)
    return np.asarray(np.bincount(owner, weights=out) / np.bincount(owner))


def upper_bound(events: float, draws: int, *, confidence: float = CONFIDENCE) -> float:
    """Clopper and Pearson's upper bound of a rate; `events` may be a sum of shares."""
    from scipy.stats import beta

    return 1.0 if events >= draws else float(beta.ppf(confidence, events + 1, draws - events))


def threshold_within(
    scores: np.ndarray, owners: np.ndarray, *, budget: float, confidence: float | None = CONFIDENCE
) -> float:
    """The lowest threshold at which the bound on the mean share of pictures at or above it keeps
    the budget; without a confidence, the mean itself.

    With too few owners for any bound, just beyond the highest score.
    """
    beyond = float(np.nextafter(scores.max(), np.inf))
    candidates = np.unique(scores)
    first, last = 0, len(candidates)  # the bound falls as the threshold rises
    while first < last:
        middle = (first + last) // 2
        shares = owner_shares(scores >= candidates[middle], owners)
        mean = float(shares.mean())
        if (
            upper_bound(mean * len(shares), len(shares), confidence=confidence)
            if confidence
            else mean
        ) <= budget:
            last = middle
        else:
            first = middle + 1
    return beyond if first == len(candidates) else float(candidates[first])
