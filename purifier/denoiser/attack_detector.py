"""A detector of attacked pictures, and its confidence.

A perturbation has statistics of its own: how large it is against the picture's own fine detail, how
it hangs together from pixel to pixel and from channel to channel, whether it is everywhere (as
noise is) or in one place (as a patch is): `statistics`. And quantising it moves what CLIP sees:
`clip_moves` (feature squeezing, arXiv 1704.01155). A small network with one hidden layer, fitted to
attacked and clean training pictures, decides by both whether a picture is left as it is. It is
differentiable, so that an attacker may use it.
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
FARTHEST_SHARE = 0.1  # share of the patches that move farthest, for what is in one place
STILL = 0.003  # distance, added before the logarithm: less is noise of bfloat16


@dataclass(frozen=True, slots=True)
class AttackDetector:
    """A network with one hidden layer that reads the evidence on a picture: D numbers,
    standardised.

    Attributes:
        mean, deviation: of the numbers on the pictures that it was fitted to, [D] each.
        hidden: a row [D + 1] for each hidden unit, its weights and then its bias.
        weight: of the hidden units, and then the output's bias.
        false_alarms: the share of clean held-out pictures whose log-odds are above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    hidden: tuple[tuple[float, ...], ...]
    weight: tuple[float, ...]
    false_alarms: float

    def __call__(self, evidence: Tensor) -> Tensor:
        """Return log-odds [N] that each picture was attacked, from evidence [N, D]; above 0 it is
        purified."""
        scaled = (evidence - evidence.new_tensor(self.mean)) / evidence.new_tensor(self.deviation)
        units = F.relu(_affine(scaled, evidence.new_tensor(self.hidden)))
        return _affine(units, evidence.new_tensor([self.weight]))[:, 0]


def attack_decision(odds: Tensor) -> Tensor:
    """Return 1 where log-odds [N] are above 0, else 0.

    There is nothing between: half a purification would leave half of the attack, and half is enough
    to mislead. The gradient is that of a sigmoid, so that a step does not hide from an attacker
    what can be done.
    """
    soft = torch.sigmoid(SHARPNESS * odds)
    return (odds > 0).to(soft) + soft - soft.detach()


def _affine(x: Tensor, rows: Tensor) -> Tensor:
    """Map [N, D] to [N, R] by rows [R, D + 1], each of D weights and a bias."""
    return x @ rows[:, :-1].T + rows[:, -1]


def statistics(pixels: Tensor, removed: Tensor) -> Tensor:
    """Return the statistics of pictures, float [N, STATISTICS].

    Args:
        pixels: the pictures, float [N, 3, H, W] in [0, 1].
        removed: what the network would take out of them, of the same shape.
    """
    # 1. The perturbation that was found, and the picture's fine detail, in levels of 8 bits
    perturbation = removed * LEVELS
    detail = fine_detail(pixels) * LEVELS

    # 2. Over the whole picture: sizes, neighbours, channels, tails, and what is left when coarser
    size = _root_mean_square(perturbation)
    red, green, blue = perturbation.split(1, 1)
    columns = [
        size.log(),
        _root_mean_square(detail).log(),
        (_mean(perturbation.abs()) + 1e-3).log(),
        _correlation(perturbation[..., 1:], perturbation[..., :-1]),
        _correlation(perturbation[..., 1:, :], perturbation[..., :-1, :]),
        (_correlation(red, green) + _correlation(green, blue)) / 2,
        (_mean((perturbation / size.view(-1, 1, 1, 1)) ** 4) + 1e-3).log(),
        _correlation(perturbation, detail),
        (_mean(F.relu(perturbation.abs() - 3)) + 1e-2).log(),
        _root_mean_square(F.avg_pool2d(perturbation, 4)).log(),
        _root_mean_square(F.avg_pool2d(detail, 2)).log(),
    ]

    # 3. By place
    for values in (perturbation, detail, _colour(perturbation), _colour(detail)):
        columns += _by_place(values)
    return torch.stack(columns, 1)


def _by_place(values: Tensor) -> Iterator[Tensor]:
    """Yield how large values [N, 3, H, W] are in the cells of a grid, [N] each: on average, where
    they are largest, by how much that stands out, and where they are small."""
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
    """Return values [N, 3, H, W] without their mean over the three channels."""
    return values - values.mean(1, keepdim=True)


def _mean(x: Tensor) -> Tensor:
    """Return the mean of each picture's values, [N]."""
    return x.flatten(1).mean(1)


def _root_mean_square(x: Tensor) -> Tensor:
    """Return the root of the mean square of each picture's values, [N], never 0."""
    return _mean(x.square()).add(1e-6).sqrt()


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return the correlation of each picture's values in a and b, without taking means off, [N]."""
    return _mean(a * b) / (_root_mean_square(a) * _root_mean_square(b))


def clip_moves(tower: Tower, pixels: Tensor) -> Tensor:
    """Return how far CLIP's tokens move when pictures are quantised at the size that CLIP sees.

    Args:
        tower: CLIP, of L layers; compared on the processor, where it is.
        pixels: float [N, 3, H, W] in [0, 1], any size.

    Returns:
        Logarithms of distances (1 - cosine), [N, len(MILD) * (1 + 3 L)], where the pixels are. For
        each quality: of the embedding, and after every layer of the CLS token, of the patches on
        average, and what a share FARTHEST_SHARE of them exceeds.
    """
    resized = at_tower_size(tower, pixels.to(tower.mean.device)).clamp(0, 1)
    views = torch.cat([resized, *(quantise(resized, quality) for quality in MILD)])
    trace = tower(views)
    distances = [_distances(embedding(tower, trace), len(pixels))]
    for cls, patches in zip(trace.cls[1:], trace.patches[1:], strict=True):
        of_patches = _distances(patches, len(pixels))
        distances += [
            _distances(cls, len(pixels)),
            of_patches.mean(-1),
            of_patches.quantile(1 - FARTHEST_SHARE, -1),
        ]
    return (torch.stack(distances, -1).transpose(0, 1).flatten(1) + STILL).log().to(pixels)


def _distances(views: Tensor, count: int) -> Tensor:
    """Return 1 - cosine between what is seen of N pictures and of their Q quantised twins,
    [Q, N, ...]; views: [(1 + Q) N, ..., D], the pictures first."""
    before, *after = views.split(count)
    return torch.stack([1 - F.cosine_similarity(before, x, dim=-1) for x in after])
