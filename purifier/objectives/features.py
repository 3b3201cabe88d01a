"""Moves what CLIP sees: the features that the language model is given, or the tokens of any layers."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.vlm.features import LAYERS, clip_features

See = Callable[[Tensor], list[Tensor]]  # pixels [N, 3, H, W] -> token sequences, each [N, T, D]


class MoveFeatures:
    """Away from the clean pictures' features, or towards other pictures'.

    The loss is the cosine distance, averaged over each sequence's tokens and then over the sequences; its negative for
    a target.

    Args:
        see: which features (language_tokens or layer_tokens of a tower).
        clean: float [N, 3, H, W], the pictures to get away from (or the targets to get near).
    """

    def __init__(self, see: See, clean: Tensor, *, targeted: bool = False) -> None:
        self.see, self.targeted = see, targeted
        with torch.no_grad():
            self.reference = see(clean)

    @property
    def flat(self) -> bool:
        """The distance from the clean picture has no slope at the clean picture."""
        return not self.targeted

    def __call__(self, pixels: Tensor) -> Tensor:
        distance = tokens_distance(self.see(pixels), self.reference)
        return -distance if self.targeted else distance


def tokens_distance(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Mean cosine distance of like sequences [N, T, D], each token centred over D: [N], in [0, 2]."""
    terms = []
    for a, b in zip(ours, theirs, strict=True):
        centred = [x - x.mean(-1, keepdim=True) for x in (a, b)]
        terms.append(1 - F.cosine_similarity(centred[0], centred[1], dim=-1).mean(1))
    return torch.stack(terms).mean(0)


def language_tokens(tower: Tower, *, layers: Sequence[int] = LAYERS) -> See:
    """What the embedded language model is given: pooled patch tokens of `layers`, and CLIP's embedding."""

    def see(pixels: Tensor) -> list[Tensor]:
        patches, embedding = clip_features(tower, pixels, layers=layers)
        return [*patches.chunk(len(layers), dim=-1), embedding[:, None]]

    return see


def layer_tokens(tower: Tower, layers: Sequence[int]) -> See:
    """All tokens after each of `layers`, the CLS token among them; later layers are not computed."""

    def see(pixels: Tensor) -> list[Tensor]:
        size = tower.image_size
        if pixels.shape[-2:] != (size, size):
            pixels = F.interpolate(pixels, (size, size), mode="bicubic", antialias=True, align_corners=False)
        trace = tower(pixels, until=max(layers))
        return [torch.cat([trace.cls[i][:, None], trace.patches[i]], 1) for i in layers]

    return see
