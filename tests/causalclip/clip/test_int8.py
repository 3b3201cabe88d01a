"""Towers whose matrices stay int8: the float tower's trace, attributions exact in their sum,
nothing reported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from causalclip.clip.backbones import load_for_inference, load_tower
from causalclip.clip.openvino import CompiledTower
from causalclip.clip.tower import Tower
from causalclip.clip.weight_only import WeightOnlyTower
from tests.makers.detectors import views, write_int8_tower, write_tower
from tests.makers.models import tiny_lora

PARTS = ("cls:1", "patch:2", "cls:3", "embedding")


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


# The tower that judges ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"layers": 2, "patch_size": 16}, {"quick_gelu": False}])
@torch.inference_mode()
def test_the_trace_is_the_float_towers(options: dict, tmp_path: Path) -> None:
    name = write_int8_tower(tmp_path, **options)
    exact, ours = load_tower(name, dtype=torch.float32), load_for_inference(name, runtime="int8")
    assert isinstance(ours, CompiledTower)
    assert ours.runtime == "int8"
    a, b = (tower(views(3), attributions=True) for tower in (exact, ours))
    for one, other in zip([*b.cls, *b.patches], [*a.cls, *a.patches], strict=True):
        assert one.shape == other.shape
        assert distance(one, other) < 0.05
    for one, other in zip(b.attributions, a.attributions, strict=True):
        assert distance(one.weight, other.weight) < 0.05
        assert distance(one.value, other.value) < 0.05


def test_weights_that_are_no_int8_are_judged_in_float32(tmp_path: Path) -> None:
    assert load_for_inference(write_tower(tmp_path), runtime="int8").runtime == "float32"


def test_nothing_is_reported_to_anyone(tmp_path: Path) -> None:
    """OpenVINO's own telemetry sends an event at its import, and writes an identity to the home
    folder."""
    telemetry = "[m for m in sys.modules if m.startswith('openvino_telemetry.')]"
    code = f"import causalclip.clip.openvino, sys; print({telemetry})"
    environment = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())


# The tower for gradients --------------------------------------------------------------------------


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Tower, Tower]:
    """The float tower, and the one whose int8 matrices are float while they are multiplied with."""
    name = write_int8_tower(tmp_path)
    return load_tower(name, dtype=request.param), load_tower(
        name, dtype=request.param, weight_only=True
    )


def test_weight_only_has_the_float_towers_trace(both: tuple[Tower, Tower]) -> None:
    assert isinstance(both[1], WeightOnlyTower)
    assert both[1].runtime == both[0].runtime
    for options in ({"attributions": True}, {"until": 2, "attributions": True}, {"patches": False}):
        a, b = (tower(views(3), **options) for tower in both)
        for one, other in zip(
            [*a.cls, *a.patches, *a.rests], [*b.cls, *b.patches, *b.rests], strict=True
        ):
            assert torch.equal(one, other)


def test_with_a_low_rank_update_it_is_the_updated_float_tower_and_shares_its_matrices(
    both: tuple[Tower, Tower],
) -> None:
    eye, before = tiny_lora(both[0]), both[1](views(2)).cls[-1]
    updated = [eye.on(tower) for tower in both]
    exact, stored = (tower(views(2)).cls[-1] for tower in updated)
    assert torch.equal(exact, stored)
    assert not torch.equal(stored, before)
    assert torch.equal(both[1](views(2)).cls[-1], before)
    for own, block in zip(both[1].blocks, updated[1].blocks, strict=True):
        assert block.attn.in_proj.matrix is own.attn.in_proj.matrix
        assert block.mlp.c_fc.matrix is own.mlp.c_fc.matrix


def test_weight_only_has_the_float_towers_gradient_at_the_pixels_alone(
    both: tuple[Tower, Tower],
) -> None:
    found = []
    for tower in both:
        pixels = views(2).requires_grad_()
        tower(pixels).cls[-1].square().sum().backward()
        found.append(pixels.grad)
        assert all(p.grad is None for p in tower.parameters())
    exact, ours = found
    assert ours.abs().sum() > 0
    assert torch.allclose(exact, ours, rtol=0.01, atol=1e-3 * float(exact.abs().max()))
