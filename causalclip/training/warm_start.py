"""Where a head's training starts: the least squares verdict, in closed form. Offline."""

import torch
from torch import Tensor

from causalclip.head.model import CausalHead

CELLS = 25_000  # of splices, at most; more change little and cost the most
GAIN = 3.0  # log-odds at a distance of 1 from the threshold, where the least squares aim at -1 and 1


@torch.no_grad()
def start_at_least_squares(
    head: CausalHead,
    copies: Tensor,
    labels: Tensor,
    *,
    strength: float,
    sample_weight: Tensor | None = None,
    places: tuple[Tensor, Tensor] | None = None,
    places_weight: float = 0.0,
) -> None:
    """Sets the verdict's weights to the ridge regression of -1 (real) and 1 (generated) on the standardised embedding.

    The mask lets about the same share of every dimension through when training begins; the weights make up for it.

    Args:
        copies: half [K, N, D]. labels: [N], 1 generated. sample_weight: [N].
        strength: of the ridge, in units of a standardised dimension's variance.
        places: (half [S, C, D], [S, C]), see fitting.fit_head. places_weight: of all of them together, beside
            the pictures' 1.
    """
    D = copies.shape[2]
    gram, pull = torch.zeros(D + 1, D + 1), torch.zeros(D + 1)

    def add(features: Tensor, target: Tensor, weight: Tensor) -> None:
        for x, t, w in zip(features.split(4096), target.split(4096), weight.split(4096), strict=True):
            rows = torch.cat([(x.float() - head.shift) / head.scale, torch.ones(len(x), 1)], 1)
            weighted = rows * w[:, None]
            gram.addmm_(weighted.T, rows)
            pull.add_(weighted.T @ (2 * t - 1))

    weight = torch.ones_like(labels) if sample_weight is None else sample_weight
    for copy in copies:
        add(copy, labels, weight / weight.sum() / len(copies))
    if places is not None and places_weight:
        cells, generated = places[0].flatten(0, 1), places[1].flatten()
        drawn = torch.randperm(len(cells))[:CELLS]
        add(cells[drawn], generated[drawn], torch.full((len(drawn),), places_weight / len(drawn)))
    gram += strength * torch.diag(torch.cat([torch.ones(D), torch.zeros(1)]))
    solved = GAIN * torch.linalg.solve(gram, pull)
    through = 1.0 if head.mask is None else float(head.mask.eval()(torch.zeros(1, D), tau=head.tau).mean())
    head.verdict.weight.copy_(solved[None, :D] / through)
    head.verdict.bias.copy_(solved[D:])
