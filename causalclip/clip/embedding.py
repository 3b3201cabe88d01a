"""The embedding: layer features side by side, and every patch's exact share of them.

A layer feature ("part" in a detector's config) is named by what it takes from the tower:

    embedding   the paper's: ln_post(CLS of the last layer) projected, D = the tower's output
    cls:7       the CLS token after layer 7, normalised, D = width
    patch:5     the mean over patches of the tokens after layer 5, each normalised, D = width

A normalisation is linear once its deviation is known, so each feature is a sum over patches plus a
rest: every patch's exact share of a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.tower import Tower, Trace

EMBEDDING = "embedding"
EPS = 1e-6


def _normalise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Apply LayerNorm over the last axis without weight and bias; return [..., D] and the deviation
    [..., 1]."""
    deviation = (x.var(-1, unbiased=False, keepdim=True) + EPS).sqrt()
    return normalised(x), deviation


def normalised(x: Tensor) -> Tensor:
    """Return the first of `_normalise` alone, in one pass over x."""
    return F.layer_norm(x, x.shape[-1:], eps=EPS)


def parse_part(part: str, tower: Tower) -> tuple[str, int]:
    """Split "cls:7" into ("cls", 7).

    Raises:
        ValueError: no such part in this tower.
    """
    kind, _, layer = part.partition(":")
    if part == EMBEDDING:
        return kind, tower.layers
    if kind not in {"cls", "patch"} or not layer.isdigit() or not 1 <= int(layer) <= tower.layers:
        raise ValueError(
            f"{part!r} is no part of this tower: use embedding, cls:1 to cls:{tower.layers}, "
            "patch:1 ..."
        )
    return kind, int(layer)


def needs(parts: Sequence[str], tower: Tower) -> dict[str, Any]:
    """Return the arguments `until` and `patches` of the tower's `forward` that the parts need."""
    tokens = [parse_part(p, tower) for p in parts]
    until = max(layer for _, layer in tokens)
    return {"until": until, "patches": ("patch", until) in tokens}


def part_widths(parts: Sequence[str], tower: Tower) -> list[int]:
    """Return how many dimensions each part has."""
    output = int(tower.visual.proj.shape[1])
    return [output if part == EMBEDDING else tower.width for part in parts]


def embed(trace: Trace, parts: Sequence[str], tower: Tower) -> Tensor:
    """Return the parts of a trace side by side, float32 [B, D]."""
    columns = []
    for part in parts:
        kind, layer = parse_part(part, tower)
        if kind == "patch":
            columns.append(normalised(trace.patches[layer]).mean(1))
        elif kind == "cls":
            columns.append(normalised(trace.cls[layer]))
        else:
            columns.append(tower.visual.ln_post(trace.cls[layer]) @ tower.visual.proj)
    return torch.cat(columns, 1)


def contributions(
    trace: Trace, parts: Sequence[str], tower: Tower, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what each patch, and the rest, add to `direction . E`.

    Args:
        trace: of a pass with `attributions=True`.
        direction: [B, D], for instance the verdict's weights times the mask, of each view.

    Returns:
        (patches [B, N], rest [B]); together they add up to (direction * embed(trace, ...)).sum(1).
    """
    B, N = trace.patches[0].shape[:2]
    patches, rest = direction.new_zeros(B, N), direction.new_zeros(B)

    # 1. From each part: d(direction . E) / d(CLS after layer l), (B, width); patches at once
    pull = [torch.zeros_like(trace.cls[0]) for _ in trace.cls]
    for part, d in zip(parts, direction.split(part_widths(parts, tower), 1), strict=True):
        kind, layer = parse_part(part, tower)
        if kind == "patch":
            patches = patches + (normalised(trace.patches[layer]) @ d[:, :, None])[..., 0] / N
        elif kind == "cls":
            centred = d - d.mean(1, keepdim=True)
            pull[layer] = pull[layer] + centred / _normalise(trace.cls[layer])[1]
        else:
            norm = tower.visual.ln_post
            behind = d @ tower.visual.proj.T  # (B, width), behind the norm's weight and bias
            before = behind * norm.weight
            centred = before - before.mean(1, keepdim=True)
            pull[layer] = pull[layer] + centred / _deviation(tower, trace.cls[layer])
            rest = rest + behind @ norm.bias

    # 2. Back through the layers: what each added to the CLS token
    total = torch.zeros_like(pull[0])
    for layer in range(len(trace.attributions), 0, -1):
        total = total + pull[layer]
        block = tower.blocks[layer - 1]
        # (B, width), before the output projection
        back = block.ls_1(total) @ block.attn.out_proj.weight.float()
        patches = patches + trace.attributions[layer - 1].along(back)
        rest = rest + (trace.rests[layer - 1] * total).sum(1)
    return patches, rest + (trace.cls[0] * total).sum(1)


def patch_total(trace: Trace, parts: Sequence[str], tower: Tower) -> Tensor:
    """Return the sum of all patches' shares of the embedding, [B, D]; what is left of `embed` is
    the rest."""
    # what all patches add to the CLS token up to each layer, (B, width)
    total = [torch.zeros_like(trace.cls[0])]
    for attributions, block in zip(trace.attributions, tower.blocks, strict=False):
        share = tower.project_share(block, attributions.total())
        total.append(total[-1] + block.ls_1(share))
    columns = []
    for part in parts:
        kind, layer = parse_part(part, tower)
        centred = total[layer] - total[layer].mean(1, keepdim=True)
        if kind == "patch":
            columns.append(normalised(trace.patches[layer]).mean(1))
        elif kind == "cls":
            columns.append(centred / _normalise(trace.cls[layer])[1])
        else:
            scaled = centred / _deviation(tower, trace.cls[layer]) * tower.visual.ln_post.weight
            columns.append(scaled @ tower.visual.proj)
    return torch.cat(columns, 1)


def _deviation(tower: Tower, cls: Tensor) -> Tensor:
    """Return the deviation of the last norm, which is held fixed: [B, width] -> [B, 1]."""
    return (cls.var(1, unbiased=False, keepdim=True) + tower.visual.ln_post.eps).sqrt()
