"""Towers come from assets, a folder or open_clip, through one code path; what is missing says what to do."""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub
import open_clip
import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import load_file

from causalclip.clip.backbones import empty_visual, load_tower, resize_positions, shared_tower
from causalclip.clip.embedding import contributions, embed
from causalclip.clip.runtime import fast_dtype
from causalclip.clip.tower import Tower
from causalclip.clip.weights import ASSETS, INT8, SHARD_BYTES, WeightsMissing, load_weights
from tests.makers.towers import tiny_tower, views, write_tower

SHIPPED = ASSETS / "clip-vit-b-16"
GOLDEN = [0.3254, -0.3328, 0.0937, 0.2345]  # of the shipped weights, on a picture made here
PARTS = ("embedding", "cls:2", "patch:1")


def test_local_folder_gives_the_same_tower(tmp_path: Path) -> None:
    loaded, tower = load_tower(write_tower(tmp_path), dtype=torch.float32), tiny_tower()
    with torch.inference_mode():
        assert torch.equal(embed(loaded(views()), PARTS, loaded), embed(tower(views()), PARTS, tower))
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_local_folder_of_another_shape_is_refused(tmp_path: Path) -> None:
    name = write_tower(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["vision_cfg"]["layers"] = 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_tower(name)


def test_config_without_shards_is_missing_weights(tmp_path: Path) -> None:
    name = write_tower(tmp_path)
    for shard in tmp_path.glob("*.safetensors"):
        shard.unlink()
    with pytest.raises(WeightsMissing, match=r"no weights \(\*\.safetensors\)"):
        load_tower(name)


@pytest.mark.parametrize("name", ["local-dir:nowhere", "no-such-model", "local-dir:no/where"])
def test_missing_folders_say_what_to_do(name: str) -> None:
    with pytest.raises(WeightsMissing, match=r"config\.json"):
        load_tower(name)


def test_two_threads_that_ask_at_once_share_one_tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, loads = write_tower(tmp_path), []

    def slow(name: str, **options: bool) -> Tower:
        loads.append(name)
        time.sleep(0.1)
        return load_tower(name, **options)

    monkeypatch.setattr("causalclip.clip.backbones.load_tower", slow)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(shared_tower, [name, name])
    assert first is second
    assert loads == [name]


def test_unknown_models_and_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="no model 'ViT-nonsense'"):
        load_tower("ViT-nonsense/openai")
    with pytest.raises(ValueError, match=r"no weights 'nonsense' for 'ViT-B-32-quickgelu': use one of .*openai"):
        load_tower("ViT-B-32-quickgelu/nonsense")


def test_hub_out_of_reach_is_an_error_and_no_fall_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through open_clip and the hub's own client, with an empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissing, match="hub cannot be reached.*Fetch them on a machine with network access"):
        load_tower("ViT-B-32-quickgelu/openai")


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


def test_the_papers_tower_can_be_decomposed() -> None:
    """ViT-L/14's configuration in open_clip is of the kind that the walk knows: CLS pooling, plain blocks."""
    config = open_clip.get_model_config("ViT-L-14-quickgelu")
    vision = config["vision_cfg"] | {"layers": 1}
    tower = tiny_tower(**{k: v for k, v in vision.items() if k != "width"})
    with torch.inference_mode():
        trace = tower(views(1, 224), shares=True)
        E = embed(trace, ("embedding",), tower)
        patches, rest = contributions(trace, ("embedding",), tower, torch.ones_like(E))
    assert patches.shape == (1, 256)
    assert torch.allclose(patches.sum(1) + rest, E.sum(1), atol=1e-4)


def test_positions_can_be_interpolated() -> None:
    tower = tiny_tower()
    resize_positions(tower, 48)
    assert tower(views(size=48)).patches[-1].shape[1] == 36


@pytest.mark.parametrize("limit", ["AVX2", "avx512_core_bf16"])
def test_no_bfloat16_where_matrix_units_may_not_be_used(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert fast_dtype() == torch.bfloat16
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert fast_dtype() == torch.float32
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for has, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has)
        assert fast_dtype() == dtype


# What is shipped ----------------------------------------------------------------------------------


def test_shipped_shards_are_the_ones_of_the_list() -> None:
    listed = dict(reversed(line.split()) for line in (SHIPPED / "SHA256SUMS").read_text().splitlines())
    shards = sorted(SHIPPED.glob("*.safetensors"))
    assert sorted(listed) == [s.name for s in shards]
    for shard in shards:
        assert hashlib.sha256(shard.read_bytes()).hexdigest() == listed[shard.name]
        assert shard.stat().st_size <= SHARD_BYTES + 100_000  # tensors and the file's header


def test_shipped_matrices_are_int8() -> None:
    stored = {name: tensor for shard in SHIPPED.glob("*.safetensors") for name, tensor in load_file(shard).items()}
    matrices = [n for n in stored if n.endswith(INT8)]
    assert len(matrices) == 12 * 4 + 1
    assert all(stored[n].dtype == torch.int8 for n in matrices)


def test_shipped_tower_is_openais() -> None:
    tower = load_tower(dtype=torch.float32)
    ramp = torch.linspace(0, 1, 224).expand(3, 224, 224)[None]
    with torch.inference_mode():
        trace = tower(ramp, shares=True)
        E = embed(trace, ("embedding",), tower)
        theirs = empty_visual(json.loads((SHIPPED / "config.json").read_text())).eval()
        theirs.load_state_dict(load_weights(SHIPPED), assign=True)
        assert torch.allclose(E, theirs((ramp - tower.mean) / tower.std), atol=1e-4)
        patches, rest = contributions(trace, ("embedding",), tower, torch.ones_like(E))
        low = load_tower(dtype=torch.bfloat16)
        close = embed(low(ramp), ("embedding",), low)
    assert float(patches.sum() + rest) == pytest.approx(float(E.sum()), abs=1e-4)
    assert E.shape == (1, 512)
    assert E[0, :4].tolist() == pytest.approx(GOLDEN, abs=2e-3)
    assert float(torch.cosine_similarity(E, close)) > 0.995


def test_a_name_with_a_size_takes_larger_views() -> None:
    tower = load_tower("clip-vit-b-16@256")
    assert (tower.image_size, tower.grid) == (256, 16)
    with torch.inference_mode():
        assert tower(views(1, 256), until=1).patches[-1].shape[1] == 256
