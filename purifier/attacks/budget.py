"""The budget of an attack on a picture, in [0, 1] pixel space: projection, steps, rounding that
keeps it."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["linf", "l2"]
LEVELS = 255
SLACK = 1e-4  # of one level: float noise, so that a bound that falls on a level keeps it


@dataclass(frozen=True, slots=True)
class Budget:
    """A ball around a picture.

    eps: the radius on the [0, 1] scale: of every value's change ("linf"), or the Euclidean length
        of the whole picture's change ("l2").
    """

    eps: float
    norm: Norm = "linf"

    def __post_init__(self) -> None:
        if self.norm not in {"linf", "l2"}:
            raise ValueError(f"There is no norm {self.norm!r}; use linf or l2.")
        if not 0 < self.eps < 1e4:
            raise ValueError(f"The budget must be above 0, not {self.eps}.")
        if self.norm == "linf" and self.eps > 1:
            raise ValueError(
                f"The budget must be at most {LEVELS} (of {LEVELS}), not {self.eps * LEVELS:g}."
            )

    def project(self, adversarial: Tensor, clean: Tensor) -> Tensor:
        """Return the pictures nearest to `adversarial` that are in the ball around `clean` and in
        [0, 1]; all [N, 3, H, W]."""
        change = adversarial - clean
        if self.norm == "linf":
            change = change.clamp(-self.eps, self.eps)
        else:
            change = change * (self.eps / length(change).clamp_min(1e-12)).clamp_max(1)
        return (clean + change).clamp(0, 1)

    def ascent(self, gradient: Tensor) -> Tensor:
        """The direction of steepest ascent, of unit size in the norm: the sign, or the gradient
        over its length."""
        return (
            gradient.sign() if self.norm == "linf" else gradient / length(gradient).clamp_min(1e-12)
        )

    def random_start(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """A random picture in the ball: uniform ("linf"), or in a random direction at a random
        length ("l2")."""
        noise = torch.rand(clean.shape, generator=generator) * 2 - 1
        if self.norm == "l2":
            noise = noise / length(noise) * torch.rand(len(clean), 1, 1, 1, generator=generator)
        return (clean + self.eps * noise.to(clean)).clamp(0, 1)

    def round(self, adversarial: Tensor, clean: Tensor) -> Tensor:
        """Return `adversarial` on the 256 levels of an 8-bit picture, still in the ball exactly.

        "linf": every value goes to the nearest level inside its bounds. "l2": the change is shrunk,
        by as little as bisection finds, until the rounded one is short enough.
        """
        low, high = clean.double() * LEVELS, clean.double() * LEVELS
        if self.norm == "linf":
            low = (low - self.eps * LEVELS - SLACK).ceil().clamp_min(0)
            high = (high + self.eps * LEVELS + SLACK).floor().clamp_max(LEVELS)
            level = (adversarial.double() * LEVELS).round()
            return (torch.minimum(torch.maximum(level, low), high) / LEVELS).to(adversarial)
        return self._round_l2(adversarial.double(), clean.double()).to(adversarial)

    def _round_l2(self, adversarial: Tensor, clean: Tensor) -> Tensor:
        best = clean.clone()  # the budget holds at scale 0 whatever the clean picture's levels are
        low, high = torch.zeros(len(clean), 1, 1, 1), torch.ones(len(clean), 1, 1, 1)
        for scale in [high, *[None] * 16]:
            s = (low + high) / 2 if scale is None else scale
            candidate = (
                (clean + s.to(clean) * (adversarial - clean)).clamp(0, 1) * LEVELS
            ).round() / LEVELS
            fits = length(candidate - clean) <= self.eps
            best = torch.where(fits, candidate, best)
            low, high = torch.where(fits.cpu(), s, low), torch.where(fits.cpu(), high, s)
        return best

    def spent(self, adversarial: Tensor, clean: Tensor) -> Tensor:
        """The size of the change in the norm, [N]."""
        change = adversarial.double() - clean.double()
        return change.abs().flatten(1).amax(1) if self.norm == "linf" else length(change).flatten()


def length(x: Tensor) -> Tensor:
    """Return the Euclidean length of each picture, [N, 1, 1, 1]."""
    return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def to_levels(pixels: Tensor) -> Tensor:
    """Round float [..] in [0, 1] to the nearest picture with 8 bits a value, still float in [0,
    1]."""
    return (pixels.clamp(0, 1) * LEVELS).round() / LEVELS
