"""A CLIP image tower that runs layer by layer, and keeps what every patch adds to its CLS token.

The residual stream of the CLS token is a sum: what it started with, what each layer's attention
adds (itself a sum over tokens and heads: weight x value x output projection) and what each MLP adds
(Gandelsman et al., ICLR 2024, arXiv 2310.05916). The walk runs open_clip's own modules with the
attention written out, and keeps the terms. causalclip.clip.embedding makes features of them.
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


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(d)) v, of [B, H, T, d].

    On a CPU, the backward pass of fused attention takes twice as long.
    """
    if not (q.requires_grad and torch.is_grad_enabled() and q.device.type == "cpu"):
        return F.scaled_dot_product_attention(q, k, v)
    return (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(-1) @ v


@dataclass(frozen=True, slots=True)
class PatchAttributions:
    """Shares of the patches in the CLS token in one layer, before the output projection: a patch's
    attention weight times its value.

    The two are kept apart: their products, T x D numbers a view, are never needed one by one.

    Attributes:
        weight: float32 [B, H, T], in [0, 1], of B views, H heads and T tokens, CLS first; 0 for
            the CLS token itself.
        value: float32 [B, H, T, D / H], D the tower's width.
    """

    weight: Tensor
    value: Tensor

    def total(self) -> Tensor:
        """Return what all patches together add, float32 [B, D]."""
        return (self.weight[:, :, None] @ self.value).flatten(1)

    def along(self, direction: Tensor) -> Tensor:
        """Return the inner product of what each patch adds with `direction` [B, D]: float32 [B, N],
        N = T - 1 patches."""
        B, H, _, d = self.value.shape
        return ((self.value @ direction.reshape(B, H, d, 1))[..., 0] * self.weight).sum(1)[:, 1:]


@dataclass(slots=True)
class Trace:
    """The residual stream of a tower's forward pass, layer by layer.

    B views, N patches, width D, and the L layers that were run; all tensors are float32. With
    attributions, cls[l + 1] is cls[l] + rests[l] + the total of attributions[l], projected by
    `Tower.project_share` and scaled by the block's ls_1.

    Attributes:
        cls: L + 1 tensors [B, D]; cls[l] is the CLS token after layer l, cls[0] before the first.
        patches: L + 1 tensors [B, N, D], the patch tokens likewise; the last one may be [B, 0, D].
        attributions: what each patch adds to the CLS token, L items, item l of layer l + 1; empty
            if they were not asked for.
        rests: what the CLS token itself, biases and the MLP add to it: L tensors [B, D] likewise.
    """

    cls: list[Tensor] = field(default_factory=list)
    patches: list[Tensor] = field(default_factory=list)
    attributions: list[PatchAttributions] = field(default_factory=list)
    rests: list[Tensor] = field(default_factory=list)


class Tower(nn.Module):
    """An open_clip `VisionTransformer` that normalises its pixels, and whose layers are run one by
    one, so that their terms can be kept in a Trace.

    Args:
        visual: open_clip's module, of plain residual attention blocks with CLS pooling, or a
            MetaViT. Its matrices are converted in place.
        mean, std: of the pixels in [0, 1], a number for each of the three channels.
        dtype: of the matrix products; the residual stream, the norms and the CLS token's own sum
            stay float32.

    Raises:
        ValueError: the tower does not pool by its CLS token.
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
        """The residual attention blocks, first to last."""
        # Any: open_clip's types say less of them than is used here
        return self.visual.transformer.resblocks

    @property
    def runtime(self) -> Runtime:
        """The runtime that computes its matrix products."""
        return "bfloat16" if self.dtype == torch.bfloat16 else "float32"

    @property
    def device(self) -> torch.device:
        """The device that it computes on, where the pixels must be."""
        return self.mean.device

    @property
    def layers(self) -> int:
        """The number of its layers, L."""
        return len(self.blocks)

    @property
    def width(self) -> int:
        """The width of a token, D numbers."""
        return int(self.visual.class_embedding.shape[0])

    @property
    def image_size(self) -> int:
        """The side of a view in pixels, S."""
        return int(self.visual.image_size[0])

    @property
    def grid(self) -> int:
        """The number of patches along a view's side."""
        return int(self.visual.grid_size[0])

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Turn views into the tokens before the first layer.

        Args:
            pixels: float [B, 3, S, S] in [0, 1].

        Returns:
            float [B, 1 + N, D], the CLS token first.
        """
        visual = self.visual
        patches = visual.conv1((pixels - self.mean) / self.std).flatten(2).transpose(1, 2)
        cls = visual.class_embedding.expand(len(patches), 1, -1)
        tokens: Tensor = torch.cat([cls, patches], 1) + visual.positional_embedding
        return visual.ln_pre(tokens)  # type: ignore[no-any-return]

    def forward(
        self,
        pixels: Tensor,
        *,
        until: int | None = None,
        attributions: bool = False,
        patches: bool = True,
    ) -> Trace:
        """Run the tower on views, and return what it keeps of them.

        Args:
            pixels: float [B, 3, S, S] in [0, 1], S the tower's image size.
            until: the last layer needed (1 to L); later ones are not computed. None for all.
            attributions: keep what every patch adds to the CLS token.
            patches: keep the patch tokens after the last layer, too. Without, `Trace.patches` ends
                in [B, 0, D], and three quarters of that layer's work are saved.
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
        """Run the tower on tokens: `forward` without `embed_pixels`.

        Args:
            tokens: float [B, 1 + N, D], the CLS token first; N need not be the number of patches of
                a view.
            until, attributions, patches: as for `forward`.
        """
        x = tokens
        trace = Trace(cls=[x[:, 0]], patches=[x[:, 1:]])
        blocks = self.blocks[:until]
        for block in blocks:
            cls_only = block is blocks[-1] and not patches
            x = self._layer(block, x, trace if attributions else None, cls_only=cls_only)
            trace.cls.append(x[:, 0])
            trace.patches.append(x[:, 1:])
        return trace

    def _layer(self, block: Any, x: Tensor, trace: Trace | None, *, cls_only: bool) -> Tensor:
        """Run a layer on the stream [B, T, D]; with a trace, keep its terms there.

        cls_only: only the CLS token's stream is needed after it, [B, 1, D].
        """
        B, T, D = x.shape
        H = block.attn.num_heads

        # 1. Attention
        qkv = self._project(block, block.ln_1(x).to(self.dtype))
        q, k, v = qkv.view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4)  # each (B, H, T, D/H)
        if cls_only:
            q, x = q[:, :, :1], x[:, :1]
        out = _attention(q, k, v).transpose(1, 2).reshape(B, -1, D)
        attended = block.ls_1(block.attn.out_proj(out)).float()
        if trace is not None:
            attributions, rest = self._attribute(block, q, k, v)
            cls = rest + block.ls_1(self.project_share(block, attributions.total()))
            attended = torch.cat([cls[:, None], attended[:, 1:]], 1)
        x = x + attended

        # 2. MLP
        update = block.ls_2(block.mlp(block.ln_2(x).to(self.dtype))).float()
        if trace is not None:
            trace.attributions.append(attributions)
            trace.rests.append(rest + update[:, 0])
        return x + update

    def _project(self, block: Any, x: Tensor) -> Tensor:
        """Return queries, keys and values of [B, T, D] side by side, [B, T, 3 D]."""
        return F.linear(x, block.attn.in_proj_weight, block.attn.in_proj_bias)

    def _attribute(
        self, block: Any, q: Tensor, k: Tensor, v: Tensor
    ) -> tuple[PatchAttributions, Tensor]:
        """Return what each patch adds to the CLS token by attention, and what the token itself and
        the biases add, [B, D], in float32, so that the parts add up exactly."""
        d = v.shape[-1]
        scores = q[:, :, :1].float() @ k.float().transpose(-1, -2) / d**0.5
        weight = scores.softmax(-1)[:, :, 0]  # (B, H, T)
        value = v.to(torch.float32, memory_format=torch.contiguous_format)

        # 1. What the CLS token itself adds, (B, D)
        own = (weight[:, :, :1, None] * value[:, :, :1]).sum(2).flatten(1)
        own = block.ls_1(self.project_share(block, own) + block.attn.out_proj.bias.float())

        # 2. What each patch adds
        of_patches = torch.cat([torch.zeros_like(weight[:, :, :1]), weight[:, :, 1:]], 2)
        return PatchAttributions(of_patches, value), own

    @staticmethod
    def project_share(block: Any, value: Tensor) -> Tensor:
        """Apply a block's output projection to attended values [..., D], in float32 and without the
        bias: what they add to the stream, [..., D]."""
        return F.linear(value, block.attn.out_proj.weight.float())
