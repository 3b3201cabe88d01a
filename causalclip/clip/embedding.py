"""Embeddings as sums over patches: parts of a tower's layers side by side, and every patch's exact share of a verdict.

A part is named by what it takes from the tower:

    embedding   the paper's: ln_post(CLS of the last layer) projected, D = the tower's output
    cls:7       the CLS token after layer 7, normalised, D = width
    patch:5     the mean over patches of the tokens after layer 5, each normalised, D = width

The normalisations are linear once their deviation is known, so each part is a sum over patches plus a rest
(Gandelsman et al., ICLR 2024, arXiv 2310.05916, for the CLS token; a mean over patches is one by itself).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from causalclip.clip.tower import Tower, Trace, normalise

EMBEDDING = "embedding"


def parse_part(part: str, tower: Tower) -> tuple[str, int]:
    """ "cls:7" -> ("cls", 7).

    Raises:
        ValueError: no such part in this tower.
    """
    kind, _, layer = part.partition(":")
    if part == EMBEDDING:
        return kind, tower.layers
    if kind not in {"cls", "patch"} or not layer.isdigit() or not 1 <= int(layer) <= tower.layers:
        raise ValueError(f"{part!r} is no part of this tower: use embedding, cls:1 to cls:{tower.layers}, patch:1 ...")
    return kind, int(layer)


def needs(parts: Sequence[str], tower: Tower) -> dict[str, Any]:
    """What of the tower's `forward` the parts need: its arguments `until` and `patches`."""
    parsed = [parse_part(p, tower) for p in parts]
    until = max(layer for _, layer in parsed)
    return {"until": until, "patches": ("patch", until) in parsed}


def part_widths(parts: Sequence[str], tower: Tower) -> list[int]:
    """How many dimensions each part has."""
    return [tower.visual.proj.shape[1] if p == EMBEDDING else tower.width for p in parts]


def embed(trace: Trace, parts: Sequence[str], tower: Tower) -> Tensor:
    """The parts of a trace side by side, float32 [B, D]."""
    columns = []
    for part in parts:
        kind, layer = parse_part(part, tower)
        if kind == "patch":
            columns.append(normalise(trace.patches[layer])[0].mean(1))
        elif kind == "cls":
            columns.append(normalise(trace.cls[layer])[0])
        else:
            columns.append(tower.visual.ln_post(trace.cls[layer]) @ tower.visual.proj)
    return torch.cat(columns, 1)


def contributions(trace: Trace, parts: Sequence[str], tower: Tower, direction: Tensor) -> tuple[Tensor, Tensor]:
    """What each patch, and the rest, add to `direction . E`.

    Args:
        trace: of a pass with `shares=True`.
        direction: [B, D], for instance the verdict's weights times the mask, of each view.

    Returns:
        (patches [B, N], rest [B]); together they add up to (direction * embed(trace, ...)).sum(1).
    """
    B, N = trace.patches[0].shape[:2]
    patches, rest = direction.new_zeros(B, N), direction.new_zeros(B)
    pull = [torch.zeros_like(trace.cls[0]) for _ in trace.cls]  # d(direction . E) / d(CLS after layer l)
    for part, d in zip(parts, direction.split(part_widths(parts, tower), 1), strict=True):
        kind, layer = parse_part(part, tower)
        if kind == "patch":
            patches = patches + (normalise(trace.patches[layer])[0] @ d[:, :, None])[..., 0] / N
        elif kind == "cls":
            pull[layer] = pull[layer] + (d - d.mean(1, keepdim=True)) / normalise(trace.cls[layer])[1]
        else:
            gradient, offset = _through_ln_post(tower, trace.cls[layer], d)
            pull[layer] = pull[layer] + gradient
            rest = rest + offset
    total = torch.zeros_like(pull[0])
    for layer in range(len(trace.shares), 0, -1):
        total = total + pull[layer]
        block = tower.blocks[layer - 1]
        back = block.ls_1(total) @ block.attn.out_proj.weight.float()  # (B, D), before the output projection
        patches = patches + trace.shares[layer - 1].along(back)
        rest = rest + (trace.rests[layer - 1] * total).sum(1)
    return patches, rest + (trace.cls[0] * total).sum(1)


def patch_total(trace: Trace, parts: Sequence[str], tower: Tower) -> Tensor:
    """The sum of all patches' shares of the embedding, [B, D]; what is left of `embed` is the rest."""
    added = [torch.zeros_like(trace.cls[0])]  # by all patches to the CLS token, up to each layer
    for shares, block in zip(trace.shares, tower.blocks, strict=False):
        added.append(added[-1] + block.ls_1(tower.project_share(block, shares.total())))
    return torch.cat(
        [
            normalise(trace.patches[layer])[0].mean(1) if kind == "patch" else _share(part, added[layer], trace, tower)
            for part, (kind, layer) in ((part, parse_part(part, tower)) for part in parts)
        ],
        1,
    )


def cell_embeddings(trace: Trace, parts: Sequence[str], tower: Tower, *, cells: int) -> Tensor:
    """The embedding as it would be if every patch were like those of one cell, [B, cells ** 2, D].

    The tower's patches fall into `cells` x `cells` cells. The mean over cells is the embedding itself, because it is a
    sum over patches plus a rest: so a verdict that is linear in it can be learned, and asked, place by place.

    Args:
        trace: of a pass with `shares=True`.
    """
    N = trace.patches[0].shape[1]
    added = [torch.zeros_like(trace.patches[0])]  # by each patch to the CLS token, up to each layer
    for shares, block in zip(trace.shares, tower.blocks, strict=False):
        added.append(added[-1] + block.ls_1(tower.project_share(block, shares.each())))
    columns = []
    for part in parts:
        kind, layer = parse_part(part, tower)
        own = normalise(trace.patches[layer])[0] if kind == "patch" else N * _share(part, added[layer], trace, tower)
        columns.append(own)
    each = torch.cat(columns, 2).transpose(1, 2).unflatten(2, (tower.grid, tower.grid))
    pooled = torch.nn.functional.adaptive_avg_pool2d(each, cells).flatten(2).transpose(1, 2)
    return pooled - each.flatten(2).mean(2)[:, None] + embed(trace, parts, tower)[:, None]


def _share(part: str, added: Tensor, trace: Trace, tower: Tower) -> Tensor:
    """What is `added` [B, ..., D] to the CLS token -> what that adds to the part, its deviation held fixed."""
    kind, layer = parse_part(part, tower)
    one = [1] * (added.dim() - 1)
    centred = added - added.mean(-1, keepdim=True)
    if kind == "cls":
        return centred / normalise(trace.cls[layer])[1].view(-1, *one)
    norm = tower.visual.ln_post
    deviation = (trace.cls[layer].var(1, unbiased=False) + norm.eps).sqrt().view(-1, *one)
    return (centred / deviation * norm.weight) @ tower.visual.proj


def _through_ln_post(tower: Tower, cls: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """direction [B, D_out] behind ln_post and projection -> (direction [B, D] before them, what the bias adds [B])."""
    norm = tower.visual.ln_post
    behind = d @ tower.visual.proj.T
    deviation = (cls.var(1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    before = behind * norm.weight
    return (before - before.mean(1, keepdim=True)) / deviation, behind @ norm.bias
