"""The layers of the tower that the verdict reads, taught in three ways; those below stay frozen and are run once."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causalclip.clip.tower import Tower, normalise

Way = Literal["frozen", "norms", "low-rank", "whole"]
LAST = 11  # the last layer that a part is taken from
CLS, PATCHES = tuple(range(6, 12)), (5, 6, 7, 8)  # layers of which the CLS token, and the mean of patches, is a part


@dataclass(frozen=True, slots=True)
class Teaching:
    """What of the upper layers learns. rank: of the updates of the matrices, where they are of low rank."""

    way: Way
    rank: int = 8


class Linear(nn.Module):
    """A frozen matrix with a bias, an update of low rank, or all of it learning; products in the tower's own type."""

    def __init__(self, weight: Tensor, bias: Tensor, teaching: Teaching) -> None:
        super().__init__()
        whole, learns = teaching.way == "whole", teaching.way != "frozen"
        self.dtype = weight.dtype
        self.weight = nn.Parameter(weight.float() if whole else weight, requires_grad=whole)
        self.bias = nn.Parameter(bias.float().clone(), requires_grad=learns)
        self.down = self.up = None
        if teaching.way == "low-rank":
            self.down = nn.Parameter(torch.randn(teaching.rank, weight.shape[1]) / weight.shape[1] ** 0.5)
            self.up = nn.Parameter(torch.zeros(weight.shape[0], teaching.rank))

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype)
        out = F.linear(x, self.weight.to(self.dtype), self.bias.to(self.dtype))
        if self.down is not None and self.up is not None:
            out = out + F.linear(F.linear(x, self.down.to(self.dtype)), self.up.to(self.dtype))
        return out


class Block(nn.Module):
    """One layer, as causalclip.clip.tower runs it: stream and norms in float32."""

    def __init__(self, block: Any, teaching: Teaching) -> None:
        super().__init__()
        self.heads: int = block.attn.num_heads
        self.ln_1, self.ln_2 = _norm(block.ln_1, teaching), _norm(block.ln_2, teaching)
        self.qkv = Linear(block.attn.in_proj_weight.data, block.attn.in_proj_bias.data, teaching)
        self.out = Linear(block.attn.out_proj.weight.data, block.attn.out_proj.bias.data, teaching)
        self.fc = Linear(block.mlp.c_fc.weight.data, block.mlp.c_fc.bias.data, teaching)
        self.activation = block.mlp.gelu
        self.proj = Linear(block.mlp.c_proj.weight.data, block.mlp.c_proj.bias.data, teaching)

    def forward(self, x: Tensor, *, cls_alone: bool) -> Tensor:
        B, T, D = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if cls_alone:
            q, x = q[:, :, :1], x[:, :1]
        mixed = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(B, -1, D)).float()
        return x + self.proj(self.activation(self.fc(self.ln_2(x)))).float()


class Upper(nn.Module):
    """The layers above `cut` of a tower, from tokens after layer `cut` to the parts of the embedding.

    cut: the last layer that is run once, 5 or more.
    """

    def __init__(self, tower: Tower, teaching: Teaching, cut: int) -> None:
        super().__init__()
        self.cut = cut
        self.frozen = (sum(n <= cut for n in (*CLS, *PATCHES))) * tower.width  # dimensions of parts below
        self.blocks = nn.ModuleList(Block(block, teaching) for block in tower.blocks[cut:LAST])

    def forward(self, tokens: Tensor, parts: Tensor) -> Tensor:
        """Tokens [B, T, D] and the frozen tower's parts [B, 10 D], of which those up to the cut stay -> [B, 10 D]."""
        x, made = tokens.float(), [parts[:, : self.frozen].float()]
        for layer, block in enumerate(self.blocks, self.cut + 1):
            x = block(x, cls_alone=layer == LAST)
            made.append(normalise(x[:, 0])[0])
            if layer in PATCHES:
                made.append(normalise(x[:, 1:])[0].mean(1))
        return torch.cat(made, 1)


def _norm(norm: nn.LayerNorm, teaching: Teaching) -> nn.LayerNorm:
    own = nn.LayerNorm(norm.normalized_shape, eps=norm.eps)
    own.load_state_dict({"weight": norm.weight.float(), "bias": norm.bias.float()})
    return own.requires_grad_(teaching.way != "frozen")
