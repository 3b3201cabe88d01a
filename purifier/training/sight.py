"""What CLIP and the language model see of pictures, and how far that is from what they see of others."""

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from causalclip.clip.tower import Tower
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from purifier.vlm.features import clip_features

Seen = list[Tensor]  # visual tokens [N, V, D], patch tokens [N, P, W], embedding [N, E]
Asked = Sequence[Sequence[str]]  # questions on each picture, may be none


class Sight:
    """The model's sight, and a unit for each part of it: how far purification moves it.

    Args:
        clean, purified: batches by which that is measured, each dimension in deviations (a few dimensions of CLIP's
            tokens are a hundred times as large as the others).
    """

    def __init__(self, model: EmbeddedVLM, clean: Sequence[Tensor], purified: Sequence[Tensor]) -> None:
        self.model = model
        with torch.no_grad():
            wanted, moved = ([torch.cat(part) for part in zip(*map(self, x), strict=True)] for x in (clean, purified))
        self.deviations = [part.flatten(0, -2).std(0) + 1e-3 for part in wanted]
        self.units = torch.stack(self._shifts(moved, wanted))

    def __call__(self, pixels: Tensor, *, tower: Tower | None = None) -> Seen:
        """Of pictures, through the model's tower or another one."""
        return self.of(*clip_features(tower or self.model.tower, pixels, layers=self.model.config.layers))

    def of(self, patches: Tensor, embedding: Tensor) -> Seen:
        """The same from CLIP's features."""
        return [self.model.connector(patches.float(), embedding.float()), patches.float(), embedding.float()]

    def left(self, seen: Seen, wanted: Seen) -> Tensor:
        """How far apart they are, [3], as shares of what purification does."""
        return torch.stack(self._shifts(seen, wanted)) / self.units

    def _shifts(self, seen: Seen, wanted: Seen) -> list[Tensor]:
        return [
            ((a - b) / deviation).square().mean() for a, b, deviation in zip(seen, wanted, self.deviations, strict=True)
        ]


def divergence(
    model: EmbeddedVLM, seen: Tensor, wanted: Tensor, asked: Asked, pool: Sequence[str], rng: random.Random
) -> Tensor:
    """Mean KL divergence of the first word that the model would say with visual tokens `wanted` [N, V, D] from that
    with `seen`: of a caption, and to two questions on each picture, one of them its own if it has any."""
    rows, prompts = [], []
    for i, own in enumerate(asked):
        rows += [i, i, i]
        prompts += [rng.choice(own or pool), rng.choice(pool), CAPTION_PROMPT]
    with torch.no_grad():
        expected = model.logits(wanted[rows], prompts, [""] * len(rows))[0][:, -1].softmax(-1)
    found = model.logits(seen[rows], prompts, [""] * len(rows))[0][:, -1].log_softmax(-1)
    return nn.functional.kl_div(found, expected, reduction="batchmean")
