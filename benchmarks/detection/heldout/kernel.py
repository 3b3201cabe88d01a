"""Ridge regression in its dual form: one kernel of all pictures serves every draw of owners that is learned from.

A solution then costs by its pictures, not by the embedding's 7,680 channels, and what a probe would say of pictures
had it not learned from them follows from one that has.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

BLOCK = 2048  # rows of the kernel that are made at once
CONSTANT = 1e4  # inner product that stands for an offset without a penalty
Judge = Callable[[np.ndarray, np.ndarray, Tensor], np.ndarray]  # rows to learn from and to judge, weights -> scores


def kernel(features: Tensor) -> Tensor:
    """Inner products of all pictures' embeddings, standardised over all of them: half [N, D] -> [N, N]."""
    mean, scale = features.float().mean(0), features.float().std(0).clamp_min(1e-6)
    rows = (features.float() - mean) / scale
    K = torch.empty(len(rows), len(rows))
    for at in range(0, len(rows), BLOCK):  # above the diagonal alone: half of the products
        block = rows[at : at + BLOCK] @ rows[at:].T
        K[at : at + BLOCK, at:], K[at:, at : at + BLOCK] = block, block.T
    return K


def kernel_judge(K: Tensor, labels: Tensor, *, strength: float) -> Judge:
    """The same probe in its dual form, as a function of the rows that it learns from, [N, N] and [N]."""

    def judge(rows: np.ndarray, judged: np.ndarray, weight: Tensor) -> np.ndarray:
        w, target = weight / weight.sum(), 2 * labels[rows] - 1
        inside, beside = K[rows][:, rows], K[judged][:, rows]
        mean = inside @ w
        inside += w @ mean - mean[:, None] - mean
        beside += w @ mean - (beside @ w)[:, None] - mean
        root = w.sqrt()
        A = inside.mul_(root[:, None]).mul_(root)
        A.diagonal().add_(strength)
        a = torch.cholesky_solve((root * (target - w @ target))[:, None], torch.linalg.cholesky(A))[:, 0]
        return np.asarray((beside @ (root * a) + w @ target).numpy())

    return judge


class LeftOut:
    """The probe of all pictures, and what it would say of some had it not learned from them.

    Args:
        K: [N, N], a kernel; overwritten. labels and weight: [N].
    """

    def __init__(self, K: Tensor, labels: Tensor, weight: Tensor, *, strength: float) -> None:
        self.target = 2 * labels - 1
        A = K.add_(CONSTANT)
        A.diagonal().add_(strength * weight.sum() / weight)
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky(A))
        self.dual = self.inverse @ self.target

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Of these rows, by a probe that learned from all others: exact, by the block of the inverse."""
        index = torch.from_numpy(rows)
        block = self.inverse[index][:, index]
        return np.asarray((self.target[index] - torch.linalg.solve(block, self.dual[index])).numpy())
