"""When the embedded model may say that it is sure: fitted on held-out questions of the validation part of `train`."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Calibration:
    """confidence = sigmoid(slope * log p + offset), with p the answer's likelihood (Platt scaling)."""

    slope: float
    offset: float


def fit_confidence(scores: Sequence[float], right: Sequence[bool], *, steps: int = 100) -> Calibration:
    """Fits the confidence to how often answers of such likelihood were right, by maximum likelihood.

    Args:
        scores: log p of each answer.
        right: whether it was the answer expected.

    Raises:
        ValueError: all are right or all are wrong, which fits no curve.
    """
    if not any(right) or all(right):
        raise ValueError("Calibration needs right and wrong answers; give more held-out questions.")
    x = torch.tensor(scores, dtype=torch.float64)
    y = torch.tensor(right, dtype=torch.float64)
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(parameters[0] * x + parameters[1], y)
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    slope, offset = parameters.tolist()
    return Calibration(slope, offset)
