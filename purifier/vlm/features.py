"""What the vision-language model sees of a picture: frozen CLIP features, and their cache for
training.

features = clip_features(tower, pixels)      live, differentiable
cache = FeatureCache.build(rows, ...)        several augmented views of every picture, once, on disk
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from causalclip.clip.tower import Tower, Trace

LAYERS = (8, 11)  # a middle one for parts and places, the penultimate (LLaVA's choice) for meaning
GRID = 7
VIEWS = 6


@dataclass(frozen=True, slots=True)
class View:
    """A crop of the picture (left, top, right, bottom as fractions of its sides), then perhaps
    mirrored."""

    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    flip: bool = False


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
    kept = torch.cat([trace.patches[layer] for layer in layers], -1)  # (N, 196, 1536)
    grid = kept.transpose(1, 2).unflatten(2, (tower.grid, tower.grid))
    patches = F.adaptive_avg_pool2d(grid, GRID).flatten(2).transpose(1, 2)
    return patches, embedding(tower, trace)


def at_tower_size(tower: Tower, pixels: Tensor) -> Tensor:
    """float [N, 3, H, W] in [0, 1], any size -> [N, 3, S, S], squeezed to the tower's square;
    differentiable."""
    size = (tower.image_size, tower.image_size)
    if pixels.shape[-2:] == size:
        return pixels
    return F.interpolate(pixels, size, mode="bicubic", antialias=True, align_corners=False).clamp(
        0, 1
    )


def embedding(tower: Tower, trace: Trace) -> Tensor:
    """The normalised embedding [N, E] of what a pass through the tower kept."""
    return F.normalize(tower.visual.ln_post(trace.cls[-1]) @ tower.visual.proj, dim=-1)


def plan_views(name: str, *, count: int = VIEWS, seed: int = 0) -> list[View]:
    """The views of the picture `name`: whole, whole mirrored, then mild crops, every other one
    mirrored."""
    rng = random.Random(f"{seed}:{name}")
    views = [View(), View(flip=True)]
    for i in range(count - 2):
        width, height = rng.uniform(0.75, 1.0), rng.uniform(0.75, 1.0)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        views.append(View((left, top, left + width, top + height), flip=i % 2 == 1))
    return views[:count]


def read_pixels(path: Path) -> Image.Image:
    """A picture file as RGB, upright."""
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def render_view(picture: Image.Image, view: View, *, size: int = 224) -> Tensor:
    """One view -> float [3, size, size] in [0, 1], by the same resampling as `clip_features`."""
    left, top, right, bottom = view.box
    w, h = picture.size
    crop = picture.crop((round(left * w), round(top * h), round(right * w), round(bottom * h)))
    pixels = torch.from_numpy(np.array(crop)).permute(2, 0, 1).float()[None] / 255
    pixels = F.interpolate(
        pixels, (size, size), mode="bicubic", antialias=True, align_corners=False
    ).clamp(0, 1)[0]
    return pixels.flip(-1) if view.flip else pixels


def read_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture file as it is seen, without decoding it."""
    with Image.open(path) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (height, width) if turned else (width, height)
