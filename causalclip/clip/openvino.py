"""A CLIP image tower that OpenVINO runs, for judging alone, with the int8 weights as stored.

Each matrix product is given its int8 matrix with one scale an output channel. OpenVINO quantises
the activations on the way, GROUP values of a token at a time, and multiplies in int8 where the
processor has VNNI. Attention, the norms and the residual stream stay float32.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

# OpenVINO reports every import to its makers where it finds this package. Here nothing leaves the
# machine.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402
from openvino import Model, Output  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

from causalclip.clip.runtime import Runtime  # noqa: E402
from causalclip.clip.tower import PatchAttributions, Tower, Trace  # noqa: E402
from causalclip.clip.weights import (  # noqa: E402
    INT8,
    SCALE,
    dequantize,
    project_as_stored,
    without_matrices,
)

if TYPE_CHECKING:
    from open_clip.transformer import VisionTransformer

    from causalclip.clip.vit import MetaViT

GROUP = 128  # of 32, 64, 128 and 256: 64 is slower, 256 no faster and less exact


class CompiledTower(Tower):
    """A Tower whose `forward` OpenVINO computes on the processor, without gradients; `walk` cannot
    be called.

    Of the weights it holds in PyTorch what patch attributions need: the last norm in float32 and
    the output projections in int8. The layers' other matrices stay on the meta device.

    Args:
        visual: open_clip's module or a MetaViT, on the meta device; it gets the weights that are
            no matrices.
        stored: the weights as the shards hold them (causalclip.clip.weights.read_shards), every
            matrix of a layer in int8.
        mean, std: of the pixels in [0, 1], a number for each of the three channels.

    Raises:
        ValueError: the tower does not pool by its CLS token.
        KeyError: a matrix is not stored in int8.
    """

    def __init__(
        self,
        visual: VisionTransformer | MetaViT,
        stored: Mapping[str, Tensor],
        *,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        visual.load_state_dict(dequantize(without_matrices(stored)), strict=False, assign=True)
        super().__init__(visual, mean=mean, std=std)
        project_as_stored(self, stored)
        self.stored = stored
        self.graphs: dict[tuple[int, bool, bool], Any] = {}

    @property
    def runtime(self) -> Runtime:
        """Return "int8", the runtime of OpenVINO."""
        return "int8"

    def forward(
        self,
        pixels: Tensor,
        *,
        until: int | None = None,
        attributions: bool = False,
        patches: bool = True,
    ) -> Trace:
        """Run the tower on views, and return a Trace of float32 tensors on the processor.

        The first call with other settings compiles a graph for them, in about half a second.
        Threads may call it side by side.

        Args:
            pixels: float [B, 3, S, S] in [0, 1], S the tower's image size, any B.
            until: the last layer needed (1 to L); None for all L layers.
            attributions: keep what every patch adds to the CLS token.
            patches: keep the patch tokens after the last layer, too; else `Trace.patches` ends in
                [B, 0, D].
        """
        until = until or self.layers
        graph = self._graph(until, patches, attributions)
        request = graph.create_infer_request()  # one a call: threads may judge side by side
        request.infer({"pixels": ((pixels - self.mean) / self.std).numpy()})

        def output(name: str) -> Tensor:
            return torch.from_numpy(request.get_tensor(name).data)

        streams = [output(f"stream:{layer}") for layer in range(until + 1)]
        trace = Trace(cls=[x[:, 0] for x in streams], patches=[x[:, 1:] for x in streams])
        for layer in range(1, until + 1) if attributions else ():
            attribution = self._patches(output(f"weight:{layer}"), output(f"value:{layer}"))
            block = self.blocks[layer - 1]
            trace.attributions.append(attribution)
            update = trace.cls[layer] - trace.cls[layer - 1]
            trace.rests.append(update - block.ls_1(self.project_share(block, attribution.total())))
        return trace

    def _graph(self, until: int, patches: bool, attributions: bool) -> Any:
        """Return the compiled graph for these settings, compiled if there is none.

        One that gives attributions also serves callers who need none: a second graph would hold
        the weights once more.
        """
        for key in ((until, patches, True), (until, patches, attributions)):
            if key in self.graphs:
                return self.graphs[key]
        self.graphs[key] = _compile_graph(
            self.visual, self.stored, until=until, patches=patches, attributions=attributions
        )
        if attributions:
            self.graphs.pop((until, patches, False), None)
        return self.graphs[key]

    @staticmethod
    def _patches(weight: Tensor, value: Tensor) -> PatchAttributions:
        """Return what each patch adds, of weights [B, H, 1, T] and values [B, T, D]; the CLS
        token's own share is left to the rest."""
        patches = weight[:, :, 0].clone()
        patches[:, :, 0] = 0
        return PatchAttributions(patches, value.unflatten(2, (weight.shape[1], -1)).transpose(1, 2))


