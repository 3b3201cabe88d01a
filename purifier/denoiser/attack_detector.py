"""How sure the purifier is that a picture was attacked.

A perturbation has statistics of its own: how large it is against the picture's own fine detail, how
it hangs together from pixel to pixel and from channel to channel, whether it is everywhere (as
noise is) or in one place (as a patch is). And it moves what CLIP sees (`squeezing`). A small
network with one hidden layer, fitted to attacked and clean training pictures, decides by both
whether a picture is left as it is. It is differentiable, so that an attacker may use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.attacks.budget import LEVELS
from purifier.denoiser.filters import fine_detail, quantise
from purifier.vlm.features import at_tower_size, embedding

STATISTICS = 27
CELLS = 14  # a side, of the grid in which places are compared
SHARPNESS = 4.0  # of the step at 0, for gradients
TOWER = "clip-vit-b-16"
MILD = (30, 70)  # qualities of JPEG: the lower one tells more of what was saved as a JPEG before
FEW = 0.1  # share of the patches that move farthest, for what is in one place
STILL = 0.003  # distance, added before the logarithm: less is noise of bfloat16


@dataclass(frozen=True, slots=True)
class AttackDetector:
    """A network with one hidden layer on what is known of a picture, D numbers, standardised.

    mean, deviation: of the numbers on the pictures that it was fitted to, [D].
    hidden: a row a hidden unit, its weights and then its bias. weight: of the hidden units, and
    then the output's bias.
    false_alarms: the share of clean held-out pictures whose log-odds are above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    hidden: tuple[tuple[float, ...], ...]
    weight: tuple[float, ...]
    false_alarms: float

    def __call__(self, evidence: Tensor) -> Tensor:
        """[N, D] -> log-odds [N] that each picture was attacked; it opens above 0."""
        scaled = (evidence - evidence.new_tensor(self.mean)) / evidence.new_tensor(self.deviation)
        units = F.relu(_affine(scaled, evidence.new_tensor(self.hidden)))
        return _affine(units, evidence.new_tensor([self.weight]))[:, 0]


def attack_decision(odds: Tensor) -> Tensor:
    """1 where log-odds [N] are above 0, else 0.

    There is nothing between: half a purification would leave half of the attack, and half is enough
    to mislead. The gradient is that of a sigmoid, so that a step does not hide from an attacker
    what can be done.
    """
    soft = torch.sigmoid(SHARPNESS * odds)
    return (odds > 0).to(soft) + soft - soft.detach()


def _affine(x: Tensor, rows: Tensor) -> Tensor:
    """[N, D] -> [N, R] by rows [R, D + 1] of weights and a bias."""
    return x @ rows[:, :-1].T + rows[:, -1]


def statistics(pixels: Tensor, removed: Tensor) -> Tensor:
    """The statistics of pictures: float [N, STATISTICS].

    Args:
        pixels: float [N, 3, H, W] in [0, 1], the picture. removed: the same shape, what the network
            would take out.
    """
    e, g = removed * LEVELS, fine_detail(pixels) * LEVELS
    size = _size(e)
    columns = [
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
    for values in (e, g, _colour(e), _colour(g)):
        columns += _by_place(values)
    return torch.stack(columns, 1)


def _by_place(values: Tensor) -> Iterator[Tensor]:
    """How large values [N, 3, H, W] are in the cells of a grid, each [N]: on average, where they
    are largest, by how much that stands out, and where they are small."""
    cells = (
        F.adaptive_avg_pool2d(values.square().mean(1, keepdim=True), CELLS)
        .flatten(1)
        .add(1e-6)
        .sqrt()
    )
    top = cells.topk(3, 1).values.mean(1).log()
    yield cells.mean(1).log()
    yield top
    yield top - (cells.median(1).values + 1e-2).log()
    yield (cells.quantile(0.1, 1) + 1e-2).log()


def _colour(values: Tensor) -> Tensor:
    """Without what the three channels share."""
    return values - values.mean(1, keepdim=True)


def _mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(1)


def _size(x: Tensor) -> Tensor:
    """Root of the mean square, never 0."""
    return _mean(x.square()).add(1e-6).sqrt()


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    return _mean(a * b) / (_size(a) * _size(b))


def clip_moves(tower: Tower, pixels: Tensor) -> Tensor:
    """How far CLIP's tokens move when pictures are quantised at the size that CLIP sees.

    Args:
        tower: CLIP, of L layers; compared on the processor, where it is.
        pixels: float [N, 3, H, W] in [0, 1], any size.

    Returns:
        Logarithms of distances (1 - cosine), [N, len(MILD) * (1 + 3 L)], where the pixels are. For
        each quality: of the embedding, and after every layer of the CLS token, of the patches on
        average, and what a share FEW of them exceeds.
    """
    resized = at_tower_size(tower, pixels.to(tower.mean.device)).clamp(0, 1)
    views = torch.cat([resized, *(quantise(resized, quality) for quality in MILD)])
    trace = tower(views)
    distances = [_distances(embedding(tower, trace), len(pixels))]
    for cls, patches in zip(trace.cls[1:], trace.patches[1:], strict=True):
        apart = _distances(patches, len(pixels))
        distances += [_distances(cls, len(pixels)), apart.mean(-1), apart.quantile(1 - FEW, -1)]
    return (torch.stack(distances, -1).transpose(0, 1).flatten(1) + STILL).log().to(pixels)


def _distances(views: Tensor, count: int) -> Tensor:
    """[(1 + Q) N, ..., D], of pictures and of their Q quantised twins -> 1 - cosine between the
    two, [Q, N, ...]."""
    before, *after = views.split(count)
    return torch.stack([1 - F.cosine_similarity(before, x, dim=-1) for x in after])
