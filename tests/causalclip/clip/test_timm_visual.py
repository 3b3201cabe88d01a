"""Other towers, as small random copies: the walk is theirs, and every part of their embedding is a sum over patches."""

import copy
from types import SimpleNamespace

import huggingface_hub
import open_clip
import pytest
import timm
import torch
from open_clip.timm_model import TimmModel

from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import cell_embeddings, contributions, embed, needs, patch_total
from causalclip.clip.timm_visual import TimmVisual
from causalclip.clip.tower import Tower
from causalclip.clip.weights import WeightsMissing
from tests.makers.timm_towers import small_trunk
from tests.makers.towers import tiny_tower, views

DINOV3 = "vit_large_patch16_dinov3"
PERCEPTION = "vit_pe_core_large_patch14_336"
CLS = DINOV3, "vit_large_patch16_dinov3_qkvb", "vit_huge_plus_patch16_dinov3", "vit_base_patch14_reg4_dinov2"
POOLED = PERCEPTION, "vit_pe_core_base_patch16_224"
PARTS = ("embedding", "cls:1", "cls:3", "patch:2", "patch:3")


def tower_of(name: str, *, dtype: torch.dtype = torch.float32) -> tuple[Tower, torch.nn.Module]:
    """(the tower, timm's own model with the same weights)."""
    trunk = small_trunk(name, num_classes=24 if name in POOLED else 0)
    own = copy.deepcopy(trunk)
    tower = Tower(TimmVisual(trunk, name), mean=[0.5] * 3, std=[0.3] * 3, dtype=dtype)
    return tower.eval().requires_grad_(False), own


@pytest.mark.parametrize("name", [*CLS, *POOLED])
def test_the_walk_is_timms(name: str) -> None:
    tower, own = tower_of(name)
    x = views(size=tower.image_size)
    with torch.inference_mode():
        tokens, layers = own.forward_intermediates((x - 0.5) / 0.3, return_prefix_tokens=True, output_fmt="NLC")
        expected = own((x - 0.5) / 0.3) if name in POOLED else tokens[:, 0]
        for shares in (False, True):
            trace = tower(x, shares=shares)
            assert torch.allclose(embed(trace, ("embedding",), tower), expected, atol=1e-4)
            for layer, (patches, prefix) in enumerate(layers, start=1):
                assert torch.allclose(trace.cls[layer], prefix[:, 0], atol=1e-4)
                assert torch.allclose(trace.patches[layer], patches, atol=1e-4)
    assert expected.std() > 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", [*CLS, *POOLED])
def test_patches_and_rest_add_up(name: str, dtype: torch.dtype) -> None:
    tower, _ = tower_of(name, dtype=dtype)
    with torch.inference_mode():
        trace = tower(views(size=tower.image_size), shares=True)
        E = embed(trace, PARTS, tower)
        direction = torch.randn(E.shape, generator=torch.Generator().manual_seed(0))
        patches, rest = contributions(trace, PARTS, tower, direction)
        assert patches.shape == (2, 16)  # registers are none of them
        assert torch.allclose(patches.sum(1) + rest, (direction * E).sum(1), atol=2e-4)
        assert torch.allclose(patches.sum(1), (direction * patch_total(trace, PARTS, tower)).sum(1), atol=2e-4)
        cells = cell_embeddings(trace, PARTS, tower, cells=2)
        assert torch.allclose(cells.mean(1), E, atol=2e-4)
        local, grid = (cells * direction[:, None]).sum(2), patches.view(2, 1, 4, 4)
        expected = torch.nn.functional.avg_pool2d(grid, 2).flatten(1) * 16
        assert torch.allclose(local - local.mean(1, True), expected - expected.mean(1, True), atol=2e-3)


