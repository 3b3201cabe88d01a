"""What the purifier is trained by: the bridge's squared error, and directional guidance by the frozen CLIP encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.denoiser.bridge import bridge_point, clean_estimate
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.vlm.features import LAYERS, clip_features

Seen = tuple[Tensor, Tensor]  # patch tokens [N, T, D] and embedding [N, E] of CLIP


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a bridge, and a time on it.

    clean, moved: [N, 3, H, W]. t: [N]. noise: [N, 3, H, W], what is added at the adversarial end.
    """

    clean: Tensor
    moved: Tensor
    t: Tensor
    noise: Tensor


def bridge_loss(pipeline: PurifierPipeline, ends: Ends) -> tuple[Tensor, Tensor]:
    """Mean squared error of the velocity, in units of the pipeline's scale; and the clean estimate [N, 3, H, W]."""
    point, velocity = bridge_point(ends.clean, ends.moved, ends.t, ends.noise)
    said = pipeline.velocity(point, ends.t)
    loss = ((said - velocity) / pipeline.config["scale"]).square().mean()
    return loss, clean_estimate(point, said, ends.t)


class Guidance:
    """Pulls f(x^) - f(x') towards f(x) - f(x'), f the frozen task encoder: CoDefend's direction, by its cosine.

    A direction says nothing of how far to go, so that what is left of the shift, |f(x^) - f(x)|^2 over the batch's mean
    |f(x') - f(x)|^2, is added. Features are divided by their deviation over the batch's clean pictures, each dimension
    by itself: a few dimensions of CLIP's tokens are a hundred times as large as the others.

    Args:
        layers: of the tower, beside its embedding.
    """

    def __init__(
        self,
        tower: Tower,
        *,
        layers: Sequence[int] = LAYERS,
    ) -> None:
        self.tower, self.layers = tower, tuple(layers)

    def __call__(self, estimate: Tensor, clean_seen: Seen, moved_seen: Seen) -> Tensor:
        """x^ [N, 3, H, W] and the features of x and x' -> a scalar."""
        terms = []
        seen = clip_features(self.tower, estimate, layers=self.layers)
        for ours, clean, moved in zip(seen, clean_seen, moved_seen, strict=True):
            deviation = clean.flatten(0, -2).std(0) + 1e-3
            want, got, left = ((a - b) / deviation for a, b in ((clean, moved), (ours, moved), (ours, clean)))
            attacked = want.square().sum(-1) > 1e-6  # a clean picture has no direction
            cosine = 1 - F.cosine_similarity(got, want, dim=-1)
            remains = left.square().mean() / want.square().mean().clamp_min(1e-4)
            terms.append((cosine * attacked).sum() / attacked.sum().clamp_min(1) + remains)
        return torch.stack(terms).mean()
