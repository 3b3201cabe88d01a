"""Attacks on pictures, in [0, 1] pixel space: each moves a picture, inside a budget, to raise an
objective.

    adversarial = run_attack(Attack("pgd", eps=8), pixels, objective)  # float [N, 3, H, W]

The result is on 8-bit levels and inside the budget.

An objective is any callable [N, 3, H, W] -> [N] whose rise is the attack's aim (see objectives); an
untargeted attack raises the loss of what the model says now, a targeted one the likelihood of what
it shall say. ATTACKS holds every attack by its name; CONTRIBUTING.md says how to add one.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from purifier.attacks import algorithms as _algorithms  # noqa: F401, fills ATTACKS
from purifier.attacks.attacker import ATTACKS, Attacker, Objective, Plan, State
from purifier.attacks.budget import LEVELS, Budget, Norm
from purifier.pixels import check_pixels

__all__ = ["ATTACKS", "Attack", "Objective", "State", "attack_steps", "linf", "run_attack"]


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack by name, its budget and its steps.

    Attributes:
        name: one of ATTACKS.
        eps: "linf": the largest change of a value, in 1/255; "l2": the Euclidean length of the
            change on the [0, 1] scale. A patch has no such bound: it may change what it covers
            freely.
        norm: which of the two.
        steps: of the gradient, or queries of "square"; "fgsm" takes one whatever is set.
        step_size: in the unit of eps; None is 2.5 eps / steps (Madry et al., ICLR 2018).
        area: of a patch, as a share of the picture.
        seed: of the random start.
    """

    name: str = "pgd"
    eps: float = 8.0
    norm: Norm = "linf"
    steps: int = 10
    step_size: float | None = None
    area: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in ATTACKS:
            raise ValueError(f"There is no attack {self.name!r}; use one of {', '.join(ATTACKS)}.")
        if self.steps < 1:
            raise ValueError(f"An attack needs at least one step, not {self.steps}.")
        if self.norm not in self.attacker.norms:
            raise ValueError(
                f"The attack {self.name!r} keeps {' or '.join(self.attacker.norms)} alone."
            )
        if not 0 < self.area <= 0.5:
            raise ValueError(
                f"A patch covers a share above 0 and at most 0.5 of the picture, not {self.area}."
            )

    @property
    def attacker(self) -> type[Attacker]:
        """The class that makes the attack."""
        return ATTACKS[self.name]

    @property
    def budget(self) -> Budget:
        """The ball on the [0, 1] scale."""
        return Budget(self.eps / LEVELS if self.norm == "linf" else self.eps, self.norm)

    def plan(self) -> Plan:
        """Return the settings on the [0, 1] scale, with every default filled in."""
        budget = self.budget
        step_size = 2.5 * budget.eps / self.steps
        if self.step_size:
            step_size = self.step_size / LEVELS if self.norm == "linf" else self.step_size
        return Plan(budget, self.steps, step_size, self.area, self.seed)


def attack_steps(attack: Attack, pixels: Tensor, objective: Objective) -> Iterator[State]:
    """Yield after every step how far the attack is, and the best picture so far (rounded and in
    budget).

    Args:
        pixels: float [N, 3, H, W] in [0, 1].
    """
    check_pixels(pixels)
    return attack.attacker(pixels.detach(), attack.plan()).run(objective)


def run_attack(attack: Attack, pixels: Tensor, objective: Objective) -> Tensor:
    """Return the attacked pictures: float [N, 3, H, W] on 8-bit levels, exactly in budget."""
    return deque(attack_steps(attack, pixels, objective), maxlen=1)[0].rounded()


def linf(adversarial: Tensor, clean: Tensor) -> Tensor:
    """Return the largest change of a value of each picture, [N], in 1/255."""
    return Budget(1.0).spent(adversarial, clean) * LEVELS
