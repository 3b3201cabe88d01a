"""A correction of the shipped score for one source, learned from a reader's own pictures of it.

Ten pictures or more that are known to be real and as many that are known to be generated, of the
kind that the reader faces. Ridge regression on what the shipped log-odds s leave of the label:

    f(x) = u . x + c        minimises  sum_i w_i (A y_i - s_i - f(x_i))^2 + RIDGE |u|^2,    y in
    {-1, 1}

x: the standardised embedding of all views, as the verdict weighs them. w: both classes count as
much. The corrected log-odds are s + f: they stay linear in the embedding, so that every patch's
share of them is exact.

Each picture is judged by a correction that was learned without it. Only where these scores are more
likely than not to tell the two groups apart better than the shipped ones, by a bootstrap over the
pictures, the correction is used. To ask for more confidence loses most of the gain: ten pictures of
each class rarely give it. Where there is nothing to learn (made data), the rule costs an AUC of
0.002 to 0.015.
AMPLITUDE, RIDGE and SURE were chosen on owners of the training split: benchmarks/fewshot.py.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Interval
from PIL import Image

if TYPE_CHECKING:  # it brings PyTorch
    from causalclip.clip.views import ViewType

LEAST = 10  # pictures of each class, below which a correction can harm
AMPLITUDE = 4.0  # A: log-odds that a picture of either class is drawn to
RIDGE = 0.3
SURE = 0.5  # share of the bootstrap's draws in which it must be better, at least
DRAWS = 1000  # of the bootstrap
SEED = 0
SIDE, QUALITY = 1024, 90  # px of the longer side at most, and JPEG, of what is learned from


@dataclass(frozen=True, slots=True)
class PrivateHead:
    """A correction as a profile keeps it: numbers alone.

    directions: for each kind of view, log-odds by one unit of each standardised channel: float16
    [D], little-endian, base64. offset: in log-odds. real, generated: how many pictures taught it.
    shipped, corrected: AUC on these pictures, each left out once. sure: see Trial.
    """

    directions: Mapping[str, str]
    offset: Annotated[float, Interval(gt=-inf, lt=inf)]
    real: Annotated[int, Ge(0)]
    generated: Annotated[int, Ge(0)]
    shipped: Annotated[float, Interval(ge=0, le=1)]
    corrected: Annotated[float, Interval(ge=0, le=1)]
    sure: Annotated[float, Interval(ge=0, le=1)]

    def direction(self, kind: str, width: int) -> np.ndarray:
        """float32 [width] of one kind of view.

        Raises:
            ValueError: there is none of that kind and width.
        """
        data = base64.b64decode(self.directions.get(kind, ""), validate=True)
        found = np.frombuffer(data, "<f2").astype(np.float32)
        if len(found) != width or not np.isfinite(found).all():
            raise ValueError("The private head is of another detector.")
        return found


def re_encode(pixels: np.ndarray) -> np.ndarray:
    """A picture, uint8 RGB [H, W, 3], in the size and JPEG quality of all that is learned from, so
    that neither is learned."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))


def make_private_head(
    x: np.ndarray, shipped: np.ndarray, labels: np.ndarray, *, shares: Mapping[ViewType, float]
) -> tuple[PrivateHead | None, Trial]:
    """Learns a correction and tries it; None in its place where it does not help.

    Args:
        x: [N, K * D], of Detector.represent. shipped: log-odds [N]. labels: [N].
        shares: of each of the K kinds of view in the verdict, in the order of x.
    """
    trial = try_correction(x, shipped, labels)
    if not trial.helps:
        return None, trial
    found = fit(x, shipped, labels)
    each = zip(shares.items(), np.split(found.direction, len(shares)), strict=True)
    directions: dict[str, str] = {
        kind: base64.b64encode((part / share**0.5).astype("<f2").tobytes()).decode()
        for (kind, share), part in each
    }
    head = PrivateHead(
        directions=directions,
        offset=found.offset,
        real=int((labels == 0).sum()),
        generated=int((labels == 1).sum()),
        shipped=trial.shipped,
        corrected=trial.corrected,
        sure=trial.sure,
    )
    return head, trial


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """f(x) = direction . x + offset, in log-odds. direction: float64 [D]."""

    direction: np.ndarray
    offset: float


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """How a correction does on the pictures that it was learned from, each left out once.

    scores: corrected log-odds [N]. shipped, corrected: AUC of either score on these pictures.
    gain: 5th, 50th and 95th percentile of the difference of both AUCs over the bootstrap. sure: the
    share of its draws in which the correction is better.
    """

    scores: np.ndarray
    shipped: float
    corrected: float
    gain: tuple[float, float, float]
    sure: float

    @property
    def helps(self) -> bool:
        """Whether a gain is more likely than not, so that the correction is used."""
        return self.sure >= SURE


