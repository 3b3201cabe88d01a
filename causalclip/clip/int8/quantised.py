"""A tower that multiplies in int8 where a processor has AVX2 and no VNNI: the same Trace as causalclip.clip.tower's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.int8.compiled import project_as_stored, without_matrices
from causalclip.clip.int8.linear import QuantisedLinear
from causalclip.clip.runtime import Runtime
from causalclip.clip.tower import Shares, Tower, Trace
from causalclip.clip.weights import INT8, SCALE, dequantize
from causalclip.memory import leave_on_disk

if TYPE_CHECKING:
    from causalclip.clip.outline import Outline

OUTLIERS = "outliers.json"  # beside the weights: a layer's name -> its channels in float32, by scripts/outliers.py
LINEAR = "attn.in_proj", "attn.out_proj", "mlp.c_fc", "mlp.c_proj"


class QuantisedTower(Tower):
    """For judging alone: no gradients, no `walk`.

    What shares need of the weights is here as in causalclip.clip.int8.compiled.

    Args:
        visual: an outline, on the meta device.
        stored: the weights as the shards hold them, every matrix of a layer in int8.
        outliers: of each layer by its name, see causalclip.clip.int8.linear.
        mean, std: of the pixels in [0, 1], a channel.
    """

    def __init__(
        self,
        visual: Outline,
        stored: Mapping[str, Tensor],
        *,
        outliers: Mapping[str, Sequence[int]],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        layers = range(len(visual.transformer.resblocks))  # type: ignore[arg-type]
        names = [f"transformer.resblocks.{i}.{name}" for i in layers for name in LINEAR]
        visual.load_state_dict(dequantize(without_matrices(stored)), strict=False, assign=True)
        super().__init__(visual, mean=mean, std=std)
        self.linear = {name: _linear(name, stored, visual, outliers[name]) for name in names}
        project_as_stored(self, stored)
        for tensor in stored.values():  # packed, they need no memory any more
            leave_on_disk(tensor.data_ptr(), tensor.nbytes)

    @property
    def runtime(self) -> Runtime:
        return "int8-avx2"

    def forward(self, pixels: Tensor, *, until: int | None = None, shares: bool = False, patches: bool = True) -> Trace:
        """As Tower's."""
        until = until or self.layers
        x = self.embed_pixels(pixels)
        trace = Trace(cls=[x[:, 0]], patches=[x[:, 1:]])
        for number in range(until):
            x = self._block(number, x, trace, shares=shares, cls_alone=number + 1 == until and not patches)
            trace.cls.append(x[:, 0])
            trace.patches.append(x[:, 1:])
        for layer, kept in enumerate(trace.shares):
            block, added = self.blocks[layer], trace.cls[layer + 1] - trace.cls[layer]
            trace.rests.append(added - self.project_share(block, kept.total()))
        return trace

    def _block(self, number: int, x: Tensor, trace: Trace, *, shares: bool, cls_alone: bool) -> Tensor:
        block, name = self.blocks[number], f"transformer.resblocks.{number}."
        B, T, D = x.shape
        H = block.attn.num_heads
        qkv = self.linear[name + "attn.in_proj"](block.ln_1(x))
        q, k, v = qkv.view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4)  # each (B, H, T, D/H)
        if shares:
            weight = (q[:, :, :1] @ k.transpose(-1, -2) * (D // H) ** -0.5).softmax(-1)[:, :, 0]  # (B, H, T)
            weight[:, :, 0] = 0  # the CLS token's own share is left to the rest
            trace.shares.append(Shares(weight, v.contiguous()))
        if cls_alone:
            q, x = q[:, :, :1], x[:, :1]
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, -1, D)
        x = x + self.linear[name + "attn.out_proj"](out)
        y = block.mlp.gelu(self.linear[name + "mlp.c_fc"](block.ln_2(x)))
        return x + self.linear[name + "mlp.c_proj"](y)


def weight_name(layer: str) -> str:
    """open_clip's name of a layer's matrix."""
    return f"{layer}_weight" if layer.endswith("in_proj") else f"{layer}.weight"


def read_outliers(folder: Path) -> dict[str, list[int]] | None:
    """What `scripts/outliers.py` has written beside a tower's weights, if it has."""
    file = folder / OUTLIERS
    outliers: dict[str, list[int]] | None = json.loads(file.read_text())["channels"] if file.is_file() else None
    return outliers


def _linear(name: str, stored: Mapping[str, Tensor], visual: Any, outliers: Sequence[int]) -> QuantisedLinear:
    weight = weight_name(name)
    bias = visual.get_parameter(weight.removesuffix("weight") + "bias")
    return QuantisedLinear(stored[weight + INT8], stored[weight + SCALE], bias, outliers=outliers)
