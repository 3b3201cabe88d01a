"""The tower with int8 weights and float products: the float tower's numbers, gradients, and a quarter of its memory."""

from pathlib import Path

import pytest
import torch

from causalclip.clip.backbones import load_tower, shared_tower
from causalclip.clip.int8.weight_only import WeightOnlyTower
from causalclip.clip.tower import Tower
from tests.makers.purifiers import tiny_eye
from tests.makers.towers import views, write_int8_tower, write_tower


def held(tower: Tower) -> int:
    """Bytes of its matrices, float or int8."""
    tensors = {t.data_ptr(): t for t in (*tower.parameters(), *tower.buffers()) if t.dim() == 2 and t.shape[1] > 1}
    return sum(t.nbytes for t in tensors.values())


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Tower, Tower]:
    name = write_int8_tower(tmp_path)
    return load_tower(name, dtype=request.param), load_tower(name, dtype=request.param, weight_only=True)


def test_the_trace_is_the_float_towers(both: tuple[Tower, Tower]) -> None:
    assert isinstance(both[1], WeightOnlyTower)
    assert both[1].runtime == both[0].runtime
    for options in ({"shares": True}, {"until": 2, "shares": True}, {"patches": False}):
        a, b = (tower(views(3), **options) for tower in both)
        for one, other in zip([*a.cls, *a.patches, *a.rests], [*b.cls, *b.patches, *b.rests], strict=True):
            assert torch.equal(one, other)


def test_the_gradient_is_the_float_towers_and_the_weights_have_none(both: tuple[Tower, Tower]) -> None:
    found = []
    for tower in both:
        pixels = views(2).requires_grad_()
        tower(pixels).cls[-1].square().sum().backward()
        found.append(pixels.grad)
        assert all(p.grad is None for p in tower.parameters())
    exact, stored = found
    assert exact is not None
    assert stored is not None
    assert stored.abs().sum() > 0
    assert torch.allclose(exact, stored, rtol=0.01, atol=1e-3 * float(exact.abs().max()))


def test_a_matrix_takes_a_byte_a_number(tmp_path: Path) -> None:
    name = write_int8_tower(tmp_path)
    exact, stored = load_tower(name, dtype=torch.float32), load_tower(name, dtype=torch.float32, weight_only=True)
    assert held(stored) < 0.3 * held(exact)


def test_with_a_low_rank_update_it_is_the_updated_float_tower_and_shares_its_matrices(
    both: tuple[Tower, Tower],
) -> None:
    eye, before = tiny_eye(both[0]), both[1](views(2)).cls[-1]
    updated = [eye.on(tower) for tower in both]
    exact, stored = (tower(views(2)).cls[-1] for tower in updated)
    assert torch.equal(exact, stored)
    assert not torch.equal(stored, before)
    assert torch.equal(both[1](views(2)).cls[-1], before)
    for own, block in zip(both[1].blocks, updated[1].blocks, strict=True):
        assert block.attn.in_proj.matrix is own.attn.in_proj.matrix
        assert block.mlp.c_fc.matrix is own.mlp.c_fc.matrix


def test_what_many_read_is_kept_so_where_it_is_stored_so(tmp_path: Path) -> None:
    stored, plain = tmp_path / "stored", tmp_path / "plain"
    assert isinstance(shared_tower(write_int8_tower(stored)), WeightOnlyTower)
    assert type(shared_tower(write_tower(plain))) is Tower