def test_registers_belong_to_the_rest() -> None:
    """Without their values, the patches' shares stay and the rest alone changes, where one layer is walked."""
    tower, _ = tower_of(DINOV3)
    assert tower.registers == 4
    x = views(size=64)
    tokens = tower.embed_pixels(x)
    assert tokens.shape == (2, 1 + 4 + 16, 48)
    with torch.inference_mode():
        trace = tower.walk(tokens, until=1, shares=True)
        shares = trace.shares[0]
        assert shares.weight.shape == (2, 3, 17)
        assert shares.value.shape == (2, 3, 17, 16)
        seen = shares.weight.sum(2)  # of the CLS token's attention, what goes to patches
        assert float(seen.max()) < 0.999
        added = trace.cls[1] - trace.cls[0] - trace.rests[0]
        block = tower.blocks[0]
        assert torch.allclose(added, block.ls_1(tower.project_share(block, shares.total())), atol=1e-5)


def test_what_pooling_adds_by_itself_is_the_patchs_own() -> None:
    """Where the layers add nothing to the CLS token, the map of an attention-pooled tower is the pooling's own."""
    tower, _ = tower_of(PERCEPTION)
    for block in tower.blocks:
        block.attn.out_proj.weight.zero_()
    with torch.inference_mode():
        trace = tower(views(size=56), shares=True)
        E = embed(trace, ("embedding",), tower)
        patches, rest = contributions(trace, ("embedding",), tower, torch.ones_like(E))
        own = tower.readout.of_patches(trace.cls[-1], trace.patches[-1])
    assert own.shape == (2, 16, 24)
    assert torch.allclose(patches, own.sum(2), atol=1e-5)
    assert torch.allclose(patches.sum(1) + rest, E.sum(1), atol=1e-4)


def test_an_attention_pooled_embedding_needs_the_last_patches() -> None:
    tower, _ = tower_of(PERCEPTION)
    assert needs(("embedding",), tower) == {"until": 3, "patches": True}
    assert needs(("cls:3",), tower) == {"until": 3, "patches": False}
    assert needs(("embedding",), tower_of(DINOV3)[0]) == {"until": 3, "patches": False}


@pytest.mark.parametrize("name", [DINOV3, PERCEPTION])
def test_gradients_reach_the_pixels(name: str) -> None:
    tower, _ = tower_of(name)
    x = views(size=tower.image_size).requires_grad_()
    embed(tower(x), PARTS, tower).square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("vit_pe_core_gigantic_patch14_448", {}, "it has no CLS token"),
        ("vit_base_patch16_siglip_224", {}, "it has no CLS token"),
        ("vit_pe_lang_large_patch14_448", {"img_size": 56}, "its CLS token is not normalised at the end"),
        ("eva02_base_patch16_clip_224", {"img_size": 32}, "normalises or gates inside its attention"),
        ("resnet18", None, "it is no plain vision transformer"),
    ],
)
def test_what_is_no_sum_over_patches_is_refused(name: str, options: dict | None, words: str) -> None:
    trunk = timm.create_model(name) if options is None else small_trunk(name, num_classes=0, **options)
    with pytest.raises(ValueError, match=f"The tower '{name}' cannot be decomposed into patches: .*{words}"):
        TimmVisual(trunk, name)


# By name -------------------------------------------------------------------------------------------


@pytest.fixture
def small_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """timm makes small random models, as if their weights had been on the hub."""
    monkeypatch.setattr(timm, "create_model", small_trunk)


def test_a_timm_tower_by_name(small_timm: None) -> None:
    tower = load_tower(f"timm:{DINOV3}", dtype=torch.float32)
    assert (tower.image_size, tower.grid, tower.layers, tower.width, tower.registers) == (64, 4, 3, 48, 4)
    assert tower.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert not any(p.requires_grad for p in tower.parameters())


