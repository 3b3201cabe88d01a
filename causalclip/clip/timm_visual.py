"""timm's ViT and Eva (DINOv3, Perception Encoder) in the shape of open_clip's VisionTransformer, for Tower to walk.

What they have beyond it: registers (tokens beside the CLS token, no place in the picture), rotary positions,
projections without biases, and pooling by attention. What would break the sum over patches is refused, in a sentence.
"""

from typing import Any

import torch
from timm.layers import AttentionPoolLatent
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from timm.models.eva import Eva, EvaBlock
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from causalclip.clip.readout import ClsReadout, PooledReadout, Readout


class Scale(nn.Module):
    """LayerScale."""

    def __init__(self, gamma: nn.Parameter) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Attention(nn.Module):
    """timm's attention under open_clip's names.

    rope: rotary positions of the patches, [N, 2 d] or [H, N, 2 d]; None where places are not told by turning.
    """

    rope: Tensor | None

    def __init__(self, attn: Any, prefix: int) -> None:
        super().__init__()
        separate = attn.qkv is None if hasattr(attn, "q_proj") else False
        linears = [attn.q_proj, attn.k_proj, attn.v_proj] if separate else [attn.qkv]
        weight = torch.cat([linear.weight.data for linear in linears])
        self.in_proj_weight = nn.Parameter(weight)
        self.in_proj_bias = nn.Parameter(_bias(attn, linears))
        self.out_proj = attn.proj
        if self.out_proj.bias is None:
            self.out_proj.bias = nn.Parameter(torch.zeros(weight.shape[1]))
        self.num_heads: int = attn.num_heads
        self.q_norm, self.k_norm = attn.q_norm, attn.k_norm
        self.prefix, self.turns_halves = prefix, getattr(attn, "rotate_half", False)
        self.register_buffer("rope", None, persistent=False)

    def place(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys [B, H, T, d], normalised and turned by their places as the tower does."""
        return self._place(self.q_norm, q), self._place(self.k_norm, k)

    def _place(self, norm: nn.Module, x: Tensor) -> Tensor:
        placed: Tensor = norm(x.float())
        if self.rope is not None:
            turned = apply_rot_embed_cat(placed[:, :, self.prefix :], self.rope, half=self.turns_halves)
            placed = torch.cat([placed[:, :, : self.prefix], turned], 2)
        return placed.to(x.dtype)


def _bias(attn: Any, linears: list[nn.Linear]) -> Tensor:
    if getattr(attn, "q_bias", None) is not None:
        return torch.cat([attn.q_bias.data, torch.zeros_like(attn.q_bias), attn.v_bias.data])
    return torch.cat([torch.zeros(x.out_features) if x.bias is None else x.bias.data for x in linears])


def _unchanged(width: int) -> nn.Linear:
    """The linear map that changes nothing, in place of a projection that a tower has not."""
    linear = nn.Linear(width, width)
    linear.weight.data, linear.bias.data = torch.eye(width), torch.zeros(width)
    return linear


class ResidualBlock(nn.Module):
    """One of timm's pre-norm blocks under open_clip's names."""

    def __init__(self, block: Any, prefix: int) -> None:
        super().__init__()
        self.attn = Attention(block.attn, prefix)
        self.ln_1, self.ln_2, self.mlp = block.norm1, block.norm2, block.mlp
        gammas = [getattr(block, f"gamma_{i}", None) for i in (1, 2)]
        scales = [nn.Identity() if g is None else Scale(g) for g in gammas]
        self.ls_1, self.ls_2 = (getattr(block, "ls1", scales[0]), getattr(block, "ls2", scales[1]))


class TimmVisual(nn.Module):
    """A timm trunk with a CLS token, ready for Tower.

    Args:
        trunk: an Eva or VisionTransformer; it is taken apart and of no other use afterwards.

    Raises:
        ValueError: it cannot be decomposed; the sentence says why.
    """

    attn_pool, pool_type = None, "tok"  # what it pools by is its readout's matter

    def __init__(self, trunk: Any, name: str) -> None:
        super().__init__()
        if reason := why_not(trunk):
            raise ValueError(f"The tower {name!r} cannot be decomposed into patches: {reason}.")
        self.registers: int = trunk.num_prefix_tokens - 1
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(ResidualBlock(b, trunk.num_prefix_tokens) for b in trunk.blocks)
        trunk.blocks = nn.ModuleList()
        self.trunk = trunk
        self.head = trunk.head if isinstance(trunk.head, nn.Linear) else _unchanged(trunk.embed_dim)
        self._tell_places()

    @property
    def class_embedding(self) -> Tensor:
        token: Tensor = self.trunk.cls_token[0, 0]
        return token

    @property
    def image_size(self) -> tuple[int, int]:
        height, width = self.trunk.patch_embed.img_size
        return height, width

    @property
    def grid_size(self) -> tuple[int, int]:
        rows, columns = self.trunk.patch_embed.grid_size
        return rows, columns

    @property
    def readout(self) -> Readout:
        if self.trunk.attn_pool is not None:
            return PooledReadout(self.trunk.norm, self.trunk.attn_pool, self.head)
        return ClsReadout(self.trunk.norm, self.head.weight.T)

    def resize(self, size: int) -> None:
        """Takes views of `size` px from now on."""
        self.trunk.set_input_size(img_size=(size, size))
        self._tell_places()

    def _embeds(self, pixels: Tensor) -> Tensor:
        embedded: Any = self.trunk._pos_embed(self.trunk.patch_embed(pixels))
        tokens: Tensor = self.trunk.norm_pre(embedded[0] if isinstance(embedded, tuple) else embedded)
        return tokens

    @torch.no_grad()
    def _tell_places(self) -> None:
        if getattr(self.trunk, "rope", None) is None:
            return
        self.trunk.eval()  # places are shifted at random while training
        rope = self.trunk.rope.get_embed(shape=self.grid_size).detach()
        blocks: Any = self.transformer.resblocks
        for layer, block in enumerate(blocks):
            block.attn.rope = rope[layer] if self.trunk.rope_mixed else rope


def why_not(trunk: Any) -> str:
    """Why a timm model is no sum over patches; empty where it is one."""
    if not isinstance(trunk, Eva | VisionTransformer) or not all(type(b) in (EvaBlock, Block) for b in trunk.blocks):
        return "it is no plain vision transformer"
    if trunk.cls_token is None:
        return "it has no CLS token"
    for block in trunk.blocks:
        attn: Any = block.attn
        if not isinstance(attn.norm, nn.Identity) or getattr(attn, "gate", None) is not None:
            return "it normalises or gates inside its attention, which is then no sum over tokens"
        if getattr(attn, "num_kv_groups", 1) > 1 or attn.num_heads * attn.head_dim != trunk.embed_dim:
            return "its heads share keys or have another width than usual"
    if not isinstance(trunk.norm, nn.LayerNorm):
        return "its CLS token is not normalised at the end"
    pool = trunk.attn_pool
    if pool is None:
        return (
            "" if isinstance(trunk.head, nn.Identity) else "a projection follows its CLS token that is not known here"
        )
    known = isinstance(pool, AttentionPoolLatent) and pool.latent_len == 1 and pool.pos_embed is None and pool.mlp
    return "" if known else "it pools by attention in a way that is not known here"
