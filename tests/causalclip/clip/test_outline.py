"""An outline has open_clip's names and shapes, so that a compiled tower need not import it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from causalclip.clip.backbones import empty_visual
from causalclip.clip.outline import Outline, is_plain
from tests.makers.towers import CONFIG, write_int8_tower

SIZES = {"vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "head_width": 32, "mlp_ratio": 2.0}}


@pytest.mark.parametrize(
    "config",
    [CONFIG, CONFIG | {"quick_gelu": False}, {"embed_dim": 24, **SIZES}, {"embed_dim": 512, "vision_cfg": {}}],
)
def test_it_is_open_clips_tower_without_what_computes(config: dict[str, Any]) -> None:
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


def test_judging_in_int8_imports_no_library_of_towers(tmp_path: Path) -> None:
    code = f"""
import sys
from causalclip.clip.backbones import load_tower
from causalclip.detector import Detector
from tests.makers.towers import views
load_tower({write_int8_tower(tmp_path)!r}, int8=True)(views(2), shares=True)
print(*{{name.partition(".")[0] for name in sys.modules}} & {{"open_clip", "timm", "torchvision", "transformers"}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
