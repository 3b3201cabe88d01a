"""How sure the purifier is that a picture was attacked, from what its first network would take out of it.

A perturbation has statistics of its own: how large it is against the picture's own fine detail, how it hangs together
from pixel to pixel and from channel to channel. A logistic regression on eleven of them, fitted to attacked and clean
training pictures, decides whether a picture is left as it is. It is differentiable, so that an attacker may use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from purifier.attacks.budget import LEVELS
from purifier.filters import fine_detail

STATISTICS = 11


@dataclass(frozen=True, slots=True)
class Gate:
    """mean, deviation: of the statistics on the pictures that it was fitted to. weight, bias: of the regression, whose
    0 lies where `false_alarms` of clean held-out pictures lie above it. sharpness: times the log-odds, so that most
    pictures are let through whole or not at all."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    weight: tuple[float, ...]
    bias: float
    false_alarms: float
    sharpness: float = 4.0

    def __call__(self, pixels: Tensor, removed: Tensor) -> Tensor:
        """[N] in (0, 1): how much each picture is purified; see `statistics`."""
        found = statistics(pixels, removed)
        scaled = (found - found.new_tensor(self.mean)) / found.new_tensor(self.deviation)
        return torch.sigmoid(self.sharpness * (scaled @ found.new_tensor(self.weight) + self.bias))


def statistics(pixels: Tensor, removed: Tensor) -> Tensor:
    """What the gate decides by: float [N, STATISTICS].

    Args:
        pixels: float [N, 3, H, W] in [0, 1], the picture. removed: the same shape, what the network would take out.
    """
    e, g = removed * LEVELS, fine_detail(pixels) * LEVELS
    size = _size(e)
    found = [
        size.log(),
        _size(g).log(),
        (_mean(e.abs()) + 1e-3).log(),
        _correlation(e[..., 1:], e[..., :-1]),
        _correlation(e[..., 1:, :], e[..., :-1, :]),
        (_correlation(e[:, :1], e[:, 1:2]) + _correlation(e[:, 1:2], e[:, 2:])) / 2,
        (_mean((e / size.view(-1, 1, 1, 1)) ** 4) + 1e-3).log(),
        _correlation(e, g),
        (_mean(F.relu(e.abs() - 3)) + 1e-2).log(),
        _size(F.avg_pool2d(e, 4)).log(),
        _size(F.avg_pool2d(g, 2)).log(),
    ]
    return torch.stack(found, 1)


def _mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(1)


def _size(x: Tensor) -> Tensor:
    """Root of the mean square, never 0."""
    return _mean(x.square()).add(1e-6).sqrt()


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    return _mean(a * b) / (_size(a) * _size(b))
