"""Model weights on disk, in int8, and the runtime that multiplies them on this processor.

On disk: safetensors shards of at most 9 MB, matrices as int8 with one scale an output channel.
Which runtime judges pictures: the fastest that this processor serves, or the one that
CAUSALCLIP_RUNTIME names.

    bfloat16   PyTorch, with AMX, or with AVX-512's bfloat16 instructions where there is no VNNI
    int8       OpenVINO, with VNNI: the weights stay as they are on the disk
    int8-avx2  PyTorch, with AVX2 and none of these: the same weights through QuantisedLinear
    float32    PyTorch, everywhere else

Training, attacks and purification are PyTorch's, whichever it is.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from causalclip.paths import WeightsMissing

SHARD_BYTES = 9_000_000
INT8, SCALE = ".int8", ".scale"
# of each layer
HEAVY = "attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"


def quantize(weight: Tensor, *, channel: int = 0) -> tuple[Tensor, Tensor]:
    """float [.., C, ..] -> (int8 of the same shape, float32 scale that broadcasts to it), symmetric
    per channel."""
    dims = [d for d in range(weight.dim()) if d != channel]
    scale = weight.abs().amax(dims, keepdim=True).clamp_min(1e-12) / 127
    return (weight / scale).round().clamp(-127, 127).to(torch.int8), scale.float()


def dequantize(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Joins `name.int8` and `name.scale` back to float32 `name`; everything else passes through."""
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
        """As `dequantize` gives it."""
        return self.matrix.float().mul_(self.scale)


def without_matrices(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a tower's stored weights is no matrix of a layer."""
    return {
        name: tensor
        for name, tensor in stored.items()
        if not name.rpartition(".")[0].endswith(HEAVY)
    }


def project_as_stored(tower: Any, stored: Mapping[str, Tensor]) -> None:
    """Has attributions projected with the int8 matrices: in float32 they take 28 MB in ViT-B/16."""
    for number, block in enumerate(tower.blocks):
        name = f"transformer.resblocks.{number}.attn.out_proj.weight"
        del block.attn.out_proj.weight
        block.attn.out_proj.weight = Int8Matrix(stored[name + INT8], stored[name + SCALE])


def is_int8(stored: Mapping[str, Tensor]) -> bool:
    """Whether every heavy matrix is stored as int8."""
    heavy = [name for name in stored if name.endswith(HEAVY)]
    return not heavy and any(name.endswith(INT8) for name in stored)


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
    """Writes tensors, in their order, to numbered shards no larger than SHARD_BYTES, and returns
    the paths."""
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


LEVELS = 127  # of what QuantisedLinear multiplies matrices with


class QuantisedLinear(nn.Module):
    """x W^T + b in int8 for AVX2 without VNNI, float32 [..., I] -> [..., O]: each token has a scale
    and a zero.

    AVX2 multiplies 32 pairs of an unsigned and a signed byte at once, but adds each two products in
    16 bits (vpmaddubsw). With 8 bits on both sides such a sum overflows, silently. So what goes
    into a layer has 7 bits here: 127 * 127 * 2 is less than 2 ** 15. A few channels that are much
    larger than the rest would leave the others too few
    of these 128 levels: they are multiplied in float32 (Dettmers et al., LLM.int8(), arXiv
    2208.07339).

    Args:
        matrix: int8 [O, I]; its values are in [-127, 127].
        scale: float32 [O, 1], of an output channel: W = matrix * scale.
        bias: float32 [O].
        outliers: the channels of I that are multiplied in float32; at least one.
    """

    def __init__(
        self, matrix: Tensor, scale: Tensor, bias: Tensor, *, outliers: Sequence[int]
    ) -> None:
        super().__init__()
        self.outliers = torch.tensor(outliers, dtype=torch.long)
        narrow = matrix.index_fill(1, self.outliers, 0)
        self.scale = scale[:, 0].contiguous()
        # what a token's zero is multiplied with
        total = narrow.sum(1, dtype=torch.float32) * self.scale
        apart = matrix[:, self.outliers].float() * scale
        self.exact = torch.cat([apart, total[:, None]], 1).T.contiguous()  # (outliers + 1, O)
        self.packed = torch.ops.onednn.qlinear_prepack(narrow, None)
        self.zeros = torch.zeros(len(bias), dtype=torch.int32)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, -2)
        rest = tokens.index_fill(1, self.outliers, 0)
        # around 0, which the outliers have become
        low, high = rest.amin(1, keepdim=True), rest.amax(1, keepdim=True)
        step = (high - low).clamp_min_(1e-12).div_(LEVELS)
        zero = (low / step).round_()
        whole = rest.div_(step).sub_(zero).round_().clamp_(0, LEVELS).to(torch.uint8)
        added = torch.addmm(
            self.bias, torch.cat([tokens[:, self.outliers], step * zero], 1), self.exact
        )
        return added.addcmul_(multiply(whole, self.packed, self.scale, self.zeros), step).view(
            *x.shape[:-1], -1
        )


