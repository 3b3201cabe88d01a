"""A tower whose matrices stay int8 at run time: the same Trace as causalclip.clip.tower's, from a compiled graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalclip.clip.runtime import Runtime
from causalclip.clip.tower import Shares, Tower, Trace
from causalclip.clip.weights import INT8, SCALE, Int8Matrix, dequantize
from causalclip.memory import leave_on_disk

if TYPE_CHECKING:
    from open_clip.transformer import VisionTransformer

    from causalclip.clip.outline import Outline

HEAVY = "attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"


class CompiledTower(Tower):
    """For judging alone: no gradients, no `walk`.

    What shares need of the weights is here: the last norm in float32, output projections as they are stored. The other
    matrices are on the meta device.

    Args:
        visual: open_clip's module or its outline, on the meta device.
        stored: the weights as the shards hold them.
        mean, std: of the pixels in [0, 1], a channel.
    """

    def __init__(
        self,
        visual: VisionTransformer | Outline,
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
        self.packed = False

    @property
    def runtime(self) -> Runtime:
        return "int8"

    def forward(self, pixels: Tensor, *, until: int | None = None, shares: bool = False, patches: bool = True) -> Trace:
        """As Tower's. The first call compiles the graph, in about half a second."""
        until = until or self.layers
        graph = self._graph(until, patches, shares)
        request = graph.create_infer_request()  # one a call: threads may judge side by side
        request.infer({"pixels": ((pixels - self.mean) / self.std).numpy()})
        self._leave_stored()

        def output(name: str) -> Tensor:
            return torch.from_numpy(request.get_tensor(name).data)

        streams = [output(f"stream:{layer}") for layer in range(until + 1)]
        trace = Trace(cls=[x[:, 0] for x in streams], patches=[x[:, 1:] for x in streams])
        for layer in range(1, until + 1) if shares else ():
            kept = self._shares(output(f"weight:{layer}"), output(f"value:{layer}"))
            block = self.blocks[layer - 1]
            trace.shares.append(kept)
            added = trace.cls[layer] - trace.cls[layer - 1]
            trace.rests.append(added - block.ls_1(self.project_share(block, kept.total())))
        return trace

    def _graph(self, until: int, patches: bool, shares: bool) -> Any:
        """One that gives shares serves who asks for none: another one would have the weights once more."""
        from causalclip.clip.int8.graph import compile_graph  # OpenVINO takes a third of a second to import

        for key in ((until, patches, True), (until, patches, shares)):
            if key in self.graphs:
                return self.graphs[key]
        self.graphs[key] = compile_graph(self.visual, self.stored, until=until, patches=patches, shares=shares)
        self.packed = False
        if shares:
            self.graphs.pop((until, patches, False), None)
        return self.graphs[key]

    def _leave_stored(self) -> None:
        """Once a graph has run, which makes copies of its own, the stored weights need no memory any more."""
        if not self.packed:
            self.packed = True
            for tensor in self.stored.values():
                leave_on_disk(tensor.data_ptr(), tensor.nbytes)

    @staticmethod
    def _shares(weight: Tensor, value: Tensor) -> Shares:
        """[B, H, 1, T] and [B, T, D] -> what each patch adds; the CLS token's own share is left to the rest."""
        patches = weight[:, :, 0].clone()
        patches[:, :, 0] = 0
        return Shares(patches, value.unflatten(2, (weight.shape[1], -1)).transpose(1, 2))


def without_matrices(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a tower's stored weights is no matrix of a layer."""
    return {name: tensor for name, tensor in stored.items() if not name.rpartition(".")[0].endswith(HEAVY)}


def project_as_stored(tower: Tower, stored: Mapping[str, Tensor]) -> None:
    """Has shares projected with the int8 matrices: in float32 they take 28 MB in ViT-B/16."""
    for number, block in enumerate(tower.blocks):
        name = f"transformer.resblocks.{number}.attn.out_proj.weight"
        del block.attn.out_proj.weight
        block.attn.out_proj.weight = Int8Matrix(stored[name + INT8], stored[name + SCALE])


def is_int8(stored: Mapping[str, Tensor]) -> bool:
    """Whether every heavy matrix is stored as int8."""
    heavy = [name for name in stored if name.endswith(HEAVY)]
    return not heavy and any(name.endswith(INT8) for name in stored)
