"""Stability selection: those channels pass whose weight keeps its sign and size from environment
to environment; the verdict is solved on them alone."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.method import CausalHead, SharedMask
from training.detector.ridge import start_at_ridge

# steps, pictures a step, rate: of the adversary that reads what is suppressed
PROBING = 300, 256, 1e-3


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Stability selection of channels.

    Attributes:
        passing: share of the channels that pass.
        halves: how many halves of the environments are drawn by lot.
    """

    passing: float = 0.25
    halves: int = 8


def fit_selection(
    head: CausalHead,
    copies: Tensor,
    labels: Tensor,
    environments: Tensor,
    config: SelectionConfig,
    *,
    strength: float,
    sample_weight: Tensor | None = None,
) -> CausalHead:
    """Let the stable channels pass, solve the verdict on them alone, and teach the adversary what
    is suppressed.

    Args:
        head: standardised already; its mask has one logit a channel.
        copies: [K, N, D], may be half precision. labels: [N], 1 generated. environments: long [N].
        strength: of the ridge. sample_weight: [N].

    Raises:
        TypeError: the head's mask is another for every picture.
    """
    if not isinstance(head.mask, SharedMask):
        raise TypeError(
            "A selection needs a mask with hidden=0: one that is the same for every picture."
        )
    head.tau.fill_(1.0)
    score = _selection_scores(
        head,
        copies,
        labels,
        environments,
        halves=config.halves,
        strength=strength,
        sample_weight=sample_weight,
    )
    passing = torch.zeros(len(score), dtype=torch.bool)
    passing[score.argsort(descending=True)[: round(config.passing * len(score))]] = True
    head.mask.select(passing)
    start_at_ridge(head, copies, labels, strength=strength, sample_weight=sample_weight)
    _teach_adversary(head, copies, labels, sample_weight)
    return head.eval()


def _selection_scores(
    head: CausalHead,
    copies: Tensor,
    labels: Tensor,
    environments: Tensor,
    *,
    halves: int,
    strength: float,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Return each channel's selection score [D]: its mean weight over ridge regressions on halves
    of the environments, in units of its deviation.

    This is stability selection (Meinshausen and Buehlmann, 2010) with environments as the draws:
    the weight must keep its sign and its size. Each half sees one copy of a picture, drawn by lot.
    """
    names = environments.unique()
    weights_of_halves = []
    for _ in range(halves):
        half = names[torch.randperm(len(names))[: len(names) // 2]]
        rows = torch.isin(environments, half).nonzero()[:, 0]
        probe = CausalHead(copies.shape[2], masked=False)
        probe.shift, probe.scale = head.shift, head.scale
        weight = None if sample_weight is None else sample_weight[rows]
        sample = copies[torch.randint(len(copies), (len(rows),)), rows]
        start_at_ridge(probe, sample[None], labels[rows], strength=strength, sample_weight=weight)
        weights_of_halves.append(probe.verdict.weight[0].detach())
    weights = torch.stack(weights_of_halves)
    return weights.mean(0).abs() / weights.std(0).clamp_min(1e-9)


def _teach_adversary(
    head: CausalHead, copies: Tensor, labels: Tensor, weight: Tensor | None
) -> None:
    """Fit the adversary, so that the card can say what the suppressed part tells of the label."""
    steps, batch, rate = PROBING
    optimiser = torch.optim.Adam(head.adversary.parameters(), lr=rate)
    head.eval()
    for _ in range(steps):
        rows = torch.randint(len(labels), (batch,))
        with torch.no_grad():
            suppressed = head(copies[torch.randint(len(copies), (batch,)), rows].float()).non_causal
        guess = head.guess(suppressed)
        loss = F.binary_cross_entropy_with_logits(
            guess, labels[rows], None if weight is None else weight[rows]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