def fit(x: np.ndarray, shipped: np.ndarray, labels: np.ndarray) -> Correction:
    """Learns a correction.

    Args:
        x: [N, D]. shipped: log-odds [N]. labels: [N], 1 generated, 0 real; both occur.
    """
    dual, offset = _solve(x @ x.T / x.shape[1], _residual(shipped, labels), labels)
    return Correction(x.T @ dual / x.shape[1], offset)


def leave_one_out(x: np.ndarray, shipped: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Corrected log-odds [N] of each picture, by a correction that was learned without it.
    Arguments as of `fit`."""
    kernel, residual = x @ x.T / x.shape[1], _residual(shipped, labels)
    scores = np.empty(len(x))
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        dual, offset = _solve(kernel[np.ix_(others, others)], residual[others], labels[others])
        scores[i] = shipped[i] + kernel[i, others] @ dual + offset
    return scores


def try_correction(x: np.ndarray, shipped: np.ndarray, labels: np.ndarray) -> Trial:
    """Compares the correction with the shipped score on the same pictures. Arguments as of
    `fit`."""
    scores = leave_one_out(x, shipped, labels)
    rng = np.random.default_rng(SEED)
    rows = [
        rng.choice(np.flatnonzero(labels == label), (DRAWS, (labels == label).sum()))
        for label in (1, 0)
    ]
    gains = _auc(scores, *rows) - _auc(shipped, *rows)
    each = [np.flatnonzero(labels == label)[None] for label in (1, 0)]
    low, middle, high = (float(q) for q in np.quantile(gains, (0.05, 0.5, 0.95)))
    return Trial(
        scores=scores,
        shipped=float(_auc(shipped, *each)[0]),
        corrected=float(_auc(scores, *each)[0]),
        gain=(low, middle, high),
        sure=float((gains > 0).mean()),
    )


def enough(labels: Sequence[int] | np.ndarray) -> bool:
    """Whether there are LEAST pictures of each class."""
    counts = np.bincount(np.asarray(labels, int), minlength=2)
    return bool(counts.min() >= LEAST)


def _residual(shipped: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return AMPLITUDE * (2.0 * labels - 1) - shipped


def _solve(kernel: np.ndarray, target: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Weighted kernel ridge with a free offset: dual coefficients [N] and the offset."""
    count = len(labels)
    weight = count / 2 / np.where(labels == 1, labels.sum(), count - labels.sum())
    system = np.ones((count + 1, count + 1))
    system[:-1, :-1] = kernel + RIDGE * np.diag(1 / weight)
    system[-1, -1] = 0
    *dual, offset = np.linalg.solve(system, np.append(target, 0.0))
    return np.array(dual), float(offset)


def _auc(scores: np.ndarray, generated: np.ndarray, real: np.ndarray) -> np.ndarray:
    """AUC of each draw [K]: rows of the pictures [K, n] of either class."""
    difference = scores[generated][:, :, None] - scores[real][:, None, :]
    return np.asarray(((difference > 0) + 0.5 * (difference == 0)).mean((1, 2)))
