"""From stored pairs to what one training step sees: crops for the squared error, whole pictures for CLIP's guidance."""

import random

import torch
from torch import Tensor

from purifier.attacks.budget import LEVELS
from purifier.denoiser.bridge import draw_times
from purifier.training.config import TrainConfig
from purifier.training.loss import Ends, Seen
from purifier.training.pairs import Pairs


def cropped_ends(pairs: Pairs, rng: random.Random, config: TrainConfig) -> Ends:
    """Random crops, turned and mirrored, of random states of the attack, the perturbation scaled by 0.5 to 1.25."""
    generator = torch.Generator().manual_seed(rng.randrange(1 << 40))
    rows = [rng.randrange(len(pairs.clean)) for _ in range(config.batch)]
    crops = [_crop(pairs, row, rng.randrange(len(pairs.moved)), rng, config) for row in rows]
    clean, moved = torch.stack(crops, 1)  # (N, 3, h, w) each
    scale = 0.5 + 0.75 * _uniform(config.batch, generator)
    scale = scale * (_uniform(config.batch, generator) >= config.clean)
    noise = torch.randn(clean.shape, generator=generator) * config.noise / LEVELS * _uniform(config.batch, generator)
    noise = noise * (_uniform(config.batch, generator) < config.noisy)
    t = draw_times(config.batch, generator)
    if config.kind == "regression":
        noise, t = torch.zeros_like(noise), torch.ones_like(t)
    if config.kind == "noise":
        spread = config.noise / LEVELS * _uniform(config.batch, generator)
        scale, noise = torch.zeros_like(scale), torch.randn(clean.shape, generator=generator) * spread
    return Ends(clean, (clean + scale * (moved - clean)).clamp(0, 1), t, noise)


def whole_ends(pairs: Pairs, rng: random.Random, config: TrainConfig) -> tuple[Ends, Seen, Seen]:
    """Whole attacked pictures, some of them clean, at t = 1; and CLIP's features of both ends."""
    count = min(config.batch, len(pairs.clean))
    rows = torch.tensor(rng.sample(range(len(pairs.clean)), count))
    untouched = torch.tensor([rng.random() < config.clean for _ in range(count)])
    clean, moved = _float(pairs.clean[rows]), _float(pairs.moved[-1][rows])
    moved = torch.where(untouched.view(-1, 1, 1, 1), clean, moved)
    clean_seen = _rows(pairs.clean_seen, rows)
    moved_seen = [
        torch.where(untouched.view(-1, *[1] * (a.dim() - 1)), a, b)
        for a, b in zip(clean_seen, _rows(pairs.moved_seen, rows), strict=True)
    ]
    ends = Ends(clean, moved, torch.ones(count), torch.zeros_like(clean))
    return ends, clean_seen, (moved_seen[0], moved_seen[1])


def _crop(pairs: Pairs, row: int, state: int, rng: random.Random, config: TrainConfig) -> Tensor:
    """The same crop of both ends, [2, 3, side, side]."""
    clean, moved = _float(pairs.clean[row]), _float(pairs.moved[state, row])
    side = min(config.crop, *clean.shape[-2:])
    top, left = (rng.randrange(size - side + 1) for size in clean.shape[-2:])
    turns, mirrored = rng.randrange(4), rng.random() < 0.5
    both = torch.stack([clean, moved])[..., top : top + side, left : left + side]
    both = torch.rot90(both, turns, (-2, -1))
    return both.flip(-1) if mirrored else both


def _rows(seen: Seen, rows: Tensor) -> Seen:
    return seen[0][rows], seen[1][rows]


def _float(pixels: Tensor) -> Tensor:
    return pixels.float() / LEVELS


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 1, 1, 1, generator=generator)
