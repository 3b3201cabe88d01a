"""A tower of PyTorch whose matrices stay int8 in memory, with gradients at the pixels.

A matrix is float only while it is multiplied with. The trace is that of causalclip.clip.tower's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from causalclip.clip.tower import Tower
from causalclip.clip.weights import INT8, SCALE, dequantize, without_matrices

if TYPE_CHECKING:
    from causalclip.clip.vit import MetaViT


class WeightOnlyLinear(nn.Module):
    """x W^T + b, [..., I] -> [..., O], with W = matrix * scale + up @ down. (Weight-only
    quantisation.)

    Args:
        matrix: int8 [O, I]. scale: float32 [O, 1]. bias: [O], of dtype.
        dtype: in which it multiplies.
    """

    matrix: Tensor
    scale: Tensor
    up: Tensor | None
    down: Tensor | None

    def __init__(
        self, matrix: Tensor, scale: Tensor, bias: nn.Parameter, *, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.bias, self.dtype = bias, dtype
        for name, tensor in {"matrix": matrix, "scale": scale, "up": None, "down": None}.items():
            self.register_buffer(name, tensor, persistent=False)

    def update(self, up: Tensor, down: Tensor) -> None:
        """Set the low-rank update: float32 [O, rank] and [rank, I]."""
        self.up, self.down = up, down

    @property
    def weight(self) -> Tensor:
        """The weight matrix W, [O, I] of dtype, made anew each time: 0.1 ms for 768 x 768."""
        weight = self.matrix.float().mul_(self.scale).to(self.dtype)
        if self.up is None or self.down is None:
            return weight
        return weight.float().add_(self.up @ self.down).to(self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        product: Tensor = _Product.apply(x, self)
        return product


class _Product(torch.autograd.Function):
    """Makes the weight a second time for the gradient: kept from forwards on, all layers' would be
    there at once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: WeightOnlyLinear) -> Tensor:
        ctx.layer = layer
        return F.linear(x, layer.weight, layer.bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient @ ctx.layer.weight, None


class WeightOnlyTower(Tower):
    """A Tower with int8 matrices that multiplies in `dtype`, so that gradients reach the pixels.

    Args:
        visual: a MetaViT on the meta device; it gets the weights that are no matrices.
        weights: the weights as the shards hold them, every matrix of a layer in int8.
        mean, std: of the pixels in [0, 1], a number for each of the three channels.
        dtype: of the matrix products.

    Raises:
        KeyError: a matrix is not stored in int8.
    """

    def __init__(
        self,
        visual: MetaViT,
        weights: Mapping[str, Tensor],
        *,
        mean: Sequence[float],
        std: Sequence[float],
        dtype: torch.dtype,
    ) -> None:
        visual.load_state_dict(dequantize(without_matrices(weights)), strict=False, assign=True)
        super().__init__(visual, mean=mean, std=std, dtype=dtype)
        for number, block in enumerate(self.blocks):
            name, attention = f"transformer.resblocks.{number}.", block.attn

            def layer(weight: str, bias: nn.Parameter, name: str = name) -> WeightOnlyLinear:
                return WeightOnlyLinear(
                    weights[name + weight + INT8], weights[name + weight + SCALE], bias, dtype=dtype
                )

            attention.in_proj = layer("attn.in_proj_weight", attention.in_proj_bias)
            attention.in_proj_weight = attention.in_proj_bias = None
            attention.out_proj = layer("attn.out_proj.weight", attention.out_proj.bias)
            for inner in ("c_fc", "c_proj"):
                setattr(
                    block.mlp, inner, layer(f"mlp.{inner}.weight", getattr(block.mlp, inner).bias)
                )

    def _project(self, block: Any, x: Tensor) -> Tensor:
        product: Tensor = block.attn.in_proj(x)
        return product
