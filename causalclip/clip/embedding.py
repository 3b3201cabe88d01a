"""Embeddings as sums over patches: parts of a tower's layers side by side, and every patch's exact share of a verdict.

A part is named by what it takes from the tower:

    embedding   the paper's: ln_post(CLS of the last layer) projected, D = the tower's output (causalclip.clip.readout)
    cls:7       the CLS token after layer 7, normalised, D = width
    patch:5     the mean over patches of the tokens after layer 5, each normalised, D = width

The normalisations are linear once their deviation is known, so each part is a sum over patches plus a rest
(Gandelsman et al., ICLR 2024, arXiv 2310.05916, for the CLS token; a mean over patches is one by itself).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from causalclip.clip.tower import Tower, Trace, normalise, normalised

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
    pooled = EMBEDDING in parts and tower.readout.needs_patches
    return {"until": until, "patches": pooled or ("patch", until) in parsed}


def part_widths(parts: Sequence[str], tower: Tower) -> list[int]:
    """How many dimensions each part has."""
    return [tower.readout.width if p == EMBEDDING else tower.width for p in parts]


def embed(trace: Trace, parts: Sequence[str], tower: Tower) -> Tensor:
    """The parts of a trace side by side, float32 [B, D]."""
    columns = []
    for part in parts:
        kind, layer = parse_part(part, tower)
        if kind == "patch":
            columns.append(normalised(trace.patches[layer]).mean(1))
        elif kind == "cls":
            columns.append(normalised(trace.cls[layer]))
        else:
            columns.append(tower.readout.read(trace.cls[layer], trace.patches[layer]))
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
            patches = patches + (normalised(trace.patches[layer]) @ d[:, :, None])[..., 0] / N
        elif kind == "cls":
            pull[layer] = pull[layer] + (d - d.mean(1, keepdim=True)) / normalise(trace.cls[layer])[1]
        else:
            gradient, own, offset = tower.readout.pull(trace.cls[layer], trace.patches[layer], d)
            pull[layer] = pull[layer] + gradient
            patches, rest = patches + own, rest + offset
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
    columns = []
    for part in parts:
        kind, layer = parse_part(part, tower)
        if kind == "patch":
            columns.append(normalised(trace.patches[layer]).mean(1))
        else:
            columns.append(_share(part, added[layer], trace, tower) + _own(part, trace, tower).sum(1))
    return torch.cat(columns, 1)


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
        if kind == "patch":
            columns.append(normalised(trace.patches[layer]))
        else:
            columns.append(N * (_share(part, added[layer], trace, tower) + _own(part, trace, tower)))
    each = torch.cat(columns, 2).transpose(1, 2).unflatten(2, (tower.grid, tower.grid))
    pooled = torch.nn.functional.adaptive_avg_pool2d(each, cells).flatten(2).transpose(1, 2)
    return pooled - each.flatten(2).mean(2)[:, None] + embed(trace, parts, tower)[:, None]


def _share(part: str, added: Tensor, trace: Trace, tower: Tower) -> Tensor:
    """What is `added` [B, ..., D] to the CLS token -> what that adds to the part, its deviation held fixed."""
    kind, layer = parse_part(part, tower)
    if kind == "cls":
        centred = added - added.mean(-1, keepdim=True)
        return centred / normalise(trace.cls[layer])[1].view(-1, *[1] * (added.dim() - 1))
    return tower.readout.of_cls(added, trace.cls[layer], trace.patches[layer])


def _own(part: str, trace: Trace, tower: Tower) -> Tensor:
    """What each patch adds to the part by itself, beside what it added to the CLS token: [B, N, D], or a 0."""
    if part != EMBEDDING:
        return trace.cls[0].new_zeros(1, 1, 1)
    return tower.readout.of_patches(trace.cls[-1], trace.patches[-1])
