"""Fits a causal head on frozen features. Offline; the app never imports this."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalclip.head.losses import LossWeights, causal_loss
from causalclip.head.model import CausalHead
from causalclip.training.closed_form import GateConfig, fit_gates, start_at_least_squares
from causalclip.training.data import Record
from causalclip.training.splicing import Cells


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a head is fitted.

    epochs: passes over the pictures; each pass takes one of their cached copies at random. batch: pictures a step.
    rate, decay: of AdamW; the decay acts on the verdict's and the mask's matrices. mask_rate: of the mask and the
        adversary, which start at nothing, where it is another.
    hidden: of the mask's MLP. masked: False is the linear probe.
    tau_start, tau_end: temperature of the mask, annealed geometrically.
    average: share of the steps, at the end, whose weights are averaged.
    mixup: of embeddings and labels, alpha of the Beta distribution; 0 mixes nothing.
    ridge: strength of the least squares that training starts from; 0 starts at a verdict that knows nothing.
    environments_a_step: how many a batch is drawn from, where a loss looks at environments.
    gates: chosen in closed form (causalclip.training.closed_form) in place of all of this but `ridge` and `seed`;
        `hidden` is 0 then.
    """

    epochs: int = 12
    batch: int = 256
    rate: float = 1e-3
    mask_rate: float | None = None
    decay: float = 1e-2
    hidden: int = 64
    masked: bool = True
    tau_start: float = 2.0
    tau_end: float = 0.5
    average: float = 0.3
    pairs_a_step: int = 32
    splices_a_step: int = 16
    mixup: float = 0.0
    ridge: float = 0.0
    environments_a_step: int = 8
    weights: LossWeights = field(default_factory=LossWeights)
    gates: GateConfig | None = None
    seed: int = 0


def temperature(config: TrainConfig, progress: float) -> float:
    """Geometric annealing: tau_start at progress 0, tau_end at 1."""
    return float(config.tau_start * (config.tau_end / config.tau_start) ** progress)


