"""Cheaper towers that benchmarks.light.avx2 tries: int8 in PyTorch, and tokens that are alike merged."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causalclip.clip.tower import Tower, Trace
from causalclip.clip.weights import INT8, SCALE

LEVELS = 127  # of what goes into a layer: 127 * 127 * 2 is less than 2 ** 15
LINEAR = "attn.in_proj", "attn.out_proj", "mlp.c_fc", "mlp.c_proj"


class QuantisedLinear(nn.Module):
    """x W^T + b in int8, float32 [..., I] -> [..., O], each token with a scale and a zero of its own.

    AVX2 adds two products of an unsigned and a signed byte in 16 bits, which must not overflow: so either side has 7
    bits. A few channels that are much larger than the rest are multiplied in float32 (Dettmers et al., LLM.int8(),
    arXiv 2208.07339).

    Args:
        matrix: int8 [O, I]. scale: float32 [O, 1], of an output channel. bias: float32 [O].
        apart: so many channels in float32: those with the largest values of what is seen first.
        bits: of the weights. With 8 what goes in has 7, with 7 it has 8.
    """

    def __init__(self, matrix: Tensor, scale: Tensor, bias: Tensor, *, apart: int, bits: int) -> None:
        super().__init__()
        self.weight, self.bias = matrix.float() * scale, bias
        self.count, self.levels = apart, LEVELS if bits == 8 else 255
        self.step = scale[:, 0] * (1 if bits == 8 else 127 / 63)
        self.matrix = matrix if bits == 8 else (matrix.float() * (63 / 127)).round().to(torch.int8)
        self.apart: Tensor | None = None

    def _pack(self, tokens: Tensor) -> Tensor:
        self.apart = tokens.abs().amax(0).topk(self.count).indices
        narrow = self.matrix.index_fill(1, self.apart, 0)
        total = narrow.sum(1, dtype=torch.float32) * self.step
        self.exact = torch.cat([self.weight[:, self.apart], total[:, None]], 1).T.contiguous()
        self.packed = torch.ops.onednn.qlinear_prepack(narrow, None)
        self.zeros = torch.zeros(len(self.bias), dtype=torch.int32)
        return self.apart

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, -2)
        apart = self._pack(tokens) if self.apart is None else self.apart
        rest = tokens.index_fill(1, apart, 0)
        low, high = rest.amin(1, keepdim=True).clamp_max(0), rest.amax(1, keepdim=True).clamp_min(0)
        step = (high - low).clamp_min(1e-12) / self.levels
        zero = (low / step).round()
        whole = rest.div_(step).sub_(zero).round_().clamp_(0, self.levels).to(torch.uint8)
        products: Tensor = torch.ops.onednn.qlinear_pointwise(
            whole, 1.0, 0, self.packed, self.step, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        added = torch.addmm(self.bias, torch.cat([tokens[:, apart], step * zero], 1), self.exact)
        return added.add_(products.mul_(step)).view(*x.shape[:-1], -1)


class Trial(Tower):
    """The walk of `Tower` without shares, with what is tried.

    Args:
        tower: in float32, whose modules it uses.
        stored: the int8 weights, where layers are to be int8; apart, bits: of `QuantisedLinear`.
        merged: so many tokens are merged with the one that is most like them after each layer's attention.
        views: a pass, at most.
    """

    def __init__(
        self,
        tower: Tower,
        stored: Mapping[str, Tensor] | None = None,
        *,
        apart: int = 0,
        bits: int = 8,
        merged: int = 0,
        views: int = 5,
    ) -> None:
        super().__init__(tower.visual, mean=tower.mean.flatten().tolist(), std=tower.std.flatten().tolist())
        self.merged, self.views = merged, views
        self.linear: list[dict[str, Any]] = [{name: _plain(block, name) for name in LINEAR} for block in self.blocks]
        for number, layers in enumerate(self.linear if stored else ()):
            for name in LINEAR:
                key, bias = f"transformer.resblocks.{number}.{name}", layers[name].bias
                weight = f"{key}_weight" if name.endswith("in_proj") else f"{key}.weight"
                assert stored
                matrix, scale = stored[weight + INT8], stored[weight + SCALE]
                layers[name] = QuantisedLinear(matrix, scale, bias, apart=apart, bits=bits)

    def forward(self, pixels: Tensor, *, until: int | None = None, shares: bool = False, patches: bool = True) -> Trace:
        passes = [self._pass(few, until or self.layers, patches=patches) for few in pixels.split(self.views)]
        return Trace(
            cls=[torch.cat(rows) for rows in zip(*(p.cls for p in passes), strict=True)],
            patches=[torch.cat(rows) for rows in zip(*(p.patches for p in passes), strict=True)],
        )

    def _pass(self, pixels: Tensor, until: int, *, patches: bool) -> Trace:
        x = self.embed_pixels(pixels)
        B, T, D = x.shape
        size, where = torch.ones(B, T), torch.arange(T - 1).expand(B, -1)  # patches a token stands for; whose it is
        trace = Trace(cls=[x[:, 0]], patches=[x[:, 1:]])
        for number in range(until):
            block, linear = self.blocks[number], self.linear[number]
            H, alone = block.attn.num_heads, number + 1 == until and not patches
            q, k, v = linear["attn.in_proj"](block.ln_1(x)).view(B, -1, 3, H, D // H).permute(2, 0, 3, 1, 4)
            if alone:
                q, x = q[:, :, :1], x[:, :1]
            share = size.log()[:, None, None] if self.merged else None
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=share).transpose(1, 2).reshape(B, -1, D)
            x = x + linear["attn.out_proj"](out)
            if self.merged and not alone:
                x, size, where = merge(x, size, where, self.merged)
            y = block.mlp.gelu(linear["mlp.c_fc"](block.ln_2(x)))
            x = x + linear["mlp.c_proj"](y)
            trace.cls.append(x[:, 0])
            trace.patches.append(x[:, :0] if alone else x[:, 1:].gather(1, where[..., None].expand(-1, -1, D)))
        return trace


def merge(x: Tensor, size: Tensor, where: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` tokens of every second place that are most like one of the others go into that one, weighted by how
    many patches each stands for (Bolya et al., Token Merging, ICLR 2023, arXiv 2210.09461); never the CLS token."""
    B, _, D = x.shape
    even, odd = x[:, 1::2], x[:, 2::2]
    like, to = (F.normalize(even, dim=-1) @ F.normalize(odd, dim=-1).transpose(1, 2)).max(-1)
    order = like.argsort(1, descending=True)
    gone, kept = order[:, :count], order[:, count:].sort(1).values
    target = to.gather(1, gone)
    weight = size[:, 2::2].scatter_add(1, target, size[:, 1::2].gather(1, gone))
    moved = (even * size[:, 1::2, None]).gather(1, gone[..., None].expand(-1, -1, D))
    total = (odd * size[:, 2::2, None]).scatter_add(1, target[..., None].expand(-1, -1, D), moved)
    stay = even.gather(1, kept[..., None].expand(-1, -1, D))
    new = torch.cat([x[:, :1], stay, total / weight[..., None]], 1)
    sizes = torch.cat([size[:, :1], size[:, 1::2].gather(1, kept), weight], 1)
    place = torch.empty(B, even.shape[1] + odd.shape[1], dtype=torch.long)  # old token -> new one, without the CLS
    left = kept.shape[1]
    place[:, 1::2] = left + torch.arange(odd.shape[1])
    ends = torch.empty_like(to).scatter_(1, kept, torch.arange(left).expand(B, -1))
    place[:, 0::2] = ends.scatter_(1, gone, left + target)
    return new, sizes, place.gather(1, where)


def _plain(block: Any, name: str) -> Any:
    if name == "attn.in_proj":
        layer = nn.Linear(1, 1)
        layer.weight, layer.bias = block.attn.in_proj_weight, block.attn.in_proj_bias
        return layer
    return block.get_submodule(name)
