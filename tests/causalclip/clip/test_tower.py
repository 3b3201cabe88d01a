"""The walk agrees with open_clip's own pass, attributions add up to the embedding, and views are
bounded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from causalclip.clip.embedding import (
    contributions,
    embed,
    needs,
    parse_part,
    part_widths,
    patch_total,
)
from causalclip.clip.views import MAX_SQUARES, WINDOWS, plan_views, render
from tests.makers.detectors import tiny_tower, views, write_int8_tower

PARTS = ("embedding", "cls:1", "cls:3", "patch:2", "patch:3")


# Walk ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"ls_init_value": 0.3}, {"layers": 2, "width": 32, "head_width": 8}]
)
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
def test_only_what_is_needed_is_computed() -> None:
    tower, parts = tiny_tower(), ("cls:2", "patch:1")
    assert needs(("cls:1", "patch:2"), tower) == {"until": 2, "patches": True}
    assert needs(parts, tower) == {"until": 2, "patches": False}
    whole, alone = (
        tower(views(), until=2, attributions=True, patches=patches) for patches in (True, False)
    )
    assert len(whole.cls) == 3
    assert alone.patches[-1].shape[1] == 0
    assert torch.allclose(alone.cls[-1], whole.cls[-1], atol=1e-5)
    direction = torch.randn(2, 96, generator=torch.Generator().manual_seed(0))
    found = (contributions(trace, parts, tower, direction) for trace in (alone, whole))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)


# Attributions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.3}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("parts", [PARTS, ("patch:2", "patch:3")])
@torch.inference_mode()
def test_patches_and_rest_add_up_to_the_embedding(
    parts: tuple[str, ...], options: dict, dtype: torch.dtype
) -> None:
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
        # a mean over patches belongs to patches alone
        assert torch.allclose(rest, torch.zeros(2), atol=1e-6)


@torch.inference_mode()
def test_an_attribution_is_the_effect_of_a_patch_where_nothing_mixes_patches() -> None:
    tower = tiny_tower()
    tower.blocks[0].attn.out_proj.weight.zero_()
    x, y = views(1), views(1).clone()
    y[:, :, 8:16, 16:24] = 0.5  # row 1, column 2 of 4 x 4
    a, b = (
        contributions(
            tower(v, until=1, attributions=True), ("patch:1",), tower, torch.ones(1, 48).cumsum(1)
        )[0]
        for v in (x, y)
    )
    assert ((a - b).abs()[0] > 1e-5).nonzero().flatten().tolist() == [6]


@pytest.mark.parametrize("part", ["cls:4", "patch:x", ""])
def test_unknown_parts_are_refused(part: str) -> None:
    with pytest.raises(ValueError, match="no part of this tower"):
        parse_part(part, tiny_tower())


# MetaViT ------------------------------------------------------------------------------------------


@pytest.mark.full
def test_judging_imports_no_library_of_towers(tmp_path: Path) -> None:
    """By any runtime: all in one process, as importing PyTorch takes longer than judging."""
    code = f"""
import sys
from causalclip.clip.backbones import load_for_inference
from causalclip.detector import Detector
from tests.makers.detectors import (views)
for runtime in ("int8", "float32", "bfloat16"):
    load_for_inference({write_int8_tower(tmp_path)!r}, runtime=runtime)(views(2), attributions=True)
    loaded = {{name.partition(".")[0] for name in sys.modules}}
    print(runtime, *loaded & {{"open_clip", "timm", "torchvision", "transformers"}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["int8", "float32", "bfloat16"]


# Views --------------------------------------------------------------------------------------------


SIDES = st.integers(64, 9000)


@given(SIDES, SIDES)
@settings(max_examples=200, deadline=None)
def test_views_are_few_and_inside(width: int, height: int) -> None:
    views = plan_views(width, height)
    assert 1 <= sum(v.view_type == "whole" for v in views) <= MAX_SQUARES
    assert sum(v.view_type == "window" for v in views) <= WINDOWS
    for view in views:
        left, top, right, bottom = view.box
        assert 0 <= left < right <= width + 1e-6
        assert 0 <= top < bottom <= height + 1e-6
        assert right - left == pytest.approx(bottom - top)


def test_windows_are_the_pictures_own_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (301, 407, 3), np.uint8)
    windows = [v for v in plan_views(407, 301) if v.view_type == "window"]
    assert {v.box[2] - v.box[0] for v in windows} == {224}
    for view, seen in zip(windows, render(pixels, windows), strict=True):
        left, top, right, bottom = (int(x) for x in view.box)
        assert (left, top, right, bottom) == view.box
        assert np.array_equal(
            (seen.permute(1, 2, 0) * 255).round().byte().numpy(), pixels[top:bottom, left:right]
        )


def test_views_are_what_pillow_makes_of_the_whole_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 1100, 3), np.uint8)
    whole, views = Image.fromarray(pixels), plan_views(1100, 700)
    for view, seen in zip(views, render(pixels, views), strict=True):
        shot = whole.resize((224, 224), Image.Resampling.BICUBIC, box=view.box, reducing_gap=3.0)
        assert np.array_equal(
            (seen.permute(1, 2, 0) * 255).round().byte().numpy(), np.asarray(shot)
        )


def test_windows_of_large_pictures_are_of_a_copy_as_large_as_training_saw() -> None:
    sides = [
        [v.box[2] - v.box[0] for v in plan_views(long, 1500) if v.view_type == "window"]
        for long in (2048, 4096)
    ]
    assert sides == [[224] * WINDOWS, [448] * WINDOWS]
