"""The tower for AVX2 alone: the same trace as the written one's, with int8 matrices, and maps exact in their sum."""

import json
from pathlib import Path

import pytest
import torch

from causalclip.clip.backbones import load_judge, load_tower
from causalclip.clip.int8.quantised import OUTLIERS, QuantisedTower, read_outliers
from causalclip.clip.places import ASSETS
from scripts.outliers import Watched, digest, find_outliers
from tests.makers.pictures import photo
from tests.makers.towers import tiny_tower, views, write_int8_tower

PARTS = ("cls:1", "patch:2", "cls:3", "embedding")


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("options", [{}, {"layers": 2, "patch_size": 16}, {"quick_gelu": False}])
@torch.inference_mode()
def test_the_trace_is_the_written_towers(options: dict, tmp_path: Path) -> None:
    name = write_int8_tower(tmp_path, **options)
    exact, quantised = load_tower(name, dtype=torch.float32), load_judge(name, runtime="int8-avx2")
    assert isinstance(quantised, QuantisedTower)
    assert quantised.runtime == "int8-avx2"
    a, b = (tower(views(3), shares=True) for tower in (exact, quantised))
    for one, other in zip([*b.cls, *b.patches], [*a.cls, *a.patches], strict=True):
        assert one.shape == other.shape
        assert far(one, other) < 0.05
    for one, other in zip(b.shares, a.shares, strict=True):
        assert far(one.weight, other.weight) < 0.05
        assert far(one.value, other.value) < 0.05


@torch.inference_mode()
def test_a_view_does_not_depend_on_the_others(tmp_path: Path) -> None:
    tower = load_judge(write_int8_tower(tmp_path), runtime="int8-avx2")
    together, alone = tower(views(5), shares=True), tower(views(5)[3:4])
    assert len(together.cls[-1]) == len(together.shares[0].weight) == 5
    # A processor may round otherwise in a batch: one level more then moves it by 0.02, one scale for all by 0.05.
    assert far(together.cls[-1][3:4], alone.cls[-1]) < 0.03
    others = views(5) * torch.tensor([0.2, 0.5, 0.1, 1, 0])[:, None, None, None]
    assert torch.equal(
        tower(others).cls[-1][3], together.cls[-1][3]
    )  # in a batch of one size nothing is rounded otherwise


def test_without_a_list_of_outliers_it_is_float32(tmp_path: Path) -> None:
    name = write_int8_tower(tmp_path)
    (tmp_path / OUTLIERS).unlink()
    assert load_judge(name, runtime="int8-avx2").runtime == "float32"


def test_the_shipped_list_is_of_the_shipped_weights_and_has_every_layer_once() -> None:
    folder = ASSETS / "clip-vit-b-16"
    assert json.loads((folder / OUTLIERS).read_text())["weights"] == digest(folder)
    found = read_outliers(folder)
    assert found
    assert len(found) == 12 * 4
    for name, channels in found.items():
        assert channels == sorted(set(channels))
        assert len(channels) == 16
        assert 0 <= channels[0] < channels[-1] < (3072 if name.endswith("c_proj") else 768)


@torch.inference_mode()
def test_outliers_are_the_channels_with_the_largest_values(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "picture.png"
    Image.fromarray(photo(80, 64)).save(path)
    tower = tiny_tower()
    for layer in (0, 2):
        tower.blocks[layer].ln_2.bias[[5, 9]] = 50
    found = find_outliers(tower, [path], count=2)
    assert found["transformer.resblocks.0.mlp.c_fc"] == [5, 9]
    assert found["transformer.resblocks.2.mlp.c_fc"] == [5, 9]
    assert len(found) == 12
    assert torch.allclose(Watched(tower)(views(2)).cls[-1], tower(views(2)).cls[-1])