def multiply(whole: Tensor, packed: Tensor, scale: Tensor, zeros: Tensor) -> Tensor:
    """uint8 [T, I] times packed int8 [O, I], transposed, times each output channel's scale: float32
    [T, O]."""
    products: Tensor = torch.ops.onednn.qlinear_pointwise(
        whole, 1.0, 0, packed, scale, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return products


def multiplies_exactly() -> bool:
    """Whether this PyTorch and this processor have the product, without overflow at the largest
    values there can be."""
    if not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.onednn, "qlinear_pointwise")
    ):
        return False
    size = 256
    whole = torch.full((2, size), LEVELS, dtype=torch.uint8)
    matrix = torch.full((2, size), LEVELS, dtype=torch.int8)
    matrix[1] = -LEVELS
    try:
        packed = torch.ops.onednn.qlinear_prepack(matrix, None)
        found = multiply(whole, packed, torch.ones(2), torch.zeros(2, dtype=torch.int32))
    except RuntimeError:  # built without oneDNN's int8, or for another processor
        return False
    most = float(size * LEVELS * LEVELS)
    return found.tolist() == [[most, -most]] * 2


Runtime = Literal["bfloat16", "int8", "int8-avx2", "float32"]
VARIABLE = "CAUSALCLIP_RUNTIME"
VNNI = "avx512_vnni", "avx_vnni"
BEFORE_AVX2 = {"SSE41", "AVX"}


class UnknownRuntime(ValueError):
    """CAUSALCLIP_RUNTIME asks for what is not there; the message says what to do."""


def choose_runtime() -> Runtime:
    """The runtime of this process.

    Raises:
        UnknownRuntime: CAUSALCLIP_RUNTIME names none, or one that cannot run under the
            environment's other limits.
    """
    asked = os.environ.get(VARIABLE, "").strip().lower()
    if not asked:
        half = fast_dtype() == torch.bfloat16
        if _unlimited() and has_vnni() and not (half and torch.cpu._is_amx_tile_supported()):
            return "int8"
        if half:
            return "bfloat16"
        return "int8-avx2" if has_avx2() else "float32"
    for runtime in get_args(Runtime):
        if asked == runtime:
            if runtime == "int8" and not _unlimited():
                raise UnknownRuntime(
                    f"{VARIABLE}=int8 does not go with ONEDNN_MAX_CPU_ISA: unset one of them."
                )
            if runtime == "int8-avx2" and not has_avx2():
                raise UnknownRuntime(
                    f"{VARIABLE}=int8-avx2 needs a processor with AVX2: name another, or none."
                )
            return runtime
    raise UnknownRuntime(f"{VARIABLE} can be {', '.join(get_args(Runtime))}, not {asked!r}.")


def fast_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it faster, float32 elsewhere.

    That is with AMX (five times as fast) or AVX-512's bfloat16 instructions (two to three times),
    if oneDNN may use them.
    """
    has = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if (_unlimited() or "AMX" in _limit()) and has else torch.float32


def has_vnni() -> bool:
    """Whether the processor multiplies int8 four at a time."""
    flags = torch.cpu.get_capabilities()
    return any(flags.get(name, False) for name in VNNI)


def has_avx2() -> bool:
    """Whether the processor has AVX2, oneDNN may use it, and its int8 products are exact here."""
    known = torch.cpu.get_capabilities().get("avx2", False) and _limit() not in BEFORE_AVX2
    return known and multiplies_exactly()


def _unlimited() -> bool:
    """Whether oneDNN may use all of the processor. OpenVINO, half of which does not know the limit,
    must not run then: it gives empty answers."""
    return _limit() in {"", "ALL", "DEFAULT"}


def _limit() -> str:
    return os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
