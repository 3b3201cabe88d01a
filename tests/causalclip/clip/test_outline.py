"""An outline has open_clip's names, shapes and values, so that a tower of a folder need not import it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from causalclip.clip.backbones import empty_visual, load_tower
from causalclip.clip.outline import Outline, is_plain
from causalclip.clip.weights import save_shards
from tests.makers.towers import CONFIG, tiny_tower, views, write_int8_tower

SIZES = {"vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "head_width": 32, "mlp_ratio": 2.0}}


@pytest.mark.parametrize(
    "config",
    [CONFIG, CONFIG | {"quick_gelu": False}, {"embed_dim": 24, **SIZES}, {"embed_dim": 512, "vision_cfg": {}}],
)
def test_it_is_open_clips_tower(config: dict[str, Any]) -> None:
    ours: Any
    theirs: Any
    ours, theirs = Outline(config), empty_visual(config)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    assert all(tensor.is_meta for tensor in ours.state_dict().values())
    for name in ("image_size", "patch_size", "grid_size", "attn_pool", "pool_type"):
        assert getattr(ours, name) == getattr(theirs, name)
    for name, module in theirs.named_modules():
        if isinstance(module, nn.LayerNorm):
            assert ours.get_submodule(name).eps == module.eps
    for a, b in zip(ours.transformer.resblocks, theirs.transformer.resblocks, strict=True):
        assert (a.attn.num_heads, a.attn.embed_dim) == (b.attn.num_heads, b.attn.embed_dim)
        assert isinstance(a.mlp.gelu, nn.GELU) == isinstance(b.mlp.gelu, nn.GELU)
        assert type(b.ls_1) is type(a.ls_1)


@pytest.mark.parametrize("more", [{"ls_init_value": 0.1}, {"layers": [3, 4, 6, 3]}, {"pool_type": "avg"}])
def test_what_is_no_plain_tower_has_none(more: dict[str, Any]) -> None:
    config = CONFIG | {"vision_cfg": CONFIG["vision_cfg"] | more}
    assert not is_plain(config)
    with pytest.raises(ValueError, match="plain"):
        Outline(config)


@torch.inference_mode()
@pytest.mark.parametrize("quick_gelu", [True, False])
def test_a_tower_of_a_folder_gives_what_open_clips_modules_give(quick_gelu: bool, tmp_path: Path) -> None:
    theirs = tiny_tower(quick_gelu=quick_gelu)
    save_shards(theirs.visual.state_dict(), tmp_path, metadata={})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"quick_gelu": quick_gelu}))
    ours = load_tower(f"local-dir:{tmp_path}", dtype=torch.float32)
    a, b = (tower(views(2), shares=True) for tower in (ours, theirs))
    for one, other in zip([*a.cls, *a.patches, *a.rests], [*b.cls, *b.patches, *b.rests], strict=True):
        assert torch.allclose(one, other, atol=1e-5)  # weights that lie elsewhere in memory may be added up otherwise


def test_judging_imports_no_library_of_towers(tmp_path: Path) -> None:
    """By any runtime: all in one process, as importing PyTorch takes longer than judging."""
    code = f"""
import sys
from causalclip.clip.backbones import load_judge
from causalclip.detector import Detector
from tests.makers.towers import views
for runtime in ("int8", "int8-avx2", "float32", "bfloat16"):
    load_judge({write_int8_tower(tmp_path)!r}, runtime=runtime)(views(2), shares=True)
    loaded = {{name.partition(".")[0] for name in sys.modules}}
    print(runtime, *loaded & {{"open_clip", "timm", "torchvision", "transformers"}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["int8", "int8-avx2", "float32", "bfloat16"]
