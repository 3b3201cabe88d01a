"""What an adaptive attacker, who knows the defence, raises through it: its gradient is replaced
(BPDA), or averaged over its randomness (EOT)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from purifier.attacks.attacker import Objective

Defence = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> the same


@dataclass(frozen=True, slots=True)
class ExpectationOverTransformation:
    """The mean of `draws` values of an objective behind a random defence (EOT; Athalye et al., ICML
    2018, arXiv 1707.07397)."""

    objective: Objective
    draws: int = 4

    def __call__(self, pixels: Tensor) -> Tensor:
        return torch.stack([self.objective(pixels) for _ in range(self.draws)]).mean(0)

    @property
    def flat(self) -> bool:
        """Whether the gradient is zero at the clean picture."""
        return getattr(self.objective, "flat", False)


def bpda(defence: Defence) -> Defence:
    """Return a defence that is itself forwards and the identity backwards (Athalye et al., ICML
    2018, arXiv 1802.00420)."""

    def apply(pixels: Tensor) -> Tensor:
        passed: Tensor = _StraightThrough.apply(pixels, defence)
        return passed

    return apply


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pixels: Tensor, defence: Defence) -> Tensor:
        with torch.no_grad():
            return defence(pixels.detach()).clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None
