"""The walk through a CLIP image tower that keeps what every patch adds to it.

The residual stream of the CLS token is a sum: what it started with, what each layer's attention
adds (itself a sum over
tokens and heads: weight x value x output projection) and what each MLP adds (Gandelsman et al.,
ICLR 2024, arXiv 2310.05916). The walk runs open_clip's own modules with the attention written out,
and keeps the terms.

The embedding is layer features side by side. A layer feature ("part" in a detector's config) is
named by what it takes from the tower:

    embedding   the paper's: ln_post(CLS of the last layer) projected, D = the tower's output
    cls:7       the CLS token after layer 7, normalised, D = width
    patch:5     the mean over patches of the tokens after layer 5, each normalised, D = width

A normalisation is linear once its deviation is known, so each feature is a sum over patches plus a
rest: every patch's exact share of a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causalclip.clip.runtime import Runtime

if TYPE_CHECKING:  # importing it takes hundreds of MB, which a compiled tower has no use for
    from open_clip.transformer import VisionTransformer

    from causalclip.clip.vit import MetaViT

EPS = 1e-6


def normalise(x: Tensor) -> tuple[Tensor, Tensor]:
    """LayerNorm over the last axis without weight and bias: (normalised [..., D], its deviation
    [..., 1])."""
    deviation = (x.var(-1, unbiased=False, keepdim=True) + EPS).sqrt()
    return normalised(x), deviation


def normalised(x: Tensor) -> Tensor:
    """The first of `normalise` alone, in one pass over x."""
    return F.layer_norm(x, x.shape[-1:], eps=EPS)


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, of [B, H, T, d]. On a processor the fused one takes twice as long
    backwards."""
    if not (q.requires_grad and torch.is_grad_enabled() and q.device.type == "cpu"):
        return F.scaled_dot_product_attention(q, k, v)
    return (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(-1) @ v


@dataclass(frozen=True, slots=True)
class PatchAttributions:
    """What each patch adds to the CLS token in one layer, before the output projection: its weight
    times its value.

    The two are kept apart: their products, T x D numbers a view, are never needed one by one.
    weight: float32 [B, H, T], 0 for the CLS token itself. value: float32 [B, H, T, D / H]. H heads,
    T tokens.
    """

    weight: Tensor
    value: Tensor

    def total(self) -> Tensor:
        """The sum over patches, [B, D]."""
        return (self.weight[:, :, None] @ self.value).flatten(1)

    def along(self, direction: Tensor) -> Tensor:
        """The sum over the width of each patch's share times `direction` [B, D]: [B, N]."""
        B, H, _, d = self.value.shape
        return ((self.value @ direction.reshape(B, H, d, 1))[..., 0] * self.weight).sum(1)[:, 1:]


@dataclass(slots=True)
class Trace:
    """What one pass keeps. B views, T = 1 + N tokens (CLS first), D width, L layers; all float32.

    cls[l], patches[l]: [B, D] and [B, N, D], the residual stream after layer l (0: before the
    first). attributions[l]: what each patch adds to the CLS token in layer l + 1.
    rests[l]: [B, D], what the CLS token itself, biases and the MLP add to it in layer l + 1.
    """

    cls: list[Tensor] = field(default_factory=list)
    patches: list[Tensor] = field(default_factory=list)
    attributions: list[PatchAttributions] = field(default_factory=list)
    rests: list[Tensor] = field(default_factory=list)


class Tower(nn.Module):
    """An open_clip `VisionTransformer` with its normalisation, walked layer by layer.

    Args:
        visual: open_clip's module, of plain residual attention blocks with CLS pooling, or its
            skeleton.
        mean, std: of the pixels in [0, 1], a channel.
        dtype: of the matrix products; the residual stream, the norms and the CLS token's own sum
            stay float32.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        visual: VisionTransformer | MetaViT,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if visual.attn_pool is not None or visual.pool_type != "tok":
            raise ValueError(
                "Only towers that pool by their CLS token can be decomposed; this one does not."
            )
        self.visual: Any = visual
        self.dtype = dtype
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        for block in self.blocks:
            for module in (block.attn.out_proj, block.mlp):
                module.to(dtype)
            block.attn.in_proj_weight.data = block.attn.in_proj_weight.data.to(dtype)
            block.attn.in_proj_bias.data = block.attn.in_proj_bias.data.to(dtype)

    @property
    def blocks(self) -> Any:
        """open_clip's residual attention blocks, first to last; its types say less of them than is
        used here."""
        return self.visual.transformer.resblocks

    @property
    def runtime(self) -> Runtime:
        """Which runtime multiplies."""
        return "bfloat16" if self.dtype == torch.bfloat16 else "float32"

    @property
    def device(self) -> torch.device:
        """Where it computes; pixels must be there."""
        return self.mean.device

    @property
    def layers(self) -> int:
        return len(self.blocks)

    @property
    def width(self) -> int:
        return int(self.visual.class_embedding.shape[0])

    @property
    def image_size(self) -> int:
        return int(self.visual.image_size[0])

    @property
    def grid(self) -> int:
        return int(self.visual.grid_size[0])

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """float [B, 3, S, S] in [0, 1] -> tokens before the first layer, [B, 1 + N, D]."""
        tokens: Tensor = self.visual._embeds((pixels - self.mean) / self.std)
        return tokens

    def forward(
        self,
        pixels: Tensor,
        *,
        until: int | None = None,
        attributions: bool = False,
        patches: bool = True,
    ) -> Trace:
        """Runs the tower on views.

        Args:
            pixels: float [B, 3, S, S] in [0, 1], S the tower's image size.
            until: the last layer needed (1 to L); later ones are not computed.
            attributions: keep what every patch adds to the CLS token.
            patches: the patch tokens after the last layer are needed, too. Without, the trace holds
                none of them, and three quarters of that layer's work are saved.
        """
        return self.walk(
            self.embed_pixels(pixels), until=until, attributions=attributions, patches=patches
        )

    def walk(
        self,
        tokens: Tensor,
        *,
        until: int | None = None,
        attributions: bool = False,
        patches: bool = True,
    ) -> Trace:
        """As forward, from the tokens before the first layer (`embed_pixels`); any number of
        patches."""
        x = tokens
        trace = Trace(cls=[x[:, 0]], patches=[x[:, 1:]])
        blocks = self.blocks[:until]
        for block in blocks:
            cls_alone = block is blocks[-1] and not patches
            x = self._layer(block, x, trace if attributions else None, cls_alone=cls_alone)
            trace.cls.append(x[:, 0])
            trace.patches.append(x[:, 1:])
        return trace

    def _layer(self, block: Any, x: Tensor, trace: Trace | None, *, cls_alone: bool) -> Tensor:
        B, T, D = x.shape
        H = block.attn.num_heads
        qkv = self._project(block, block.ln_1(x).to(self.dtype))
        q, k, v = qkv.view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4)  # each (B, H, T, D/H)
        if cls_alone:
            q, x = q[:, :, :1], x[:, :1]
        out = _attention(q, k, v).transpose(1, 2).reshape(B, -1, D)
        attended = block.ls_1(block.attn.out_proj(out)).float()
        if trace is not None:
            attended = self._attribute(block, q, k, v, attended, trace)
        x = x + attended
        added = block.ls_2(block.mlp(block.ln_2(x).to(self.dtype))).float()
        if trace is not None:
            trace.rests[-1] = trace.rests[-1] + added[:, 0]
        return x + added

    def _project(self, block: Any, x: Tensor) -> Tensor:
        """[B, T, D] -> queries, keys and values side by side, [B, T, 3 D]."""
        return F.linear(x, block.attn.in_proj_weight, block.attn.in_proj_bias)

    def _attribute(
        self, block: Any, q: Tensor, k: Tensor, v: Tensor, attended: Tensor, trace: Trace
    ) -> Tensor:
        """Writes the CLS row of the attention as its sum over tokens, in float32, so that the parts
        add up exactly."""
        d = v.shape[-1]
        # (B, H, T)
        weight = (q[:, :, :1].float() @ k.float().transpose(-1, -2) / d**0.5).softmax(-1)[:, :, 0]
        value = v.to(torch.float32, memory_format=torch.contiguous_format)
        # (B, D), the CLS token's
        own = (weight[:, :, :1, None] * value[:, :, :1]).sum(2).flatten(1)
        own = block.ls_1(self.project_share(block, own) + block.attn.out_proj.bias.float())
        found = PatchAttributions(
            torch.cat([torch.zeros_like(weight[:, :, :1]), weight[:, :, 1:]], 2), value
        )
        trace.attributions.append(found)
        trace.rests.append(own)
        cls = own + block.ls_1(self.project_share(block, found.total()))
        return torch.cat([cls[:, None], attended[:, 1:]], 1)

    @staticmethod
    def project_share(block: Any, value: Tensor) -> Tensor:
        """[..., D] before the output projection -> [..., D] as it is added to the stream, without
        the bias."""
        return F.linear(value, block.attn.out_proj.weight.float())


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
        raise ValueError(
            f"{part!r} is no part of this tower: use embedding, cls:1 to cls:{tower.layers}, "
            "patch:1 ..."
        )
    return kind, int(layer)


def needs(parts: Sequence[str], tower: Tower) -> dict[str, Any]:
    """What of the tower's `forward` the parts need: its arguments `until` and `patches`."""
    parsed = [parse_part(p, tower) for p in parts]
    until = max(layer for _, layer in parsed)
    return {"until": until, "patches": ("patch", until) in parsed}


def part_widths(parts: Sequence[str], tower: Tower) -> list[int]:
    """How many dimensions each part has."""
    return [int(tower.visual.proj.shape[1]) if p == EMBEDDING else tower.width for p in parts]


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
            columns.append(tower.visual.ln_post(trace.cls[layer]) @ tower.visual.proj)
    return torch.cat(columns, 1)


def contributions(
    trace: Trace, parts: Sequence[str], tower: Tower, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """What each patch, and the rest, add to `direction . E`.

    Args:
        trace: of a pass with `attributions=True`.
        direction: [B, D], for instance the verdict's weights times the mask, of each view.

    Returns:
        (patches [B, N], rest [B]); together they add up to (direction * embed(trace, ...)).sum(1).
    """
    B, N = trace.patches[0].shape[:2]
    patches, rest = direction.new_zeros(B, N), direction.new_zeros(B)
    # d(direction . E) / d(CLS after layer l), (B, width)
    pull = [torch.zeros_like(trace.cls[0]) for _ in trace.cls]
    for part, d in zip(parts, direction.split(part_widths(parts, tower), 1), strict=True):
        kind, layer = parse_part(part, tower)
        if kind == "patch":
            patches = patches + (normalised(trace.patches[layer]) @ d[:, :, None])[..., 0] / N
        elif kind == "cls":
            pull[layer] = (
                pull[layer] + (d - d.mean(1, keepdim=True)) / normalise(trace.cls[layer])[1]
            )
        else:
            norm = tower.visual.ln_post
            behind = d @ tower.visual.proj.T  # (B, width), behind the norm's weight and bias
            before = behind * norm.weight
            pull[layer] = pull[layer] + (before - before.mean(1, keepdim=True)) / _deviation(
                tower, trace.cls[layer]
            )
            rest = rest + behind @ norm.bias
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
    """The sum of all patches' shares of the embedding, [B, D]; what is left of `embed` is the
    rest."""
    # by all patches to the CLS token, up to each layer, (B, width)
    added = [torch.zeros_like(trace.cls[0])]
    for own, block in zip(trace.attributions, tower.blocks, strict=False):
        added.append(added[-1] + block.ls_1(tower.project_share(block, own.total())))
    columns = []
    for part in parts:
        kind, layer = parse_part(part, tower)
        centred = added[layer] - added[layer].mean(1, keepdim=True)
        if kind == "patch":
            columns.append(normalised(trace.patches[layer]).mean(1))
        elif kind == "cls":
            columns.append(centred / normalise(trace.cls[layer])[1])
        else:
            scaled = centred / _deviation(tower, trace.cls[layer]) * tower.visual.ln_post.weight
            columns.append(scaled @ tower.visual.proj)
    return torch.cat(columns, 1)


def _deviation(tower: Tower, cls: Tensor) -> Tensor:
    """Of the last norm, which is held fixed: [B, width] -> [B, 1]."""
    return (cls.var(1, unbiased=False, keepdim=True) + tower.visual.ln_post.eps).sqrt()
