"""Model weights on disk: safetensors shards of at most 9 MB, matrices as int8 with one scale an
output channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from causalclip.paths import WeightsMissing

SHARD_BYTES = 9_000_000
INT8, SCALE = ".int8", ".scale"
# of each layer
HEAVY = "attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"


class NotFinite(ValueError):
    """Weights hold a number that is not finite; the message says which."""


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Check weights before they are saved.

    Args:
        tensors: by name. what: whose they are, for the message.

    Raises:
        NotFinite: one of them holds NaN or infinity.
    """
    wrong = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if wrong:
        raise NotFinite(
            f"The weights of the {what} are not finite ({wrong[0]}), so they are not saved: "
            "training diverged, or learned from too few pictures."
        )


def save_weights(tensors: Mapping[str, Tensor], path: str | Path, *, what: str) -> None:
    """Write weights to one safetensors file; raises NotFinite, as `check_finite` does."""
    check_finite(tensors, what)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def quantize(weight: Tensor, *, channel: int = 0) -> tuple[Tensor, Tensor]:
    """Quantise float [.., C, ..]: return (int8 of the same shape, float32 scale that broadcasts to
    it), symmetric per channel."""
    dims = [d for d in range(weight.dim()) if d != channel]
    scale = weight.abs().amax(dims, keepdim=True).clamp_min(1e-12) / 127
    return (weight / scale).round().clamp(-127, 127).to(torch.int8), scale.float()


def dequantize(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join `name.int8` and `name.scale` back to float32 `name`; everything else passes through."""
    weights = {}
    for name, tensor in stored.items():
        if name.endswith(INT8):
            base = name.removesuffix(INT8)
            weights[base] = tensor.float().mul_(stored[base + SCALE])
        elif name.removesuffix(SCALE) + INT8 not in stored:
            weights[name] = tensor
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class Int8Matrix:
    """A matrix that is float32 only while it is multiplied with: [O, I] of 768 x 768 takes 0.1 ms,
    and 2 MB less.

    matrix: int8 [O, I]. scale: float32 [O, 1].
    """

    matrix: Tensor
    scale: Tensor

    def float(self) -> Tensor:
        """Return the weight as `dequantize` gives it, under the name that a tensor has for it."""
        return self.matrix.float().mul_(self.scale)


def without_matrices(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what of a tower's stored weights is no matrix of a layer."""
    return {
        name: tensor
        for name, tensor in stored.items()
        if not name.rpartition(".")[0].endswith(HEAVY)
    }


def project_as_stored(tower: Any, stored: Mapping[str, Tensor]) -> None:
    """Have attributions projected with the int8 matrices: in float32 they take 28 MB in
    ViT-B/16."""
    for number, block in enumerate(tower.blocks):
        name = f"transformer.resblocks.{number}.attn.out_proj.weight"
        del block.attn.out_proj.weight
        block.attn.out_proj.weight = Int8Matrix(stored[name + INT8], stored[name + SCALE])


def is_int8(stored: Mapping[str, Tensor]) -> bool:
    """Return whether every heavy matrix is stored as int8."""
    is_float = any(name.endswith(HEAVY) for name in stored)
    return not is_float and any(name.endswith(INT8) for name in stored)


def load_weights(folder: str | Path) -> dict[str, Tensor]:
    """Every tensor of every shard in `folder`, dequantised to float32; raises as `read_shards`."""
    return dequantize(read_shards(folder))


def read_shards(folder: str | Path) -> dict[str, Tensor]:
    """Every tensor of every shard in `folder`, as it is stored.

    Raises:
        WeightsMissing: the folder has no `*.safetensors`.
    """
    shards = sorted(Path(folder).glob("*.safetensors"))
    if not shards:
        raise WeightsMissing(
            f"There are no weights (*.safetensors) in {Path(folder).name!r}. Restore the folder."
        )
    stored: dict[str, Tensor] = {}
    for shard in shards:
        stored.update(load_file(shard))
    return stored


def save_shards(
    stored: Mapping[str, Tensor], folder: str | Path, *, metadata: Mapping[str, str]
) -> list[Path]:
    """Write tensors, in their order, to numbered shards no larger than SHARD_BYTES, and return
    the paths.

    Raises:
        NotFinite: one of them holds NaN or infinity; nothing is written.
    """
    check_finite(stored, f"model in {Path(folder).name}")
    groups: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in stored.items():
        if groups[-1] and size + tensor.nbytes > SHARD_BYTES:
            groups.append({})
            size = 0
        groups[-1][name] = tensor.contiguous()
        size += tensor.nbytes
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [
        folder / f"model-{i + 1:05d}-of-{len(groups):05d}.safetensors" for i in range(len(groups))
    ]
    for path, group in zip(paths, groups, strict=True):
        save_file(group, path, metadata=dict(metadata))
    return paths
