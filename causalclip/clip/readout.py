"""How a tower's own embedding is read off its last layer, and what each patch adds to it there.

Most towers normalise and project the CLS token. The Perception Encoder (arXiv 2504.13181) pools by attention: one
learned query looks at all tokens, so its embedding is a sum over tokens, too: weight x value x projections. The MLP
behind the pooling is a residual; what it adds belongs to the rest.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Readout(Protocol):
    """cls [B, D] and patches [B, N, D] of the last layer -> the embedding [B, E], a sum once weights are known."""

    @property
    def needs_patches(self) -> bool:
        """Whether patches of the last layer matter; where not, they may be none."""
        ...

    @property
    def width(self) -> int:
        """E."""
        ...

    def read(self, cls: Tensor, patches: Tensor) -> Tensor:
        """The embedding, [B, E]."""
        ...

    def pull(self, cls: Tensor, patches: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """direction [B, E] -> (the direction [B, D] on the CLS token, each patch's own [B, N], all else [B]).

        direction . embedding = (first * cls).sum() + second.sum() + third.
        """
        ...

    def of_cls(self, added: Tensor, cls: Tensor, patches: Tensor) -> Tensor:
        """What is `added` [B, ..., D] to the CLS token -> what that adds to the embedding [B, ..., E]."""
        ...

    def of_patches(self, cls: Tensor, patches: Tensor) -> Tensor:
        """What each patch adds here by itself: [B, N, E], or a 0 that stands for them."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ClsReadout:
    """LayerNorm and projection [D, E] of the CLS token."""

    norm: nn.LayerNorm
    proj: Tensor
    needs_patches: bool = False

    @property
    def width(self) -> int:
        return int(self.proj.shape[1])

    def read(self, cls: Tensor, patches: Tensor) -> Tensor:
        return self.norm(cls) @ self.proj

    def pull(self, cls: Tensor, patches: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gradient, offset = back_through_norm(self.norm, cls, direction @ self.proj.T)
        return gradient, cls.new_zeros(1, 1), offset

    def of_cls(self, added: Tensor, cls: Tensor, patches: Tensor) -> Tensor:
        return through_norm(self.norm, cls, added) @ self.proj

    def of_patches(self, cls: Tensor, patches: Tensor) -> Tensor:
        return cls.new_zeros(1, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class PooledReadout:
    """LayerNorm of all tokens, timm's AttentionPoolLatent with one query, and a linear head.

    Every float32 as timm has it. The CLS token's part of the pooling goes back to what was added to it in the layers.
    """

    norm: nn.LayerNorm
    pool: Any
    head: nn.Linear
    needs_patches: bool = True

    @property
    def width(self) -> int:
        return int(self.head.weight.shape[0])

    def read(self, cls: Tensor, patches: Tensor) -> Tensor:
        weight, value = self._attend(cls, patches)
        pooled = self.pool.proj((weight[..., None] * value).sum(2).flatten(1))
        embedding: Tensor = self.head(pooled + self._residual(pooled))
        return embedding

    def pull(self, cls: Tensor, patches: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        B, H = len(cls), self.pool.num_heads
        weight, value = self._attend(cls, patches)
        on_pooled = direction @ self.head.weight  # (B, D)
        back = (on_pooled @ self.pool.proj.weight).view(B, H, 1, -1)
        each = ((value * back).sum(-1) * weight).sum(1)  # (B, T)
        pooled = self.pool.proj((weight[..., None] * value).sum(2).flatten(1))
        else_ = (direction * self.head.bias).sum(1) + (on_pooled * (self.pool.proj.bias + self._residual(pooled))).sum(
            1
        )
        on_value = (weight[:, :, :1, None] * back).flatten(1)  # of the CLS token alone
        matrix, bias = self._value()
        gradient, offset = back_through_norm(self.norm, cls, on_value @ matrix)
        return gradient, each[:, 1:], else_ + offset + on_value @ bias

    def of_cls(self, added: Tensor, cls: Tensor, patches: Tensor) -> Tensor:
        weight, value = self._attend(cls, patches)
        own = through_norm(self.norm, cls, added) @ self._value()[0].T  # (B, ..., D)
        share = weight[:, :, :1].expand(-1, -1, value.shape[-1]).flatten(1)
        return self._project(own * share.view(len(cls), *[1] * (added.dim() - 2), -1))

    def of_patches(self, cls: Tensor, patches: Tensor) -> Tensor:
        weight, value = self._attend(cls, patches)
        return self._project((weight[..., None] * value).transpose(1, 2).flatten(2)[:, 1:])

    def _project(self, values: Tensor) -> Tensor:
        return values @ self.pool.proj.weight.T @ self.head.weight.T

    def _residual(self, pooled: Tensor) -> Tensor:
        added: Tensor = self.pool.mlp(self.pool.norm(pooled))
        return added

    def _value(self) -> tuple[Tensor, Tensor]:
        """Weight [D, D] and bias [D] of the values."""
        D = self.pool.kv.in_features
        return self.pool.kv.weight[D:], self.pool.kv.bias[D:]

    def _attend(self, cls: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """The query's weight of every token, [B, H, T], and the values, [B, H, T, D / H]."""
        tokens = self.norm(torch.cat([cls[:, None], patches], 1))
        B, T, D = tokens.shape
        H = self.pool.num_heads
        key, value = self.pool.kv(tokens).view(B, T, 2, H, D // H).permute(2, 0, 3, 1, 4)
        query = self.pool.q_norm(self.pool.q(self.pool.latent).view(1, 1, H, D // H).transpose(1, 2))
        weight = (query @ self.pool.k_norm(key).transpose(-1, -2) * (D // H) ** -0.5).softmax(-1)[:, :, 0]
        return weight, value


def through_norm(norm: nn.LayerNorm, x: Tensor, added: Tensor) -> Tensor:
    """What `added` [B, ..., D] to x [B, D] adds behind the norm, whose deviation is held fixed."""
    deviation = (x.var(1, unbiased=False) + norm.eps).sqrt().view(-1, *[1] * (added.dim() - 1))
    centred: Tensor = (added - added.mean(-1, keepdim=True)) / deviation * norm.weight
    return centred


def back_through_norm(norm: nn.LayerNorm, x: Tensor, behind: Tensor) -> tuple[Tensor, Tensor]:
    """A direction [B, D] behind the norm -> (before it [B, D], what the norm's bias adds [B])."""
    deviation = (x.var(1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    before = behind * norm.weight
    return (before - before.mean(1, keepdim=True)) / deviation, behind @ norm.bias
