"""Small random towers for tests, in memory or as a folder."""

import json
from pathlib import Path
from typing import Any

import torch

from causalclip.clip.backbones import empty_visual
from causalclip.clip.int8_towers import OUTLIERS
from causalclip.clip.tower import Tower
from causalclip.clip.weights import INT8, SCALE, quantize, save_shards

MATRICES = "in_proj_weight", "out_proj.weight", "c_fc.weight", "c_proj.weight"
CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 3, "width": 48, "head_width": 16, "patch_size": 8},
    "mean": [0.48, 0.46, 0.41],
    "std": [0.27, 0.26, 0.28],
}


def tiny_tower(*, dtype: torch.dtype = torch.float32, seed: int = 0, quick_gelu: bool = True, **options: Any) -> Tower:
    """Random weights, 3 layers, 16 patches of 8 px; `options` change the vision config."""
    config = CONFIG | {"quick_gelu": quick_gelu, "vision_cfg": CONFIG["vision_cfg"] | options}
    visual = empty_visual(config)
    g = torch.Generator().manual_seed(seed)
    state = {name: torch.randn(t.shape, generator=g) * 0.15 for name, t in visual.state_dict().items()}
    for name in state:
        if name.endswith("weight") and "ln_" in name:
            state[name] += 1
    visual.load_state_dict(state, assign=True)
    return Tower(visual, mean=config["mean"], std=config["std"], dtype=dtype).eval().requires_grad_(False)


def write_tower(folder: Path) -> str:
    """Writes `tiny_tower` as a folder of config and shards, and returns the name that loads it."""
    save_shards(tiny_tower().visual.state_dict(), folder, metadata={"origin": "test"})
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return f"local-dir:{folder}"


def views(count: int = 2, size: int = 32) -> torch.Tensor:
    """Random pixels for a tower: float [count, 3, size, size] in [0, 1]."""
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def write_int8_tower(folder: Path, **options: Any) -> str:
    """Writes `tiny_tower` as a folder with int8 matrices and outliers, and returns the name that loads it."""
    stored = {}
    for name, tensor in tiny_tower(**options).visual.state_dict().items():
        if name.endswith(MATRICES):
            stored[name + INT8], stored[name + SCALE] = quantize(tensor)
        else:
            stored[name] = tensor
    save_shards(stored, folder, metadata={"origin": "test"})
    own = {name: options.pop(name) for name in ("quick_gelu",) if name in options}
    config = CONFIG | own | {"vision_cfg": CONFIG["vision_cfg"] | options}
    (folder / "config.json").write_text(json.dumps(config))
    matrices = [name.removesuffix("weight" + INT8) for name in stored if name.endswith(INT8)]
    outliers = {name.rstrip("_."): [1, 40] for name in matrices}
    (folder / OUTLIERS).write_text(json.dumps({"channels": outliers}))
    return f"local-dir:{folder}"
