"""What attacks share: their plan, the state they report after every step, and the gradient of an objective."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from purifier.attacks.budget import Budget, to_levels

Objective = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> [N], to be raised


@dataclass(frozen=True, slots=True)
class Plan:
    """An attack's settings on the [0, 1] scale (see attacks.Attack)."""

    budget: Budget
    steps: int
    step_size: float
    area: float = 0.02
    seed: int = 0

    def generator(self) -> torch.Generator:
        """A fresh one, from the seed."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(slots=True)
class State:
    """Where an attack is.

    step, steps: how many are done, and planned. clean, pixels: the pictures, and the best attacked ones so far,
    [N, 3, H, W]. loss: the objective there, [N]. bounded: whether the budget binds (a patch has none).
    """

    step: int
    steps: int
    clean: Tensor
    pixels: Tensor
    loss: Tensor
    budget: Budget
    bounded: bool = True

    def rounded(self) -> Tensor:
        """The best pictures so far, on 8-bit levels and exactly in budget."""
        return self.budget.round(self.pixels, self.clean) if self.bounded else to_levels(self.pixels)


class Best:
    """Keeps the picture with the highest loss of each row."""

    def __init__(self, clean: Tensor, plan: Plan, *, bounded: bool = True) -> None:
        self.clean, self.plan, self.bounded = clean, plan, bounded
        self.pixels = clean.clone()
        self.loss = torch.full((len(clean),), -torch.inf, device=clean.device)

    def offer(self, pixels: Tensor, loss: Tensor) -> Tensor:
        """Takes what is better; returns where it was, [N]."""
        better = loss > self.loss
        self.pixels = torch.where(better.view(-1, 1, 1, 1), pixels.detach(), self.pixels)
        self.loss = torch.where(better, loss.detach(), self.loss)
        return better

    def state(self, step: int, steps: int | None = None) -> State:
        return State(step, steps or self.plan.steps, self.clean, self.pixels, self.loss, self.plan.budget, self.bounded)


def loss_and_gradient(objective: Objective, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The objective [N] and its gradient [N, 3, H, W]; the model's own weights get none."""
    with torch.enable_grad():
        x = pixels.detach().requires_grad_(True)
        loss = objective(x)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
    return loss.detach().float(), gradient


def starts(objective: Objective, clean: Tensor, plan: Plan, *, random: bool) -> Tensor:
    """Where to start: at a random place of the ball if asked, or if the objective is flat at the clean picture."""
    if random or getattr(objective, "flat", False):
        return plan.budget.random_start(clean, plan.generator())
    return clean.clone()
