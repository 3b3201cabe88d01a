"""The layers of the tower that the verdict reads, taught in three ways; those below stay frozen and are run once."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causalclip.clip.tower import Tower, normalise

Way = Literal["frozen", "norms", "low-rank", "whole"]
CUT, LAST = 5, 11  # the last layer that is run once, and the last one that a part is taken from
CLS, PATCH = tuple(range(6, 12)), (6, 7, 8)  # parts that change; patch:5 is of a frozen layer


@dataclass(frozen=True, slots=True)
class Teaching:
    """What of the upper layers learns. rank: of the updates of the matrices, where they are of low rank."""

    way: Way
    rank: int = 8


class Linear(nn.Module):
    """A frozen matrix with a bias, an update of low rank, or all of it learning; products in bfloat16."""

    def __init__(self, weight: Tensor, bias: Tensor, teaching: Teaching) -> None:
        super().__init__()
        whole, learns = teaching.way == "whole", teaching.way != "frozen"
        self.weight = nn.Parameter(weight.float() if whole else weight.bfloat16(), requires_grad=whole)
        self.bias = nn.Parameter(bias.float().clone(), requires_grad=learns)
        self.down = self.up = None
        if teaching.way == "low-rank":
            self.down = nn.Parameter(torch.randn(teaching.rank, weight.shape[1]) / weight.shape[1] ** 0.5)
            self.up = nn.Parameter(torch.zeros(weight.shape[0], teaching.rank))

    def forward(self, x: Tensor) -> Tensor:
        x = x.bfloat16()
        out = F.linear(x, self.weight.bfloat16(), self.bias.bfloat16())
        if self.down is not None and self.up is not None:
            out = out + F.linear(F.linear(x, self.down.bfloat16()), self.up.bfloat16())
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
    """Layers CUT + 1 to LAST of a tower, from tokens after layer CUT to the parts of the embedding."""

    def __init__(self, tower: Tower, teaching: Teaching) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(block, teaching) for block in tower.blocks[CUT:LAST])

    def forward(self, tokens: Tensor) -> Tensor:
        """float or bfloat16 [B, T, D] -> float32 [B, 10 D]: patch:5, then each layer's parts."""
        x = tokens.float()
        parts = [normalise(x[:, 1:])[0].mean(1)]
        for layer, block in enumerate(self.blocks, CUT + 1):
            x = block(x, cls_alone=layer == LAST)
            if layer in CLS:
                parts.append(normalise(x[:, 0])[0])
            if layer in PATCH:
                parts.append(normalise(x[:, 1:])[0].mean(1))
        return torch.cat(parts, 1)


def _norm(norm: nn.LayerNorm, teaching: Teaching) -> nn.LayerNorm:
    own = nn.LayerNorm(norm.normalized_shape, eps=norm.eps)
    own.load_state_dict({"weight": norm.weight.float(), "bias": norm.bias.float()})
    return own.requires_grad_(teaching.way != "frozen")
