"""Towers of PyTorch whose matrices stay int8 in memory: the same Trace as causalclip.clip.tower's.

QuantisedTower    PyTorch multiplies in int8 (AVX2); judges alone, without gradients
WeightOnlyTower   matrices are float while they are multiplied with; gradients reach the pixels
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from causalclip.clip.quantised_linear import QuantisedLinear
from causalclip.clip.runtime import Runtime
from causalclip.clip.tower import PatchAttributions, Tower, Trace
from causalclip.clip.weights import INT8, SCALE, dequantize, project_as_stored, without_matrices

if TYPE_CHECKING:
    from causalclip.clip.vit import MetaViT


# beside the weights: a layer's name -> its channels in float32, by scripts/outliers.py
OUTLIERS = "outliers.json"
LINEAR = "attn.in_proj", "attn.out_proj", "mlp.c_fc", "mlp.c_proj"


class QuantisedTower(Tower):
    """A Tower whose matrix products PyTorch computes in int8, for judging alone, without gradients.

    Args:
        visual: a MetaViT on the meta device; it gets the weights that are no matrices.
        weights: the weights as the shards hold them, every matrix of a layer in int8.
        outliers: the channels that stay float32, by layer; see causalclip.clip.quantised_linear.
        mean, std: of the pixels in [0, 1], a number for each of the three channels.

    Raises:
        KeyError: a matrix is not stored in int8, or a layer has no list of outliers.
    """

    def __init__(
        self,
        visual: MetaViT,
        weights: Mapping[str, Tensor],
        *,
        outliers: Mapping[str, Sequence[int]],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        visual.load_state_dict(dequantize(without_matrices(weights)), strict=False, assign=True)
        super().__init__(visual, mean=mean, std=std)
        self.linear: dict[tuple[nn.Module, str], QuantisedLinear] = {}
        for number, block in enumerate(self.blocks):
            for layer in LINEAR:
                name = f"transformer.resblocks.{number}.{layer}"
                # open_clip's names
                weight = f"{name}_weight" if name.endswith("in_proj") else f"{name}.weight"
                bias = visual.get_parameter(weight.removesuffix("weight") + "bias")
                self.linear[block, layer] = QuantisedLinear(
                    weights[weight + INT8], weights[weight + SCALE], bias, outliers=outliers[name]
                )
        project_as_stored(self, weights)

    @property
    def runtime(self) -> Runtime:
        """Return "int8-avx2", the runtime of PyTorch in int8."""
        return "int8-avx2"

    def _layer(self, block: Any, x: Tensor, trace: Trace | None, *, cls_only: bool) -> Tensor:
        B, T, D = x.shape
        H = block.attn.num_heads
        before = x[:, 0]

        # 1. Attention
        qkv = self.linear[block, "attn.in_proj"](block.ln_1(x))
        q, k, v = qkv.view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4)  # each (B, H, T, D/H)
        if trace is not None:
            scores = q[:, :, :1] @ k.transpose(-1, -2) * (D // H) ** -0.5
            weight = scores.softmax(-1)[:, :, 0]  # (B, H, T)
            weight[:, :, 0] = 0  # the CLS token's own share is left to the rest
            trace.attributions.append(PatchAttributions(weight, v.contiguous()))
        if cls_only:
            q, x = q[:, :, :1], x[:, :1]
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, -1, D)
        x = x + self.linear[block, "attn.out_proj"](out)

        # 2. MLP
        y = block.mlp.gelu(self.linear[block, "mlp.c_fc"](block.ln_2(x)))
        x = x + self.linear[block, "mlp.c_proj"](y)

        # 3. The rest: what is of no patch
        if trace is not None:
            share = self.project_share(block, trace.attributions[-1].total())
            trace.rests.append(x[:, 0] - before - share)
        return x


def read_outliers(folder: Path) -> dict[str, list[int]] | None:
    """Read what `scripts/outliers.py` has written beside a tower's weights; None if it has not."""
    file = folder / OUTLIERS
    if not file.is_file():
        return None
    outliers: dict[str, list[int]] = json.loads(file.read_text())["channels"]
    return outliers


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
