"""Fit a head on frozen features: by the objective, or as the ridge regression behind one mask.

To continue training a fitted head, pass it to `fit_head` with ridge=0; the weights of the losses
may be others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalclip.method import CausalHead, LossWeights, causal_loss
from training.detector.data import Record
from training.detector.ridge import start_at_ridge
from training.detector.selection import SelectionConfig, fit_selection

STANDARDISED = 100_000  # rows that the mean and deviation of a channel are taken from, at most
LOGGED = 50  # steps between two rows of the log


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a head is fitted.

    Attributes:
        epochs: passes over the pictures; each pass takes one of their cached copies at random.
        steps: of the optimiser, in place of epochs, so that how long is learned does not depend
            on how many pictures there are.
        batch: pictures a step.
        rate, decay: of AdamW; the decay acts on the verdict's and the mask's matrices.
        mask_rate: of the mask and the adversary, which start at nothing, where it is another.
        hidden: width of the mask's MLP; 0 is one mask for all pictures.
        masked: False is the linear probe.
        mask_start: the mask's logit before training; at 3, 95 % of every channel passes.
        tau_start, tau_end: temperature of the mask, annealed geometrically.
        average: share of the steps, at the end, whose weights are averaged.
        ridge: strength of the least squares that training starts from; 0 starts at a verdict that
            knows nothing.
        weights: of the losses (causalclip.method).
        selection: channels are selected and the verdict solved in closed form, in place of all of
            this but `ridge` and `seed`; `hidden` is 0 then.
    """

    epochs: int = 12
    steps: int | None = None
    batch: int = 256
    rate: float = 1e-3
    mask_rate: float | None = None
    decay: float = 1e-2
    hidden: int = 64
    masked: bool = True
    mask_start: float = 1.0
    tau_start: float = 2.0
    tau_end: float = 0.5
    average: float = 0.3
    ridge: float = 0.0
    weights: LossWeights = field(default_factory=LossWeights)
    selection: SelectionConfig | None = None
    seed: int = 0

    def new_head(self, width: int) -> CausalHead:
        """Return a head that is not fitted yet, for embeddings of `width` dimensions."""
        return CausalHead(width, hidden=self.hidden, masked=self.masked, start=self.mask_start)

    def count_steps(self, pictures: int) -> int:
        """Return how many steps are taken on so many pictures."""
        if self.steps is not None:
            return self.steps
        return self.epochs * -(-pictures // self.batch)


@dataclass(frozen=True, slots=True)
class Problem:
    """A training set: features [K, N, D] (half) of K copies of N pictures; labels, weights, folds,
    environments [N]."""

    records: tuple[Record, ...]
    features: Tensor
    labels: Tensor
    weight: Tensor
    fold: np.ndarray
    environments: np.ndarray

    def of_windows(self, features: Tensor, picture: np.ndarray) -> "Problem":
        """Return the same pictures, a row a window; the windows of a picture count together as much
        as the picture.

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
            environments=self.environments[picture],
        )


@torch.no_grad()
def standardise(head: CausalHead, embedding: Tensor, patch_total: Tensor | None = None) -> None:
    """Fix the mean and deviation [D] that a head's inputs are standardised with, from the training
    set [N, D].

    patch_total: [K, D], the sum of all patches' shares on some training pictures; its mean is the
        neutral picture that maps are drawn against.
    """
    head.shift.copy_(embedding.mean(0))
    head.scale.copy_(embedding.std(0).clamp_min(1e-6))
    if patch_total is not None:
        head.patch_shift.copy_(patch_total.mean(0))


def fit_head(
    head: CausalHead,
    features: Tensor,
    labels: Tensor,
    *,
    config: TrainConfig,
    sample_weight: Tensor | None = None,
    patch_total: Tensor | None = None,
    environments: Tensor | None = None,
    start: CausalHead | None = None,
    device: torch.device | None = None,
    log: Callable[[dict[str, float]], Any] | None = None,
) -> CausalHead:
    """Fit the head in place, seeded, and return it in evaluation mode.

    Args:
        features: float [N, D] or, with K copies of each picture, [K, N, D]; may be half precision.
        labels: [N], 1 generated, 0 real. sample_weight: [N], mean about 1.
        patch_total: see `standardise`.
        environments: long [N], see training.detector.data.assign_environments; the selection needs
            them.
        start: a head with one mask for all pictures, whose verdict is taken in place of the
            ridge's.
        device: that takes the steps, in float32; None for the processor, where the head ends in any
            case.
        log: is given `step`, `loss`, `tau` and `open`, the open share of the mask on the batch,
            every LOGGED steps and after the last one.

    Raises:
        ValueError: channels are to be selected without environments.
        TypeError: channels are to be selected, and the head's mask is another for every picture.
    """
    # 1. The scale of the channels
    torch.manual_seed(config.seed)
    copies = features[None] if features.dim() == 2 else features
    standardise(head, _spread(copies).float(), patch_total)

    # 2. In closed form, if channels are selected
    if config.selection:
        if environments is None:
            raise ValueError(
                "Channels are selected by what environments agree on; none were given."
            )
        return fit_selection(
            head,
            copies,
            labels,
            environments,
            config.selection,
            strength=config.ridge,
            sample_weight=sample_weight,
        )

    # 3. Where training starts
    if start or config.ridge:
        head.tau.fill_(config.tau_start)
    if start:
        start_at_head(head, start)
    elif config.ridge:
        start_at_ridge(head, copies, labels, strength=config.ridge, sample_weight=sample_weight)
    head.tau.fill_(config.tau_end)
    device = device or torch.device("cpu")
    head.to(device)

    # 4. The steps; the weights of the last ones are averaged
    optimiser = torch.optim.AdamW(list(_groups(head, config)), lr=config.rate)
    steps = config.count_steps(len(labels))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    average = torch.optim.swa_utils.AveragedModel(head)
    head.train()
    batches = in_turn(len(labels), config.batch)
    for step in range(steps):
        rows = next(batches)
        batch = copies[torch.randint(len(copies), (len(rows),)), rows].to(device).float()
        weight = None if sample_weight is None else sample_weight[rows].to(device)
        tau = temperature(config, step / steps)
        loss = causal_loss(
            head,
            batch,
            labels[rows].to(device),
            weights=config.weights,
            tau=tau,
            sample_weight=weight,
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if log and ((step + 1) % LOGGED == 0 or step + 1 == steps):
            log(_log_of_step(head, batch, step=step + 1, loss=loss, tau=tau))
        if step >= (1 - config.average) * steps:
            average.update_parameters(head)
    if config.average:
        head.load_state_dict(average.module.state_dict())
    return head.cpu().eval()


@torch.no_grad()
def _log_of_step(
    head: CausalHead, batch: Tensor, *, step: int, loss: Tensor, tau: float
) -> dict[str, float]:
    """Return what is logged of a step; the mask is read without noise, so that training draws the
    same numbers with a log as without."""
    mask = head.eval()(batch, tau=tau).mask
    head.train()
    return {"step": step, "loss": float(loss), "tau": tau, "open": float(mask.mean())}


def _spread(copies: Tensor) -> Tensor:
    """Return at most STANDARDISED rows of [K, N, D], spread evenly: all of a large set would not
    fit into memory."""
    count = copies.shape[0] * copies.shape[1]
    rows = (
        torch.arange(count)
        if count <= STANDARDISED
        else torch.linspace(0, count - 1, STANDARDISED).long()
    )
    return copies[rows // copies.shape[1], rows % copies.shape[1]]


def temperature(config: TrainConfig, progress: float) -> float:
    """Return the temperature at a share of the steps, annealed geometrically from tau_start at 0 to
    tau_end at 1."""
    return float(config.tau_start * (config.tau_end / config.tau_start) ** progress)


def in_turn(count: int, batch: int) -> Iterator[Tensor]:
    """Yield batches of row numbers, long [batch], without end: every row once before any comes
    again."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(count)])
        yield order[:batch]
        order = order[batch:]


def _groups(head: CausalHead, config: TrainConfig) -> Iterator[dict[str, Any]]:
    """Yield the optimiser's groups: the verdict, and the rest at its own rate.

    Only matrices decay.
    """
    verdict = set(head.verdict.parameters())
    rest = [p for p in head.parameters() if p not in verdict]
    for parameters, rate in (
        (head.verdict.parameters(), config.rate),
        (rest, config.mask_rate or config.rate),
    ):
        for parameter in parameters:
            yield {
                "params": [parameter],
                "lr": rate,
                "weight_decay": config.decay if parameter.dim() > 1 else 0.0,
            }


@torch.no_grad()
def start_at_head(head: CausalHead, other: CausalHead) -> None:
    """Set the verdict's weights so that the head, with every channel let through alike, judges as
    `other` does.

    other: with one mask for all pictures.
    """
    D = len(head.scale)
    through, mask = (
        h.mask.eval()(torch.zeros(1, D), tau=h.tau) if h.mask else torch.ones(1, D)
        for h in (head, other)
    )
    direction = other.direction(mask)[0]
    head.verdict.weight[0] = direction * head.scale / through[0]
    head.verdict.bias.copy_(other.offset(mask) + direction @ head.shift)