def mix(x: Tensor, y: Tensor, weight: Tensor | None, *, alpha: float) -> tuple[Tensor, Tensor, Tensor | None]:
    """Every sample with another one, in the same shares (mixup, arXiv 1710.09412): x [B, D], y [B], weight [B]."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(x))
    blend = lambda v: share * v + (1 - share) * v[other]  # noqa: E731
    return blend(x), blend(y), None if weight is None else blend(weight)


@dataclass(frozen=True, slots=True)
class Problem:
    """A training set: features [K, N, D] (half), labels, weights, folds, environments [N], pairs [P, 2], splices."""

    records: tuple[Record, ...]
    features: Tensor
    labels: Tensor
    weight: Tensor
    fold: np.ndarray
    pairs: np.ndarray
    environments: np.ndarray
    cells: Cells | None = None

    def of_windows(self, features: Tensor, picture: np.ndarray) -> "Problem":
        """The same pictures, a row a window; the windows of a picture count together as much as the picture.

        features: half [M, D]. picture: [M], whose they are.
        """
        count = np.bincount(picture, minlength=len(self.records))
        weight = self.weight[picture] / torch.from_numpy(count[picture])
        return Problem(
            records=tuple(self.records[i] for i in picture),
            features=features[None],
            labels=self.labels[picture],
            weight=weight / weight.mean(),
            fold=self.fold[picture],
            pairs=np.zeros((0, 2), dtype=np.int64),
            environments=self.environments[picture],
        )


def fit_head(
    head: CausalHead,
    features: Tensor,
    labels: Tensor,
    *,
    config: TrainConfig,
    sample_weight: Tensor | None = None,
    pairs: Tensor | None = None,
    places: tuple[Tensor, Tensor] | None = None,
    patch_total: Tensor | None = None,
    environments: Tensor | None = None,
) -> CausalHead:
    """Fits the head in place, seeded, and returns it in evaluation mode.

    Args:
        features: float [N, D] or, with K augmented copies of each picture, [K, N, D]; may be half precision.
        labels: [N], 1 generated, 0 real. sample_weight: [N], mean about 1.
        pairs: long [P, 2], rows of (real, its generated twin), for the pair loss.
        places: (half [S, C, D], [S, C]), cells of splices and how much of each is generated, for the verdict's places.
        patch_total: see CausalHead.standardise_by.
        environments: long [N], see causalclip.training.data.assign_environments; used where a loss looks at them.
    """
    torch.manual_seed(config.seed)
    copies = features[None] if features.dim() == 2 else features
    head.standardise_by(copies.flatten(0, 1).float(), patch_total)
    if config.gates:
        if environments is None:
            raise ValueError("Gates are chosen by what environments agree on; none were given.")
        return fit_gates(
            head, copies, labels, environments, config.gates, strength=config.ridge, sample_weight=sample_weight
        )
    if config.ridge:
        head.tau.fill_(config.tau_start)
        start_at_least_squares(
            head,
            copies,
            labels,
            strength=config.ridge,
            sample_weight=sample_weight,
            places=places,
            places_weight=config.weights.places,
        )
    head.tau.fill_(config.tau_end)
    optimiser = torch.optim.AdamW(list(_groups(head, config)), lr=config.rate)
    N = len(labels)
    steps = config.epochs * -(-N // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    average = torch.optim.swa_utils.AveragedModel(head)
    head.train()
    sites = environments if config.weights.over_environments else None
    batches = in_turn(N, config.batch) if sites is None else in_environments(sites, config)
    for step in range(steps):
        rows = next(batches)
        twins = None
        if pairs is not None and len(pairs) and config.weights.pairs:
            drawn = pairs[torch.randint(len(pairs), (config.pairs_a_step,))]
            twins = torch.arange(2 * len(drawn)).view(2, -1).T + len(rows)
            rows = torch.cat([rows, drawn[:, 0], drawn[:, 1]])
        x, y = copies[torch.randint(len(copies), (len(rows),)), rows].float(), labels[rows]
        weight = None if sample_weight is None else sample_weight[rows]
        if config.mixup and twins is None:
            x, y, weight = mix(x, y, weight, alpha=config.mixup)
        spliced = None
        if places is not None and config.weights.places:
            drawn = torch.randint(len(places[0]), (config.splices_a_step,))
            spliced = places[0][drawn].float(), places[1][drawn]
        tau = temperature(config, step / steps)
        loss, _ = causal_loss(
            head,
            x,
            y,
            weights=config.weights,
            tau=tau,
            sample_weight=weight,
            pairs=twins,
            places=spliced,
            environments=None if sites is None else sites[rows],
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= (1 - config.average) * steps:
            average.update_parameters(head)
    if config.average:
        head.load_state_dict(average.module.state_dict())
    return head.eval()


def in_turn(count: int, batch: int) -> Iterator[Tensor]:
    """Batches of row numbers, long [batch], without end: every row once before any comes again."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(count)])
        yield order[:batch]
        order = order[batch:]


def in_environments(environments: Tensor, config: TrainConfig) -> Iterator[Tensor]:
    """Batches of row numbers, without end, from a few environments each, as many rows of one as of another."""
    rows = [torch.nonzero(environments == e)[:, 0] for e in environments.unique()]
    share = max(1, config.batch // config.environments_a_step)
    while True:
        drawn = torch.randperm(len(rows))[: config.environments_a_step]
        yield torch.cat([rows[e][torch.randint(len(rows[e]), (share,))] for e in drawn])


def _groups(head: CausalHead, config: TrainConfig) -> Iterator[dict[str, Any]]:
    """The verdict, and the rest at its own rate; only matrices decay."""
    verdict = set(head.verdict.parameters())
    rest = [p for p in head.parameters() if p not in verdict]
    for parameters, rate in ((head.verdict.parameters(), config.rate), (rest, config.mask_rate or config.rate)):
        for parameter in parameters:
            yield {"params": [parameter], "lr": rate, "weight_decay": config.decay if parameter.dim() > 1 else 0.0}
