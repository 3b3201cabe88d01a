"""What CLIP and the language model see of pictures, and how far that is from what they see of others."""

from collections.abc import Sequence

import torch
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.vlm import EmbeddedVLM
from purifier.vlm.features import clip_features

Seen = list[Tensor]  # visual tokens [N, V, D], patch tokens [N, P, W], embedding [N, E]


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
