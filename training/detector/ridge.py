"""The verdict of a head by ridge regression on its standardised embedding, in closed form."""

from dataclasses import dataclass

import torch
from torch import Tensor

from causalclip.method import CausalHead

BLOCK_COLUMNS = 768  # columns of a matrix product
# log-odds at a distance of 1 from the threshold, where the least squares aim at -1 and 1
GAIN = 3.0


@torch.no_grad()
def start_at_ridge(
    head: CausalHead,
    copies: Tensor,
    labels: Tensor,
    *,
    strength: float,
    sample_weight: Tensor | None = None,
) -> None:
    """Set the verdict's weights to the ridge regression of -1 (real) and 1 (generated) on the
    standardised embedding.

    A mask that is to be learned lets about the same share of every channel through when training
    begins; the weights make up for it. A channel that does not pass at all has no weight.

    Args:
        copies: half [K, N, D]. labels: [N], 1 generated. sample_weight: [N].
        strength: of the ridge, in units of a standardised channel's variance.
    """
    D = copies.shape[2]
    through = (
        torch.ones(D) if head.mask is None else head.mask.eval()(torch.zeros(1, D), tau=head.tau)[0]
    )
    passing = (through > 0).nonzero()[:, 0]
    normal = _NormalEquations.empty(len(passing) + 1)
    weight = torch.ones_like(labels) if sample_weight is None else sample_weight
    weight = weight / weight.sum() / len(copies)
    for copy in copies:
        for x, t, w in zip(copy.split(4096), labels.split(4096), weight.split(4096), strict=True):
            standard = (x[:, passing].float() - head.shift[passing]) / head.scale[passing]
            normal.add(torch.cat([standard, torch.ones(len(x), 1)], 1), 2 * t - 1, w)
    penalty = strength * torch.cat([torch.ones(len(passing)), torch.zeros(1)])  # none of the bias
    solution = GAIN * normal.solve(penalty)
    head.verdict.weight.zero_()
    head.verdict.weight[0, passing] = solution[:-1] / through[passing]
    head.verdict.bias.copy_(solution[-1:])


@dataclass(frozen=True, slots=True)
class _NormalEquations:
    """The normal equations of weighted least squares, summed row by row: gram [D, D], of which the
    upper half is filled, and pull [D]."""

    gram: Tensor
    pull: Tensor

    @classmethod
    def empty(cls, D: int) -> "_NormalEquations":
        return cls(torch.zeros(D, D), torch.zeros(D))

    def add(self, rows: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add rows [n, D] with their targets and weights [n]."""
        weighted = rows * weight[:, None]
        # above the diagonal alone: half of the products
        for at in range(0, rows.shape[1], BLOCK_COLUMNS):
            self.gram[at : at + BLOCK_COLUMNS, at:].addmm_(
                weighted[:, at : at + BLOCK_COLUMNS].T, rows[:, at:]
            )
        self.pull.add_(weighted.T @ target)

    def solve(self, strength: Tensor) -> Tensor:
        """Return the coefficients [D], with a ridge of strength [D]."""
        gram = self.gram.triu() + self.gram.triu(1).T + torch.diag(strength)
        return torch.cholesky_solve(self.pull[:, None], torch.linalg.cholesky(gram))[:, 0]
