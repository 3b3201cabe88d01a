"""Other maps of the same detector, to compare with: gradient x input, attention rollout, and randomised weights."""

import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.embedding import embed, needs
from causalclip.clip.tower import Tower, Trace
from causalclip.clip.views import View, plan_views, render
from causalclip.detector import Detector
from causalclip.maps.heatmap import canvas_size


def _lay(grids: Tensor, views: list[View], width: int, height: int, side: int) -> np.ndarray:
    """[V, g, g] of densities -> [rows, columns]: each view's grid at its box, overlaps added."""
    columns, rows = canvas_size(width, height, side=side)
    canvas = np.zeros((rows, columns), np.float32)
    for grid, view in zip(grids, views, strict=True):
        left, top, right, bottom = (round(v * columns / width) for v in view.box)
        if right > left and bottom > top:
            laid = F.interpolate(grid[None, None], (bottom - top, right - left), mode="nearest")[0, 0].numpy()
            canvas[top:bottom, left:right] += laid[: rows - top, : columns - left]
    return canvas


def _views(detector: Detector, pixels: np.ndarray) -> tuple[list[View], Tensor]:
    size = detector.differentiable.image_size
    views = plan_views(pixels.shape[1], pixels.shape[0], size=size, windows=detector.config.windows)
    return views, render(pixels, views, size=size)


def gradient_times_input(detector: Detector, pixels: np.ndarray, *, side: int) -> np.ndarray:
    """d logit / d pixel x pixel, summed over colours and patches."""
    views, x = _views(detector, pixels)
    x.requires_grad_()
    parts = detector.config.parts
    E = embed(detector.differentiable(x, **needs(parts, detector.differentiable)), parts, detector.differentiable)
    weight = detector.view_weights(views)
    logit = torch.stack(
        [w * detector.heads[v.kind](E[i : i + 1]).logit[0] for i, (v, w) in enumerate(zip(views, weight, strict=True))]
    ).sum()
    (gradient,) = torch.autograd.grad(logit, x)
    product = (gradient * x.detach()).sum(1, keepdim=True)
    patch = x.shape[-1] // detector.differentiable.grid
    return _lay(F.avg_pool2d(product, patch)[:, 0], views, pixels.shape[1], pixels.shape[0], side)


class _Recorder(Tower):
    """A tower that keeps each layer's attention, averaged over heads: [B, T, T]."""

    def _layer(self, block: Any, x: Tensor, trace: Trace | None, **options: Any) -> Tensor:
        B, T, D = x.shape
        H = block.attn.num_heads
        qkv = F.linear(block.ln_1(x).to(self.dtype), block.attn.in_proj_weight, block.attn.in_proj_bias)
        q, k, _ = qkv.view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4).float()
        self.__dict__["attention"].append((q @ k.transpose(-1, -2) / (D // H) ** 0.5).softmax(-1).mean(1))
        return super()._layer(block, x, trace, **options)


@torch.inference_mode()
def attention_rollout(detector: Detector, pixels: np.ndarray, *, side: int) -> np.ndarray:
    """Attention followed through the layers (Abnar and Zuidema, ACL 2020): what the CLS token sees of each patch."""
    views, x = _views(detector, pixels)
    tower: Any = copy.copy(detector.differentiable)
    tower.__class__ = _Recorder
    object.__setattr__(tower, "attention", [])
    tower(x, **needs(detector.config.parts, detector.differentiable))
    kept: list[Tensor] = tower.attention
    rolled = torch.eye(kept[0].shape[-1]).expand(len(views), -1, -1)
    for attention in kept:
        mixed = (attention + torch.eye(attention.shape[-1])) / 2
        rolled = mixed @ rolled
    g = detector.differentiable.grid
    return _lay(rolled[:, 0, 1:].reshape(-1, g, g), views, pixels.shape[1], pixels.shape[0], side)


def randomised(detector: Detector, *, seed: int = 0) -> Detector:
    """The same detector with its heads' weights shuffled: a map that says as much as ours says nothing."""
    g = torch.Generator().manual_seed(seed)
    heads = copy.deepcopy(detector.heads)
    for head in heads.values():
        weight = head.verdict.weight.data
        head.verdict.weight.data = weight[:, torch.randperm(weight.shape[1], generator=g)]
    return Detector(detector.differentiable, heads, detector.config, name="randomised")
