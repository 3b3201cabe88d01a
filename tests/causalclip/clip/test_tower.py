"""The walk agrees with open_clip's own forward pass, and every patch's attribution adds up to the embedding."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from causalclip.clip.attributions import contributions, embed, needs, parse_part, part_widths, patch_total
from causalclip.clip.backbones import empty_visual, load_tower
from causalclip.clip.skeleton import Skeleton, is_plain
from causalclip.clip.tower import Tower, normalise
from causalclip.clip.weights import save_shards
from tests.makers.towers import CONFIG, tiny_tower, views, write_int8_tower

PARTS = ("embedding", "cls:1", "cls:3", "patch:2", "patch:3")


# Walk -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.3}, {"layers": 2, "width": 32, "head_width": 8}])
@torch.inference_mode()
def test_walk_equals_open_clip(options: dict) -> None:
    tower, x = tiny_tower(**options), views()
    expected = tower.visual((x - tower.mean) / tower.std)
    for attributions in (False, True):
        ours = embed(tower(x, attributions=attributions), ("embedding",), tower)
        assert torch.allclose(ours, expected, atol=1e-4)


def test_attention_for_gradients_equals_the_fused_one() -> None:
    tower, x = tiny_tower(), views().requires_grad_(True)
    expected = tower.visual((x - tower.mean) / tower.std)
    ours = embed(tower(x), ("embedding",), tower)
    assert torch.allclose(ours, expected, atol=1e-4)
    slopes = [torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, expected)]
    assert slopes[1].abs().max() > 1e-3
    assert torch.allclose(*slopes, atol=1e-4)


@torch.inference_mode()
def test_bfloat16_stays_close_and_the_stream_stays_float32() -> None:
    a, b = tiny_tower()(views()), tiny_tower(dtype=torch.bfloat16)(views())
    assert b.cls[-1].dtype == b.patches[-1].dtype == torch.float32
    assert float(torch.cosine_similarity(a.cls[-1], b.cls[-1]).min()) > 0.999


@torch.inference_mode()
def test_only_what_is_needed_is_computed() -> None:
    tower, parts = tiny_tower(), ("cls:2", "patch:1")
    assert needs(("cls:1", "patch:2"), tower) == {"until": 2, "patches": True}
    assert needs(parts, tower) == {"until": 2, "patches": False}
    whole, alone = (tower(views(), until=2, attributions=True, patches=patches) for patches in (True, False))
    assert len(whole.cls) == 3
    assert alone.patches[-1].shape[1] == 0
    assert torch.allclose(alone.cls[-1], whole.cls[-1], atol=1e-5)
    direction = torch.randn(2, 96, generator=torch.Generator().manual_seed(0))
    found = (contributions(trace, parts, tower, direction) for trace in (alone, whole))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_normalise_is_layer_norm_without_weights() -> None:
    x = 3 + 2 * torch.randn(5, 48, generator=torch.Generator().manual_seed(0))
    ours, deviation = normalise(x)
    assert torch.allclose(ours.mean(1), torch.zeros(5), atol=1e-6)
    assert torch.allclose(ours.var(1, unbiased=False), torch.ones(5), atol=1e-5)
    assert torch.allclose(ours * deviation + x.mean(1, keepdim=True), x, atol=1e-5)


def test_towers_without_a_cls_token_are_refused() -> None:
    visual = tiny_tower().visual
    visual.pool_type = "avg"
    with pytest.raises(ValueError, match="CLS"):
        Tower(visual, mean=[0.5] * 3, std=[0.5] * 3)


# Attributions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.3}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("parts", [PARTS, *((part,) for part in PARTS)])
@torch.inference_mode()
def test_patches_and_rest_add_up_to_the_embedding(parts: tuple[str, ...], options: dict, dtype: torch.dtype) -> None:
    tower = tiny_tower(dtype=dtype, **options)
    trace = tower(views(), attributions=True)
    E = embed(trace, parts, tower)
    assert E.shape == (2, sum(part_widths(parts, tower)))
    direction = torch.randn(E.shape, generator=torch.Generator().manual_seed(0))
    patches, rest = contributions(trace, parts, tower, direction)
    assert patches.shape == (2, 16)
    assert torch.allclose(patches.sum(1) + rest, (direction * E).sum(1), atol=1e-4)
    total = (direction * patch_total(trace, parts, tower)).sum(1)
    assert torch.allclose(patches.sum(1), total, atol=1e-4)
    if all(part.startswith("patch") for part in parts):
        assert torch.allclose(rest, torch.zeros(2), atol=1e-6)  # a mean over patches belongs to patches alone


@torch.inference_mode()
def test_parts_stand_side_by_side_in_order() -> None:
    tower = tiny_tower()
    trace = tower(views())
    together = embed(trace, PARTS, tower)
    for part, block in zip(PARTS, together.split(part_widths(PARTS, tower), 1), strict=True):
        assert torch.equal(block, embed(trace, (part,), tower))


@torch.inference_mode()
def test_an_attribution_is_the_effect_of_a_patch_where_nothing_mixes_patches() -> None:
    tower = tiny_tower()
    tower.blocks[0].attn.out_proj.weight.zero_()
    x, y = views(1), views(1).clone()
    y[:, :, 8:16, 16:24] = 0.5  # row 1, column 2 of 4 x 4
    a, b = (
        contributions(tower(v, until=1, attributions=True), ("patch:1",), tower, torch.ones(1, 48).cumsum(1))[0]
        for v in (x, y)
    )
    assert ((a - b).abs()[0] > 1e-5).nonzero().flatten().tolist() == [6]


@pytest.mark.parametrize("part", ["cls:0", "cls:4", "patch:x", "text", ""])
def test_unknown_parts_are_refused(part: str) -> None:
    with pytest.raises(ValueError, match="no part of this tower"):
        parse_part(part, tiny_tower())


# Skeleton -------------------------------------------------------------------------------------------------------------

SIZES = {"vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "head_width": 32, "mlp_ratio": 2.0}}


@pytest.mark.parametrize(
    "config",
    [CONFIG, CONFIG | {"quick_gelu": False}, {"embed_dim": 24, **SIZES}, {"embed_dim": 512, "vision_cfg": {}}],
)
def test_the_skeleton_has_open_clips_names_and_shapes(config: dict[str, Any]) -> None:
    ours: Any
    theirs: Any
    ours, theirs = Skeleton(config), empty_visual(config)
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
def test_what_is_no_plain_tower_has_no_skeleton(more: dict[str, Any]) -> None:
    config = CONFIG | {"vision_cfg": CONFIG["vision_cfg"] | more}
    assert not is_plain(config)
    with pytest.raises(ValueError, match="plain"):
        Skeleton(config)


@pytest.mark.parametrize("quick_gelu", [True, False])
@torch.inference_mode()
def test_a_tower_of_a_folder_gives_what_open_clips_modules_give(quick_gelu: bool, tmp_path: Path) -> None:
    theirs = tiny_tower(quick_gelu=quick_gelu)
    save_shards(theirs.visual.state_dict(), tmp_path, metadata={})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"quick_gelu": quick_gelu}))
    ours = load_tower(f"local-dir:{tmp_path}", dtype=torch.float32)
    a, b = (tower(views(2), attributions=True) for tower in (ours, theirs))
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
    load_judge({write_int8_tower(tmp_path)!r}, runtime=runtime)(views(2), attributions=True)
    loaded = {{name.partition(".")[0] for name in sys.modules}}
    print(runtime, *loaded & {{"open_clip", "timm", "torchvision", "transformers"}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["int8", "int8-avx2", "float32", "bfloat16"]
