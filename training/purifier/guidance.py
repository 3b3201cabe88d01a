"""Guidance of the network by the frozen encoder while it learns (CoDefend, arXiv 2510.11096)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.vlm.features import clip_features

Features = tuple[Tensor, Tensor]  # patch tokens [N, T, D] and embedding [N, E] of CLIP


class Guidance:
    """Pulls f(x^) - f(x') towards f(x) - f(x'), f the frozen task encoder: CoDefend's direction, by
    its cosine.

    A direction says nothing of how far to go, so that what is left of the shift, |f(x^) - f(x)|^2
    over the batch's mean |f(x') - f(x)|^2, is added. Features are divided by their deviation over
    the batch's clean pictures, each dimension by itself: a few dimensions of CLIP's tokens are a
    hundred times as large as the others.

    Args:
        layers: of the tower, beside its embedding.
    """

    def __init__(self, tower: Tower, *, layers: Sequence[int]) -> None:
        self.tower, self.layers = tower, tuple(layers)

    def __call__(
        self, estimate: Tensor, clean_seen: Features, adversarial_seen: Features
    ) -> Tensor:
        """Return the loss, a scalar, of x^ [N, 3, H, W] and the features of x and x'."""
        terms = []
        estimate_features = clip_features(self.tower, estimate, layers=self.layers)
        for ours, clean, adversarial in zip(
            estimate_features, clean_seen, adversarial_seen, strict=True
        ):
            deviation = clean.flatten(0, -2).std(0) + 1e-3
            want, got, rest = (
                (a - b) / deviation
                for a, b in ((clean, adversarial), (ours, adversarial), (ours, clean))
            )
            is_attacked = want.square().sum(-1) > 1e-6  # a clean picture has no direction
            cosine = 1 - F.cosine_similarity(got, want, dim=-1)
            remains = rest.square().mean() / want.square().mean().clamp_min(1e-4)
            terms.append((cosine * is_attacked).sum() / is_attacked.sum().clamp_min(1) + remains)
        return torch.stack(terms).mean()
