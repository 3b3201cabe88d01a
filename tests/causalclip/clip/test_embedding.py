"""Parts of the embedding, and the shares of patches that add up to them."""

import pytest
import torch

from causalclip.clip.embedding import cell_embeddings, contributions, embed, parse_part, part_widths, patch_total
from tests.makers.towers import tiny_tower, views

PARTS = ("embedding", "cls:1", "cls:3", "patch:2", "patch:3")


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.3}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_patches_and_rest_add_up_to_the_embedding(options: dict, dtype: torch.dtype) -> None:
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


@pytest.mark.parametrize("part", PARTS)
def test_every_part_alone_adds_up(part: str) -> None:
    tower = tiny_tower()
    with torch.inference_mode():
        trace = tower(views(), shares=True)
        E = embed(trace, (part,), tower)
        patches, rest = contributions(trace, (part,), tower, torch.ones_like(E))
        assert torch.allclose(patches.sum(1) + rest, E.sum(1), atol=1e-4)
    assert E.shape == (2, *part_widths((part,), tower))
    if part.startswith("patch"):
        assert torch.allclose(rest, torch.zeros(2), atol=1e-6)  # a mean over patches belongs to patches alone


def test_parts_stand_side_by_side_in_order() -> None:
    tower = tiny_tower()
    with torch.inference_mode():
        trace = tower(views())
        together = embed(trace, PARTS, tower)
        for part, block in zip(PARTS, together.split(part_widths(PARTS, tower), 1), strict=True):
            assert torch.equal(block, embed(trace, (part,), tower))


def test_a_share_is_the_effect_of_a_patch_on_a_patch_mean() -> None:
    """Where nothing mixes patches (the parts of patch:1 with attention's output off), a share is the patch's own."""
    tower = tiny_tower()
    tower.blocks[0].attn.out_proj.weight.zero_()
    x, y = views(1), views(1).clone()
    y[:, :, 8:16, 16:24] = 0.5  # row 1, column 2 of 4 x 4
    with torch.inference_mode():
        shares = [
            contributions(trace, ("patch:1",), tower, torch.ones(1, 48).cumsum(1))[0]
            for trace in (tower(x, until=1, shares=True), tower(y, until=1, shares=True))
        ]
    changed = (shares[0] - shares[1]).abs()[0] > 1e-5
    assert changed.nonzero().flatten().tolist() == [6]


@pytest.mark.parametrize("part", PARTS)
def test_cells_are_what_their_patches_add(part: str) -> None:
    """The mean over cells is the embedding; how far a cell is from it, is what its patches add above the average."""
    tower = tiny_tower()
    with torch.inference_mode():
        trace = tower(views(), shares=True)
        E = embed(trace, (part,), tower)
        cells = cell_embeddings(trace, (part,), tower, cells=2)
        assert torch.allclose(cells.mean(1), E, atol=1e-4)
        direction = torch.randn(E.shape, generator=torch.Generator().manual_seed(0))
        patches, _ = contributions(trace, (part,), tower, direction)
        expected = torch.nn.functional.avg_pool2d(patches.view(2, 1, 4, 4), 2).flatten(1) * 16
        local = (cells * direction[:, None]).sum(2)
        assert torch.allclose(local - local.mean(1, keepdim=True), expected - expected.mean(1, keepdim=True), atol=1e-3)


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
