"""The vision-language model's input: frozen CLIP features, live and
differentiable."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.tower import Tower, Trace

LAYERS = (8, 11)  # a middle one for parts and places, the penultimate (LLaVA's choice) for meaning
GRID = 7


def clip_features(
    tower: Tower, pixels: Tensor, *, layers: Sequence[int] = LAYERS
) -> tuple[Tensor, Tensor]:
    """The frozen features of pictures; differentiable, resize and normalisation inside.

    Args:
        tower: CLIP, of width W and embedding width E (768 and 512 for ViT-B/16).
        pixels: float [N, 3, H, W] in [0, 1], any size; squeezed to the tower's square, so that
            nothing is cut off.

    Returns:
        Patch tokens after `layers`, averaged to GRID x GRID, [N, 49, len(layers) * W], and the
        normalised embedding, [N, E].
    """
    pixels = pixels.to(tower.mean.device)
    trace = tower(at_tower_size(tower, pixels), patches=max(layers) == tower.layers)
    tokens = torch.cat([trace.patches[layer] for layer in layers], -1)  # (N, 196, 1536)
    grid = tokens.transpose(1, 2).unflatten(2, (tower.grid, tower.grid))
    patches = F.adaptive_avg_pool2d(grid, GRID).flatten(2).transpose(1, 2)
    return patches, embedding(tower, trace)


def at_tower_size(tower: Tower, pixels: Tensor) -> Tensor:
    """Resize float [N, 3, H, W] in [0, 1], any size, to [N, 3, S, S], squeezed to the tower's
    square; differentiable."""
    size = (tower.image_size, tower.image_size)
    if pixels.shape[-2:] == size:
        return pixels
    return F.interpolate(pixels, size, mode="bicubic", antialias=True, align_corners=False).clamp(
        0, 1
    )


def embedding(tower: Tower, trace: Trace) -> Tensor:
    """The normalised embedding [N, E] of what a pass through the tower kept."""
    return F.normalize(tower.visual.ln_post(trace.cls[-1]) @ tower.visual.proj, dim=-1)
