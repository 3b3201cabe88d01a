"""From a raw logit to a probability that means what it says, and to a band in words.

Scale, offset and thresholds are fitted in training (training.detector.bands).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Band = Literal["likely generated", "inconclusive", "likely not generated", "no answer"]
BANDS: tuple[Band, ...] = get_args(Band)
SCORE_BANDS = BANDS[:3]  # what a score is called, from the highest


@dataclass(frozen=True, slots=True)
class Calibration:
    """logit = scale * raw + offset + quality . q, fitted on families and sites that the heads had
    not seen.

    Attributes:
        scale, offset: of the raw logit.
        quality: weights of the estimated compression (causalclip.images.jpeg.compression); never
            of width, height or aspect.
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
        """Return what does not depend on the raw logit: offset + quality . q."""
        return self.offset + float(np.dot(self.quality, quality)) if self.quality else self.offset

    def logit(self, raw: float, quality: np.ndarray) -> float:
        """Return the calibrated log-odds of a raw logit."""
        return self.scale * raw + self.shift(quality)

    @property
    def borders(self) -> tuple[float, float]:
        """Return the highest scores of the two lower bands."""
        return self.low, float(np.nextafter(self.high, 0))

    def band(self, probability: float) -> Band:
        """Return what a photograph's probability is called."""
        return band_of(probability, self.low, self.high)


def band_of(probability: float, low: float, high: float) -> Band:
    """Return what a photograph's probability is called, by two thresholds."""
    if probability >= high:
        return "likely generated"
    return "likely not generated" if probability <= low else "inconclusive"


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)), without overflow."""
    if logit >= 0:
        return float(1 / (1 + np.exp(-logit)))
    odds = np.exp(logit)
    return float(odds / (1 + odds))
