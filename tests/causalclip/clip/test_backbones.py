"""Towers come from assets, a folder or open_clip, through one code path; what is missing says what
to do."""

import hashlib
import json
from pathlib import Path

import huggingface_hub
import open_clip
import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import load_file

from causalclip.clip.backbones import empty_visual, load_tower
from causalclip.clip.embedding import contributions, embed
from causalclip.clip.runtime import choose_runtime
from causalclip.clip.weights import INT8, SHARD_BYTES, load_weights, quantize, save_shards
from causalclip.paths import ASSETS, WeightsMissing
from causalclip.settings import SettingsError
from tests.makers.detectors import views, write_tower

SHIPPED = ASSETS / "clip-vit-b-16"
GOLDEN = [0.3254, -0.3328, 0.0937, 0.2345]  # of the shipped weights, on a picture made here
PARTS = ("embedding", "cls:2", "patch:1")


def test_local_folder_of_another_shape_or_without_weights_is_refused(tmp_path: Path) -> None:
    name = write_tower(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["vision_cfg"]["layers"] = 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_tower(name)
    for shard in tmp_path.glob("*.safetensors"):
        shard.unlink()
    with pytest.raises(WeightsMissing, match=r"no weights \(\*\.safetensors\)"):
        load_tower(name)


def test_hub_out_of_reach_is_an_error_and_no_fall_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Through open_clip and the hub's own client, with an empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        WeightsMissing, match="hub cannot be reached.*Fetch them on a machine with network access"
    ):
        load_tower("ViT-B-32-quickgelu/openai")


@torch.inference_mode()
def test_hub_model_goes_through_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    vision = CLIPVisionCfg(image_size=28, layers=2, width=32, head_width=16, patch_size=14)
    text = CLIPTextCfg(context_length=4, vocab_size=8, width=8, heads=1, layers=1)
    clip = CLIP(24, vision, text, quick_gelu=True)
    clip.visual.image_mean, clip.visual.image_std = (0.5, 0.5, 0.5), (0.3, 0.3, 0.3)
    monkeypatch.setattr(open_clip, "create_model", lambda *args, **kwargs: clip)
    tower = load_tower("ViT-L-14-quickgelu/openai", dtype=torch.float32)
    assert (tower.image_size, tower.grid, tower.layers) == (28, 2, 2)
    x = views(size=28)
    assert torch.allclose(
        embed(tower(x), ("embedding",), tower), clip.visual((x - 0.5) / 0.3), atol=1e-4
    )
    clip.visual = torch.nn.Identity()
    clip.visual.image_mean = clip.visual.image_std = (0.5, 0.5, 0.5)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no plain vision transformer"):
        load_tower("ViT-L-14-quickgelu/openai")


# Runtime ------------------------------------------------------------------------------------------


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch):
    """Sets what the processor has: processor("avx512_vnni")."""
    for name in ("CAUSALCLIP_RUNTIME", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)

    def has(*flags: str) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(flags, True))

    return has


@pytest.mark.parametrize(
    ("flags", "runtime"),
    [
        (("amx_tile", "avx512_vnni"), "bfloat16"),
        (("avx512_bf16", "avx512_vnni"), "int8"),
        (("avx2",), "int8"),
        ((), "float32"),
    ],
)
def test_the_processor_decides(processor, flags: tuple[str, ...], runtime: str) -> None:
    processor(*flags)
    assert choose_runtime() == runtime


def test_the_environment_overrides_the_processor(
    processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor("avx2")
    for runtime in ("bfloat16", "int8", "float32"):
        monkeypatch.setenv("CAUSALCLIP_RUNTIME", runtime.upper())
        assert choose_runtime() == runtime
    monkeypatch.setenv("CAUSALCLIP_RUNTIME", "int4")
    with pytest.raises(SettingsError, match="'bfloat16', 'int8' or 'float32'"):
        choose_runtime()


# Weights ------------------------------------------------------------------------------------------


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channel", [0, 1])
def test_int8_is_within_half_a_step_of_its_channel(channel: int) -> None:
    weight = random(6, 9) * torch.logspace(-3, 2, 6)[:, None]
    values, scale = quantize(weight, channel=channel)
    assert ((values * scale - weight).abs() <= scale / 2 + 1e-9).all()
    assert (values.abs().amax(1 - channel) == 127).all()  # every channel uses the whole range


def test_shards_keep_to_their_size_and_give_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("causalclip.clip.weights.SHARD_BYTES", 1000)
    stored = {f"w{i}": random(10 + i, 7, seed=i) for i in range(12)} | {"large": random(30, 30).T}
    paths = save_shards(stored, tmp_path / "new", metadata={"origin": "test"})
    assert [p.name for p in paths] == [
        f"model-{i + 1:05d}-of-{len(paths):05d}.safetensors" for i in range(len(paths))
    ]
    loaded = load_weights(tmp_path / "new")
    assert loaded.keys() == stored.keys()
    assert all(torch.equal(loaded[n], stored[n]) for n in stored)
    # all but the tensor that alone is larger
    assert sum(p.stat().st_size < 2000 for p in paths) == len(paths) - 1


def test_shipped_shards_are_int8_and_the_ones_of_the_list() -> None:
    listed = dict(
        reversed(line.split()) for line in (SHIPPED / "SHA256SUMS").read_text().splitlines()
    )
    shards = sorted(SHIPPED.glob("*.safetensors"))
    assert sorted(listed) == [s.name for s in shards]
    for shard in shards:
        assert hashlib.sha256(shard.read_bytes()).hexdigest() == listed[shard.name]
        assert shard.stat().st_size <= SHARD_BYTES + 100_000  # tensors and the file's header
    stored = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    matrices = [n for n in stored if n.endswith(INT8)]
    assert len(matrices) == 12 * 4 + 1
    assert all(stored[n].dtype == torch.int8 for n in matrices)


@torch.inference_mode()
@pytest.mark.full
def test_shipped_tower_is_openais() -> None:
    tower = load_tower(dtype=torch.float32)
    ramp = torch.linspace(0, 1, 224).expand(3, 224, 224)[None]
    trace = tower(ramp, attributions=True)
    E = embed(trace, ("embedding",), tower)
    theirs = empty_visual(json.loads((SHIPPED / "config.json").read_text())).eval()
    theirs.load_state_dict(load_weights(SHIPPED), assign=True)
    assert torch.allclose(E, theirs((ramp - tower.mean) / tower.std), atol=1e-4)
    patches, rest = contributions(trace, ("embedding",), tower, torch.ones_like(E))
    assert float(patches.sum() + rest) == pytest.approx(float(E.sum()), abs=1e-4)
    assert E.shape == (1, 512)
    assert E[0, :4].tolist() == pytest.approx(GOLDEN, abs=2e-3)
    low = load_tower(dtype=torch.bfloat16)
    assert float(torch.cosine_similarity(E, embed(low(ramp), ("embedding",), low))) > 0.995
