"""From logit and embedding to the answer: a probability that means what it says, a band in words,
the type of image.

What is no photograph gets no answer: a linear classifier on the verdict's own embedding tells.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

Band = Literal["likely generated", "inconclusive", "likely not generated", "no answer"]
MIN_OWNERS = 5  # owners: the mean over fewer says nothing of others
CONFIDENCE = 0.9  # with which the bands keep their budgets on new owners


@dataclass(frozen=True, slots=True)
class Calibration:
    """logit = scale * raw + offset + quality . q, fitted on families and sites that the heads had
    not seen.

    quality: weights of the estimated compression (see `compression`); never of width, height or
    aspect.
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


WINDOW = 512  # px; the middle of the picture, so that large pictures cost no more than small ones


def compression(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> [2]: how visible a grid of 8 px blocks is, and how much fine detail is
    left.

    blocking: log ratio of the mean step across block borders to the mean step elsewhere; 0 for an
    uncompressed picture.
    detail: log of the mean absolute second difference, in grey levels; falls with blur, upscaling
    and compression.
    """
    grey = _middle(pixels).astype(np.float32).mean(2)
    blocking, detail = [], []
    for plane in (grey, grey.T):
        step = np.abs(np.diff(plane, axis=1)).mean(0)
        border = step[7::8].mean()
        inner = np.delete(step, np.s_[7::8]).mean()
        blocking.append(np.log((border + 0.05) / (inner + 0.05)))
        detail.append(np.abs(np.diff(plane, n=2, axis=1)).mean())
    return np.array([np.mean(blocking), np.log(np.mean(detail) + 0.05)])


def _middle(pixels: np.ndarray) -> np.ndarray:
    """The middle WINDOW x WINDOW px, cut on the 8 px grid that a JPEG starts at the top left."""
    top = max(0, (pixels.shape[0] - WINDOW) // 2) // 8 * 8
    left = max(0, (pixels.shape[1] - WINDOW) // 2) // 8 * 8
    return pixels[top : top + WINDOW, left : left + WINDOW]


ImageType = Literal["photograph", "drawing", "page", "blank"]

GRID = 16  # cells across and down
LOOKED_SIDE = 1024  # px on the long side of what is looked at; rows and columns are dropped before
# Of the variance of grey, between the cells: 1,200 pictures had 0.14 to 0.99, close-ups of gravel,
# brick and grass 0.03 to 0.05, noise 0.001.
MIN_SPREAD = 0.01
MIN_DEVIATION = 1.0  # grey levels of standard deviation, at least; the same pictures had 11 or more


class ImageTypeClassifier(nn.Module):
    """Two scores, linear in the standardised embedding: not a photograph; and, if so, rather a page
    than a drawing.

    A photograph here is also a generated picture that looks like one. A drawing is drawn, painted
    or rendered; a page is a screenshot, a chart, a scan, a meme or a collage with text. The pixels
    tell before whether a picture is blank.

    Args:
        width: D, dimensions of the embedding.
    """

    shift: Tensor
    scale: Tensor
    threshold: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scores = nn.Linear(width, 2)
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        # of the first score; above it no verdict is given
        self.register_buffer("threshold", torch.zeros(()))

    def forward(self, embedding: Tensor) -> Tensor:
        """[B, D] -> [B, 2]."""
        scores: Tensor = self.scores((embedding - self.shift) / self.scale)
        return scores

    def classify(self, views: Tensor) -> ImageType:
        """The type of one image, from the embeddings of the views that cover it, [V, D]."""
        other, page = self(views).mean(0)
        if other <= self.threshold:
            return "photograph"
        return "page" if page > 0 else "drawing"


def is_blank(pixels: np.ndarray) -> bool:
    """Whether all parts of a picture (uint8 RGB [H, W, 3]) are equally bright on average, so that
    nothing is in it: one colour, even noise or an even pattern."""
    step = max(1, max(pixels.shape[:2]) // LOOKED_SIDE)
    grey = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).convert("L")
    variance = float(np.asarray(grey, np.float32).var())
    cells = np.asarray(grey.resize((GRID, GRID), Image.Resampling.BOX), np.float32)
    return variance < MIN_DEVIATION**2 or float(cells.var()) < MIN_SPREAD * variance
