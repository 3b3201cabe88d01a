"""The walk agrees with open_clip's own forward pass, and keeps what it is asked to."""

import pytest
import torch

from causalclip.clip.embedding import contributions, embed, needs
from causalclip.clip.tower import Tower, normalise
from tests.makers.towers import tiny_tower, views


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.3}, {"layers": 2, "width": 32, "head_width": 8}])
def test_walk_equals_open_clip(options: dict) -> None:
    tower = tiny_tower(**options)
    x = views()
    with torch.inference_mode():
        expected = tower.visual((x - tower.mean) / tower.std)
        for shares in (False, True):
            ours = embed(tower(x, shares=shares), ("embedding",), tower)
            assert torch.allclose(ours, expected, atol=1e-4)


def test_attention_for_gradients_equals_the_fused_one() -> None:
    tower, x = tiny_tower(), views().requires_grad_(True)
    expected = tower.visual((x - tower.mean) / tower.std)
    ours = embed(tower(x), ("embedding",), tower)
    assert torch.allclose(ours, expected, atol=1e-4)
    slopes = [torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, expected)]
    assert slopes[1].abs().max() > 1e-3
    assert torch.allclose(*slopes, atol=1e-4)


def test_bfloat16_stays_close_and_the_stream_stays_float32() -> None:
    exact, fast = tiny_tower(), tiny_tower(dtype=torch.bfloat16)
    with torch.inference_mode():
        a, b = exact(views()), fast(views())
    assert b.cls[-1].dtype == b.patches[-1].dtype == torch.float32
    assert float(torch.cosine_similarity(a.cls[-1], b.cls[-1]).min()) > 0.999


def test_shares_are_local_where_attention_is_blocked() -> None:
    """One layer, one patch changed: only that patch's share of the CLS token's values changes beyond the softmax."""
    tower = tiny_tower(layers=1)
    x = views(1)
    y = x.clone()
    y[:, :, :8, :8] = 1 - y[:, :, :8, :8]
    with torch.inference_mode():
        a, b = tower(x, shares=True), tower(y, shares=True)
        one, other = ((t.shares[0].weight[..., None] * t.shares[0].value)[0, :, 1:] for t in (a, b))
        change = (one - other).norm(dim=(0, 2))
    assert change.argmax() == 0
    assert change[0] > 3 * change[1:].max()


def test_views_do_not_see_each_other() -> None:
    tower = tiny_tower()
    with torch.inference_mode():
        together, alone = tower(views()), tower(views()[:1])
    assert torch.allclose(together.cls[-1][:1], alone.cls[-1], atol=1e-5)


def test_only_the_layers_that_are_needed_are_run() -> None:
    tower = tiny_tower()
    assert needs(("cls:1", "patch:2"), tower) == {"until": 2, "patches": True}
    assert needs(("cls:2", "patch:1"), tower) == {"until": 2, "patches": False}
    assert len(tower(views(), until=2).cls) == 3


def test_without_its_patches_the_last_layer_says_the_same_of_the_cls_token() -> None:
    tower, parts = tiny_tower(), ("cls:2", "patch:1")
    with torch.inference_mode():
        whole, alone = (tower(views(), until=2, shares=True, patches=patches) for patches in (True, False))
    assert torch.allclose(alone.cls[-1], whole.cls[-1], atol=1e-5)
    assert alone.patches[-1].shape[1] == 0
    direction = torch.randn(2, 96, generator=torch.Generator().manual_seed(0))
    for ours, theirs in zip(
        contributions(alone, parts, tower, direction), contributions(whole, parts, tower, direction), strict=True
    ):
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
