"""From a raw logit to a probability that means what it says, and to a band in words."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize

Band = Literal["likely generated", "inconclusive", "likely not generated"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """logit = scale * raw + offset + quality . q, fitted on families and sites that the heads had not seen.

    quality: weights of the estimated compression (see causalclip.quality); never of width, height or aspect.
    low, high: the bands' thresholds, as probabilities: likely not generated at or below `low`, likely generated at or
    above `high`, inconclusive between them.
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

    def band(self, probability: float) -> Band:
        if probability >= self.high:
            return "likely generated"
        return "likely not generated" if probability <= self.low else "inconclusive"


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow."""
    return float(1 / (1 + np.exp(-logit))) if logit >= 0 else float(np.exp(logit) / (1 + np.exp(logit)))


def fit_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    ridge: float = 1e-3,
    given: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Logistic regression by L-BFGS: features [N, K] -> coefficients [K + 1], the last one the offset.

    given: log-odds [N] that are known already, and to which the fitted ones are added.
    """
    X = np.column_stack([features, np.ones(len(features))])
    w = np.ones(len(labels)) if weight is None else weight / weight.mean()
    sign = np.where(labels == 1, 1.0, -1.0)

    def objective(beta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (X @ beta + given)
        loss = float(np.mean(w * np.logaddexp(0, -margin)) + ridge * np.dot(beta[:-1], beta[:-1]))
        pull = -(w * sign / (1 + np.exp(np.clip(margin, -500, 500))))
        return loss, X.T @ pull / len(X) + 2 * ridge * np.append(beta[:-1], 0)

    start = np.zeros(X.shape[1])
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B").x)


def choose_bands(
    labels: np.ndarray, probabilities: np.ndarray, *, false_alarms: float = 0.05, misses: float = 0.10
) -> tuple[float, float]:
    """(low, high): at most `false_alarms` of the real at or above high, `misses` of the generated at or below low.

    On families that the heads have not seen; there the promise is kept exactly, elsewhere it is measured.
    """
    real, generated = np.sort(probabilities[labels == 0]), np.sort(probabilities[labels == 1])
    # Just beyond the first picture too many, which ties may share: a threshold belongs to its outer band.
    high = float(np.nextafter(real[-1 - _share(false_alarms, real)], np.inf))
    low = float(np.nextafter(generated[_share(misses, generated)], -np.inf))
    return min(low, high), max(low, high)


def _share(share: float, values: np.ndarray) -> int:
    """How many of the values that is, rounded down; less than all."""
    return min(int(share * len(values) + 1e-9), len(values) - 1)
