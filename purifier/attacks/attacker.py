"""Parts of every attack: its settings, its state, the loop along a gradient, and the
registry."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from purifier.attacks.budget import Budget, Norm, to_levels
from purifier.choices import ATTACK_CHOICES

AnyAttacker = TypeVar("AnyAttacker", bound="type[Attacker]")
Objective = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> [N], to be raised
ATTACKS: dict[str, type["Attacker"]] = {}  # by name, one for each of ATTACK_CHOICES


@dataclass(frozen=True, slots=True)
class Plan:
    """An attack's settings on the [0, 1] scale (see attacks.Attack)."""

    budget: Budget
    steps: int
    step_size: float
    area: float = 0.02
    seed: int = 0

    def generator(self) -> torch.Generator:
        """Return a fresh generator, from the seed."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(slots=True)
class State:
    """The present state of an attack.

    Attributes:
        step: how many are done.
        steps: how many are planned.
        clean: the pictures, [N, 3, H, W].
        pixels: the best attacked ones so far, [N, 3, H, W].
        loss: the objective there, [N].
        budget: how far the attack may go.
        bounded: whether the budget binds (a patch has none).
    """

    step: int
    steps: int
    clean: Tensor
    pixels: Tensor
    loss: Tensor
    budget: Budget
    bounded: bool = True

    def rounded(self) -> Tensor:
        """Return the best pictures so far, on 8-bit levels and exactly in budget."""
        if not self.bounded:
            return to_levels(self.pixels)
        return self.budget.round(self.pixels, self.clean)


class Attacker(ABC):
    """An attack on pictures [N, 3, H, W] that keeps the best of each; a subclass says how it
    searches.

    Attributes:
        name, summary: as it is chosen, and one sentence in English (purifier.choices). Set by
            `register`.
        norms: the norms of a budget that it can keep. default_steps: where no number is given.
        needs_gradient: whether it follows the objective's gradient. bounded: whether the budget
            binds.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    default_steps: ClassVar[int] = 20
    needs_gradient: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    def __init__(self, clean: Tensor, plan: Plan) -> None:
        self.clean, self.plan, self.budget = clean, plan, plan.budget
        self.pixels = clean.clone()
        self.loss = torch.full((len(clean),), -torch.inf, device=clean.device)

    @abstractmethod
    def run(self, objective: Objective) -> Iterator[State]:
        """Yield the state after every step."""

    def offer(self, pixels: Tensor, loss: Tensor) -> Tensor:
        """Keep what is better; return where it was, [N]."""
        better = loss > self.loss
        self.pixels = torch.where(better.view(-1, 1, 1, 1), pixels.detach(), self.pixels)
        self.loss = torch.where(better, loss.detach(), self.loss)
        return better

    def state(self, step: int, steps: int | None = None) -> State:
        """Return where the attack is after a step."""
        steps = steps or self.plan.steps
        return State(step, steps, self.clean, self.pixels, self.loss, self.budget, self.bounded)


def register(name: str) -> Callable[[AnyAttacker], AnyAttacker]:
    """Add a class to ATTACKS, as the attack of that name in ATTACK_CHOICES.

    Raises:
        KeyError: there is none of that name to be chosen.
    """

    def add(attacker: AnyAttacker) -> AnyAttacker:
        attacker.name, attacker.summary = name, ATTACK_CHOICES[name].summary
        ATTACKS[name] = attacker
        return attacker

    return add


class GradientAttack(Attacker):
    """Ascent along the gradient, from a random place in the budget or from the clean picture."""

    random_start = True

    @abstractmethod
    def step(self, adversarial: Tensor, gradient: Tensor, loss: Tensor, number: int) -> Tensor:
        """Return the next pictures.

        Args:
            adversarial: the pictures now, [N, 3, H, W].
            gradient: of the objective there.
            loss: the objective there, [N].
            number: of the step, from 1.
        """

    def start(self, objective: Objective) -> Tensor:
        """Return where to start: at a random place of the ball if that is the attack's way, or if
        the objective is flat at the clean picture."""
        if self.random_start or getattr(objective, "flat", False):
            return self.budget.random_start(self.clean, self.plan.generator())
        return self.clean.clone()

    @property
    def steps(self) -> int:
        return self.plan.steps

    def run(self, objective: Objective) -> Iterator[State]:
        adversarial = self.start(objective)
        for number in range(1, self.steps + 1):
            loss, gradient = _loss_and_gradient(objective, adversarial)
            self.offer(adversarial, loss)
            adversarial = self.step(adversarial, gradient, loss, number)
            if number == self.steps:
                with torch.no_grad():
                    self.offer(adversarial, objective(adversarial).float())
            yield self.state(number, self.steps)


def _loss_and_gradient(objective: Objective, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the objective [N] and its gradient [N, 3, H, W]; the model's own weights get none."""
    with torch.enable_grad():
        x = pixels.detach().requires_grad_(True)
        loss = objective(x)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
    return loss.detach().float(), gradient
