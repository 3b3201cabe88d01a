"""A small tower whose matrices are stored as int8."""

import json
from pathlib import Path

from causalclip.clip.weights import INT8, SCALE, quantize, save_shards
from tests.makers.towers import CONFIG, tiny_tower

MATRICES = "in_proj_weight", "out_proj.weight", "c_fc.weight", "c_proj.weight"


def write_int8_tower(folder: Path, **options: object) -> str:
    """Writes `tiny_tower` as a folder with int8 matrices, and returns the name that loads it."""
    stored = {}
    for name, tensor in tiny_tower(**options).visual.state_dict().items():
        if name.endswith(MATRICES):
            stored[name + INT8], stored[name + SCALE] = quantize(tensor)
        else:
            stored[name] = tensor
    save_shards(stored, folder, metadata={"origin": "test"})
    config = CONFIG | {"vision_cfg": CONFIG["vision_cfg"] | options}
    (folder / "config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"
