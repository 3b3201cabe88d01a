"""Towers that are tried are the tower itself where nothing is changed, and near it where something is."""

from pathlib import Path

import pytest
import torch

from benchmarks.light import avx2
from benchmarks.light import tables as light
from benchmarks.light.cheaper import Trial, merge
from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import Trace
from causalclip.clip.weights import read_shards
from tests.makers.towers import tiny_tower, views, write_int8_tower


def far(one: Trace, other: Trace) -> float:
    return max(float((a - b).norm() / b.norm()) for a, b in zip(one.cls, other.cls, strict=True))


@torch.inference_mode()
def test_unchanged_it_is_the_tower(tmp_path: Path) -> None:
    tower = tiny_tower()
    for options in ({"until": 2, "patches": True}, {"until": 3, "patches": False}):
        exact, tried = tower(views(3), **options), Trial(tower, views=2)(views(3), **options)
        assert far(tried, exact) < 1e-5
        for one, other in zip(tried.patches[:3], exact.patches[:3], strict=True):
            assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(("bits", "most"), [(8, 0.05), (7, 0.08)])
@torch.inference_mode()
def test_in_int8_it_is_near(bits: int, most: float, tmp_path: Path) -> None:
    name = write_int8_tower(tmp_path)
    exact = load_tower(name, dtype=torch.float32)
    tried = Trial(exact, read_shards(tmp_path), bits=bits, apart=4)
    assert 0 < far(tried(views(3)), exact(views(3))) < most


@torch.inference_mode()
def test_merged_tokens_are_their_patches_mean_and_each_patch_knows_its_own() -> None:
    x = torch.randn(2, 17, 8, generator=torch.Generator().manual_seed(0))
    merged, size, where = merge(x, torch.ones(2, 17), torch.arange(16).expand(2, -1), 5)
    assert merged.shape == (2, 12, 8)
    assert size.sum(1).tolist() == [17, 17]
    for view in range(2):
        for token in range(11):
            own = x[view, 1:][where[view] == token]
            assert len(own) == size[view, 1 + token]
            assert torch.allclose(own.mean(0), merged[view, 1 + token], atol=1e-5)
    tower = tiny_tower()
    assert Trial(tower, merged=2)(views(2)).patches[3].shape == (2, 16, 48)


def test_the_table_says_how_far_each_way_moves_answers() -> None:
    given = ((0.0, "a", 2.0), (1.0, "b", 2.0), (-2.0, "a", 3.0)), ((0.1, "a", 1.0), (0.5, "a", 1.0), (-2.0, "a", 0.5))
    base, other = ([dict(zip(("logit", "band", "cpu"), row, strict=True)) for row in rows] for rows in given)
    rows = {"first": avx2.compared(base, base), "second": avx2.compared(other, base)}
    where = {"processor": {"name": "P", "cores": 2}, "date": "2026-01-01", "load": 1.0}
    text = light.avx2(where | {"rows": rows})
    assert "| second | 1.00 | 0.50 | 0.10 | 0.50 | 1 of 3 |" in text
    counts = [{"views": 1, "cpu": 0.1}, {"views": 4, "cpu": 0.095}]
    assert "| 4 | 0.095 | 0.95 |" in light.batches(where | {"runtime": "int8", "rows": counts})