@pytest.mark.parametrize("name", [DINOV3, PERCEPTION, "vit_base_patch14_reg4_dinov2"])
def test_a_timm_tower_takes_larger_views(name: str, small_timm: None) -> None:
    patch = 16 if name == DINOV3 else 14
    tower = load_tower(f"timm:{name}@{patch * 6}", dtype=torch.float32)
    own = small_trunk(name, num_classes=0)
    own.set_input_size(img_size=(patch * 6, patch * 6))
    x = views(size=patch * 6)
    with torch.inference_mode():
        trace = tower(x)
        tokens = own.forward_features((x - tower.mean) / tower.std)
        assert torch.allclose(tower.visual.trunk.norm(trace.cls[-1]), tokens[:, 0], atol=1e-4)
    assert (tower.image_size, tower.grid, trace.patches[-1].shape[1]) == (patch * 6, 6, 36)


def test_the_perception_encoder_of_open_clip(small_timm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    visual = TimmModel(PERCEPTION, embed_dim=24, image_size=56, pool="map", proj=None)
    visual.image_mean, visual.image_std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    own = copy.deepcopy(visual)
    monkeypatch.setattr(open_clip, "create_model", lambda *args, **kwargs: SimpleNamespace(visual=visual))
    tower = load_tower("PE-Core-L-14-336/meta", dtype=torch.float32)
    x = views(size=56)
    with torch.inference_mode():
        assert torch.allclose(embed(tower(x), ("embedding",), tower), own((x - 0.5) / 0.5), atol=1e-4)


@pytest.mark.parametrize("name", ["ViT-L-14-worldwide", "ViT-H-14-worldwide-quickgelu", "ViT-L-14-quickgelu"])
def test_metaclip_and_clip_by_their_own_options(name: str) -> None:
    """open_clip's configuration of the name, narrowed: heads and layers as many times narrower."""
    config = open_clip.get_model_config(name)
    vision = config["vision_cfg"] | {"layers": 2, "image_size": 56, "width": 64, "head_width": 16}
    tower = tiny_tower(quick_gelu=config.get("quick_gelu", False), **vision)
    x = views(size=56)
    parts = ("embedding", "cls:1", "cls:2", "patch:1")
    with torch.inference_mode():
        trace = tower(x, shares=True)
        E = embed(trace, parts, tower)
        assert torch.allclose(E[:, :24], tower.visual((x - tower.mean) / tower.std), atol=1e-4)
        patches, rest = contributions(trace, parts, tower, torch.ones_like(E))
        assert torch.allclose(patches.sum(1) + rest, E.sum(1), atol=1e-4)


def test_the_libraries_know_the_names() -> None:
    """What the documentation names is in the installed versions, with weights where it says so."""
    models = open_clip.list_models()
    assert {"ViT-L-14-worldwide", "ViT-H-14-worldwide-quickgelu", "ViT-L-14-quickgelu", "PE-Core-L-14-336"} <= {*models}
    assert "metaclip2_worldwide" in open_clip.list_pretrained_tags_by_model("ViT-H-14-worldwide-quickgelu")
    assert "meta" in open_clip.list_pretrained_tags_by_model("PE-Core-L-14-336")
    assert timm.get_pretrained_cfg(DINOV3).has_weights


def test_a_hub_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        WeightsMissing, match="'timm:vit_small_patch16_dinov3' are not here and the hub cannot be reach"
    ):
        load_tower("timm:vit_small_patch16_dinov3")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:vit_nonsense", "timm has no model 'vit_nonsense'"),
        ("timm:vit_large_patch16_dinov3.nonsense", "timm has no model"),
        ("timm:test_vit4", "timm has no weights for 'test_vit4'"),
        ("ViT-L-14-worldwide/metaclip2_worldwide", "use one of none that it lists, or a file of weights"),
    ],
)
def test_unknown_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_tower(name)


def test_other_open_clip_towers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    visual = torch.nn.Module()
    visual.image_mean = visual.image_std = (0.5, 0.5, 0.5)
    monkeypatch.setattr(open_clip, "create_model", lambda *args, **kwargs: SimpleNamespace(visual=visual))
    with pytest.raises(ValueError, match="The tower 'RN50' cannot be decomposed into patches: it is no plain vision"):
        load_tower("RN50/openai")
