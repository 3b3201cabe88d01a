"""The walk agrees with open_clip's own forward pass, and its parts add up."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

from causalclip.backbones import load_tower, resize_positions
from causalclip.embedding import contributions, embed, last_layer, parse_part, patch_total
from causalclip.tower import Tower
from causalclip.weights import WeightsMissing, save_shards
from tests.causalclip.towers import CONFIG, tiny_tower

PARTS = ("embedding", "cls:1", "cls:3", "patch:2", "patch:3")


def views(n: int = 2, size: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.3}, {"layers": 2, "width": 32, "head_width": 8}])
def test_walk_equals_open_clip(options: dict) -> None:
    tower = tiny_tower(**options)
    x = views()
    with torch.inference_mode():
        expected = tower.visual((x - tower.mean) / tower.std)
        for shares in (False, True):
            ours = embed(tower(x, shares=shares), ("embedding",), tower)
            assert torch.allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.3}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parts_add_up_to_the_embedding(options: dict, dtype: torch.dtype) -> None:
    tower = tiny_tower(dtype=dtype, **options)
    with torch.inference_mode():
        trace = tower(views(), shares=True)
        E = embed(trace, PARTS, tower)
        for seed in range(3):
            direction = torch.randn(E.shape, generator=torch.Generator().manual_seed(seed))
            patches, rest = contributions(trace, PARTS, tower, direction)
            assert patches.shape == (2, 16)
            assert torch.allclose(patches.sum(1) + rest, (direction * E).sum(1), atol=1e-4)
            total = (direction * patch_total(trace, PARTS, tower)).sum(1)
            assert torch.allclose(patches.sum(1), total, atol=1e-4)


def test_shares_are_local_where_attention_is_blocked() -> None:
    """One layer, one patch changed: only that patch's share of the CLS token's values changes beyond the softmax."""
    tower = tiny_tower(layers=1)
    x = views(1)
    y = x.clone()
    y[:, :, :8, :8] = 1 - y[:, :, :8, :8]
    with torch.inference_mode():
        a, b = tower(x, shares=True), tower(y, shares=True)
        change = (a.shares[0] - b.shares[0]).norm(dim=-1)[0]
    assert change.argmax() == 0
    assert change[0] > 3 * change[1:].max()


def test_only_the_layers_that_are_needed_are_run() -> None:
    tower = tiny_tower()
    assert last_layer(("cls:1", "patch:2"), tower) == 2
    assert len(tower(views(), until=2).cls) == 3


@pytest.mark.parametrize("part", ["cls:0", "cls:4", "patch:x", "text", ""])
def test_unknown_parts_are_refused(part: str) -> None:
    with pytest.raises(ValueError, match="no part of this tower"):
        parse_part(part, tiny_tower())


def test_gradients_reach_the_pixels() -> None:
    tower = tiny_tower()
    x = views().requires_grad_()
    embed(tower(x), PARTS, tower).square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_local_folder_round_trip(tmp_path: Path) -> None:
    tower = tiny_tower()
    save_shards(tower.visual.state_dict(), tmp_path, metadata={"origin": "test"})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    loaded = load_tower(f"local-dir:{tmp_path}", dtype=torch.float32)
    with torch.inference_mode():
        assert torch.equal(embed(loaded(views()), PARTS, loaded), embed(tower(views()), PARTS, tower))


@pytest.mark.parametrize("name", ["local-dir:nowhere", "no-such-model"])
def test_missing_weights_say_what_to_do(name: str) -> None:
    with pytest.raises(WeightsMissing, match=r"config\.json"):
        load_tower(name)


def test_hub_out_of_reach_is_an_error_and_no_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Failed to download weights")

    monkeypatch.setattr(open_clip, "create_model", unreachable)
    with pytest.raises(WeightsMissing, match="hub cannot be reached"):
        load_tower("ViT-L-14-quickgelu/openai")
    with pytest.raises(ValueError, match="no model"):
        load_tower("ViT-nonsense/openai")


def test_hub_model_goes_through_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    vision = CLIPVisionCfg(image_size=28, layers=2, width=32, head_width=16, patch_size=14)
    text = CLIPTextCfg(context_length=4, vocab_size=8, width=8, heads=1, layers=1)
    clip = CLIP(24, vision, text, quick_gelu=True)
    clip.visual.image_mean, clip.visual.image_std = (0.5, 0.5, 0.5), (0.3, 0.3, 0.3)
    monkeypatch.setattr(open_clip, "create_model", lambda *args, **kwargs: clip)
    tower = load_tower("ViT-L-14-quickgelu/openai", dtype=torch.float32)
    assert (tower.image_size, tower.grid, tower.layers) == (28, 2, 2)
    with torch.inference_mode():
        x = views(size=28)
        assert torch.allclose(embed(tower(x), ("embedding",), tower), clip.visual((x - 0.5) / 0.3), atol=1e-4)


def test_positions_can_be_interpolated() -> None:
    tower = tiny_tower()
    resize_positions(tower, 48)
    assert tower(views(size=48)).patches[-1].shape[1] == 36


def test_towers_without_a_cls_token_are_refused() -> None:
    visual = tiny_tower().visual
    visual.pool_type = "avg"
    with pytest.raises(ValueError, match="CLS"):
        Tower(visual, mean=[0.5] * 3, std=[0.5] * 3)


def test_shipped_tower_is_openais() -> None:
    """Golden values of the shipped weights, from a picture made here."""
    tower = load_tower(dtype=torch.float32)
    ramp = torch.linspace(0, 1, 224).expand(3, 224, 224)[None]
    with torch.inference_mode():
        trace = tower(ramp, shares=True)
        E = embed(trace, ("embedding",), tower)
        assert torch.allclose(E, tower.visual((ramp - tower.mean) / tower.std), atol=1e-4)
        patches, rest = contributions(trace, ("embedding",), tower, torch.ones_like(E))
    assert float(patches.sum() + rest) == pytest.approx(float(E.sum()), abs=1e-4)
    assert E.shape == (1, 512)
    assert E[0, :4].tolist() == pytest.approx(GOLDEN, abs=2e-3)


GOLDEN = [0.3254, -0.3328, 0.0937, 0.2345]
