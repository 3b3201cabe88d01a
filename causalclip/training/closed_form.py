"""Heads in closed form: the least squares verdict, and a mask of the channels whose weight in it holds. Offline."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.head.masks import ChannelGates
from causalclip.head.model import CausalHead

CELLS = 25_000  # of splices, at most; more change little and cost the most
BLOCK = 768  # columns of a matrix product
GAIN = 3.0  # log-odds at a distance of 1 from the threshold, where the least squares aim at -1 and 1
PROBING = 300, 256, 1e-3  # steps, pictures a step, rate: of the adversary that reads what is held back


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

    A mask that is to be learned lets about the same share of every dimension through when training begins; the weights
    make up for it. A dimension that does not pass at all has no weight.

    Args:
        copies: half [K, N, D]. labels: [N], 1 generated. sample_weight: [N].
        strength: of the ridge, in units of a standardised dimension's variance.
        places: (half [S, C, D], [S, C]), see fitting.fit_head. places_weight: of all of them together, beside
            the pictures' 1.
    """
    D = copies.shape[2]
    through = torch.ones(D) if head.mask is None else head.mask.eval()(torch.zeros(1, D), tau=head.tau)[0]
    passing = (through > 0).nonzero()[:, 0]
    normal = _Normal.empty(len(passing) + 1)

    def add(features: Tensor, target: Tensor, weight: Tensor) -> None:
        for x, t, w in zip(features.split(4096), target.split(4096), weight.split(4096), strict=True):
            standard = (x[:, passing].float() - head.shift[passing]) / head.scale[passing]
            normal.add(torch.cat([standard, torch.ones(len(x), 1)], 1), 2 * t - 1, w)

    weight = torch.ones_like(labels) if sample_weight is None else sample_weight
    for copy in copies:
        add(copy, labels, weight / weight.sum() / len(copies))
    if places is not None and places_weight:
        cells, generated = places[0].flatten(0, 1), places[1].flatten()
        drawn = torch.randperm(len(cells))[:CELLS]
        add(cells[drawn], generated[drawn], torch.full((len(drawn),), places_weight / len(drawn)))
    solved = GAIN * normal.solve(strength * torch.cat([torch.ones(len(passing)), torch.zeros(1)]))
    head.verdict.weight.zero_()
    head.verdict.weight[0, passing] = solved[:-1] / through[passing]
    head.verdict.bias.copy_(solved[-1:])


@dataclass(frozen=True, slots=True)
class _Normal:
    """The normal equations of weighted least squares, summed row by row: gram [D, D], of which the upper half is kept,
    and pull [D]."""

    gram: Tensor
    pull: Tensor

    @classmethod
    def empty(cls, D: int) -> "_Normal":
        return cls(torch.zeros(D, D), torch.zeros(D))

    def add(self, rows: Tensor, target: Tensor, weight: Tensor) -> None:
        """rows: [n, D]. target and weight: [n]."""
        weighted = rows * weight[:, None]
        for at in range(0, rows.shape[1], BLOCK):  # above the diagonal alone: half of the products
            self.gram[at : at + BLOCK, at:].addmm_(weighted[:, at : at + BLOCK].T, rows[:, at:])
        self.pull.add_(weighted.T @ target)

    def solve(self, strength: Tensor) -> Tensor:
        """[D], with a ridge of strength [D]."""
        gram = self.gram.triu() + self.gram.triu(1).T + torch.diag(strength)
        return torch.cholesky_solve(self.pull[:, None], torch.linalg.cholesky(gram))[:, 0]


@dataclass(frozen=True, slots=True)
class GateConfig:
    """passing: share of the channels that pass. halves: of the environments, drawn by lot."""

    passing: float = 0.25
    halves: int = 8


def fit_gates(
    head: CausalHead,
    copies: Tensor,
    labels: Tensor,
    environments: Tensor,
    config: GateConfig,
    *,
    strength: float,
    sample_weight: Tensor | None = None,
) -> CausalHead:
    """Opens the stable channels' gates, solves the verdict on them alone, and teaches the adversary what is held back.

    Args:
        head: standardised already; its mask has one gate a channel.
        copies: [K, N, D], may be half precision. labels: [N], 1 generated. environments: long [N].
        strength: of the ridge. sample_weight: [N].

    Raises:
        TypeError: the head's mask is another for every picture.
    """
    if not isinstance(head.mask, ChannelGates):
        raise TypeError("Gates need a mask with hidden=0: one that is the same for every picture.")
    head.tau.fill_(1.0)
    score = stability(
        head, copies, labels, environments, halves=config.halves, strength=strength, sample_weight=sample_weight
    )
    passing = torch.zeros(len(score), dtype=torch.bool)
    passing[score.argsort(descending=True)[: round(config.passing * len(score))]] = True
    head.mask.open(passing)
    start_at_least_squares(head, copies, labels, strength=strength, sample_weight=sample_weight)
    _teach_adversary(head, copies, labels, sample_weight)
    return head.eval()


def stability(
    head: CausalHead,
    copies: Tensor,
    labels: Tensor,
    environments: Tensor,
    *,
    halves: int,
    strength: float,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """[D]: a channel's mean weight over ridge regressions on halves of the environments, in units of its deviation.

    Stability selection (Meinshausen and Buehlmann, 2010) with environments as the draws: the weight must keep its sign
    and its size. Each half sees one copy of a picture, drawn by lot.
    """
    names, found = environments.unique(), []
    for _ in range(halves):
        half = names[torch.randperm(len(names))[: len(names) // 2]]
        rows = torch.isin(environments, half).nonzero()[:, 0]
        probe = CausalHead(copies.shape[2], masked=False)
        probe.shift, probe.scale = head.shift, head.scale
        weight = None if sample_weight is None else sample_weight[rows]
        seen = copies[torch.randint(len(copies), (len(rows),)), rows]
        start_at_least_squares(probe, seen[None], labels[rows], strength=strength, sample_weight=weight)
        found.append(probe.verdict.weight[0].detach())
    weights = torch.stack(found)
    return weights.mean(0).abs() / weights.std(0).clamp_min(1e-9)


def _teach_adversary(head: CausalHead, copies: Tensor, labels: Tensor, weight: Tensor | None) -> None:
    """So that the card can say what the held-back part tells of the label."""
    steps, batch, rate = PROBING
    optimiser = torch.optim.Adam(head.adversary.parameters(), lr=rate)
    head.eval()
    for _ in range(steps):
        rows = torch.randint(len(labels), (batch,))
        with torch.no_grad():
            held_back = head(copies[torch.randint(len(copies), (batch,)), rows].float()).non_causal
        guess = head.adversary(held_back).squeeze(1)
        loss = F.binary_cross_entropy_with_logits(guess, labels[rows], None if weight is None else weight[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