def _compile_graph(
    visual: Any, stored: Mapping[str, Tensor], *, until: int, patches: bool, attributions: bool
) -> Any:
    """Compile a tower's layers 1 to `until` for the processor, on as many threads as PyTorch has.

    The graph's input is "pixels", normalised float32 [B, 3, S, S] for any B. Its outputs are
    float32, for B views of T tokens of width D and H heads:

        stream:l   [B, T, D], the residual stream after layer l; stream:0 before the first
        value:l    [B, T, D], the values of layer l's attention
        weight:l   [B, H, 1, T], the CLS token's attention in layer l

    Args:
        visual: the tower's module, for its sizes and the weights that are no matrices.
        stored: the weights as the shards hold them.
        until: the last layer, from 1.
        patches: the last stream holds all tokens, not the CLS token alone.
        attributions: "value" and "weight" are outputs, too; a run takes a fourteenth longer.

    Returns:
        An openvino.CompiledModel.
    """
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
        "ENABLE_CPU_PINNING": False,  # others compute here, too
    }
    model = _Graph(visual, stored, attributions=attributions).walk(until, patches=patches)
    return openvino.Core().compile_model(model, "CPU", settings)


class _Graph:
    """Builds the OpenVINO graph of a tower from its weights, which go by open_clip's names."""

    def __init__(self, visual: Any, stored: Mapping[str, Tensor], *, attributions: bool) -> None:
        self.visual, self.stored, self.attributions = visual, stored, attributions
        self.outputs: dict[str, Output] = {}

    def walk(self, until: int, *, patches: bool) -> Model:
        """Return the model of the layers up to `until`, with the inputs and outputs of
        `_compile_graph`."""
        side = self.visual.image_size[0]
        pixels = ops.parameter([-1, 3, side, side], np.float32, name="pixels")
        x = self.embed(pixels)
        self.outputs["stream:0"] = x
        for layer in range(1, until + 1):
            x = self.layer(x, layer, cls_only=layer == until and not patches)
            self.outputs[f"stream:{layer}"] = x
        for name, output in self.outputs.items():
            output.get_tensor().set_names({name})
        return Model([ops.result(output) for output in self.outputs.values()], [pixels], "clip")

    def embed(self, pixels: Any) -> Output:
        """Turn normalised pixels [B, 3, S, S] into the tokens before the first layer, [B, T, D]:
        the CLS token, then the patches, each with its position."""
        patch, D = list(self.visual.patch_size), self.visual.class_embedding.shape[0]
        x = ops.convolution(pixels, self.weight("conv1.weight"), patch, [0, 0], [0, 0], [1, 1])
        x = ops.transpose(ops.reshape(x, _ints(0, D, -1), True), _ints(0, 2, 1))
        x = ops.pad(x, _ints(0, 1, 0), _ints(0, 0, 0), "constant", np.float32(0))
        positions = self.visual.positional_embedding.clone()
        positions[0] += self.visual.class_embedding
        return self.norm(ops.add(x, ops.constant(positions[None].numpy())), "ln_pre")

    def layer(self, x: Output, layer: int, *, cls_only: bool) -> Output:
        """Add a layer to the graph and return the stream after it, [B, T, D].

        Args:
            x: the stream before it, [B, T, D].
            layer: its number, from 1.
            cls_only: return the CLS token's stream alone, [B, 1, D].
        """
        # 1. Attention: queries, keys and values
        block: Any = self.visual.transformer.resblocks[layer - 1]
        name, H = f"transformer.resblocks.{layer - 1}", block.attn.num_heads
        d = block.attn.embed_dim // H
        x_norm = self.norm(x, f"{name}.ln_1")
        into = f"{name}.attn.in_proj_weight", f"{name}.attn.in_proj_bias"
        # Three products, (B, T, D) each: one whose result is split, which OpenVINO copies, takes a
        # twentieth more.
        q, k, v = (self.linear(x_norm, *into, third=i).output(0) for i in range(3))
        q = ops.multiply(q, np.float32(d**-0.5))
        if self.attributions:
            self.outputs[f"weight:{layer}"] = _attention(_first(q), k, heads=H, size=d)
            self.outputs[f"value:{layer}"] = v

        # 2. Attention of the tokens that are needed
        if cls_only:
            x, q = _first(x), _first(q)
        weight = _attention(q, k, heads=H, size=d)
        out = ops.transpose(ops.matmul(weight, _heads(v, H, d), False, False), _ints(0, 2, 1, 3))
        out = ops.reshape(out, _ints(0, -1, H * d), True)
        x = ops.add(
            x, self.linear(out, f"{name}.attn.out_proj.weight", f"{name}.attn.out_proj.bias")
        )

        # 3. The MLP
        y = self.linear(
            self.norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc.weight", f"{name}.mlp.c_fc.bias"
        )
        y = (
            ops.gelu(y, "ERF")
            if isinstance(block.mlp.gelu, nn.GELU)
            else ops.swish(y, np.float32(1.702))
        )
        return ops.add(
            x, self.linear(y, f"{name}.mlp.c_proj.weight", f"{name}.mlp.c_proj.bias")
        ).output(0)

    def norm(self, x: Any, name: str) -> Output:
        """Normalise tokens [B, T, D] over their width, with the LayerNorm `name`."""
        normalised = ops.mvn(x, _ints(-1), True, self.visual.get_submodule(name).eps, "INSIDE_SQRT")
        scaled = ops.multiply(normalised, self.weight(f"{name}.weight"))
        return ops.add(scaled, self.weight(f"{name}.bias")).output(0)

    def linear(self, x: Any, weight: str, bias: str, *, third: int | None = None) -> Any:
        """Return x W^T + b, [B, T, I] -> [B, T, O]; `third` as for `weight`."""
        return ops.add(
            ops.matmul(x, self.weight(weight, third), False, True), self.weight(bias, third)
        )

    def weight(self, name: str, third: int | None = None) -> Any:
        """Return a weight as a node of the graph, without a copy: a float as it is stored, an int8
        matrix times its scales, which OpenVINO keeps apart.

        third: which third of its rows, 0 to 2; None for all.
        """

        def rows(key: str) -> Any:
            tensor = self.stored[key] if third is None else self.stored[key].chunk(3)[third]
            return ops.constant(tensor.numpy(), shared_memory=True)

        if name in self.stored:
            return rows(name)
        return ops.multiply(ops.convert(rows(name + INT8), "f32"), rows(name + SCALE))


def _attention(q: Any, k: Any, *, heads: int, size: int) -> Output:
    """Return softmax(q k^T), [B, H, T_q, T]; q is scaled already."""
    keys = _heads(k, heads, size, order=(0, 2, 3, 1))
    return ops.softmax(ops.matmul(_heads(q, heads, size), keys, False, False), -1).output(0)


def _heads(x: Any, heads: int, size: int, *, order: tuple[int, ...] = (0, 2, 1, 3)) -> Any:
    """Split a stream into heads: [B, T, D] -> [B, H, T, d], or in another order."""
    return ops.transpose(ops.reshape(x, _ints(0, -1, heads, size), True), _ints(*order))


def _first(x: Any) -> Any:
    """Cut out the CLS token's row: [B, T, D] -> [B, 1, D]."""
    return ops.slice(x, _ints(0), _ints(1), _ints(1), _ints(1))


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)
