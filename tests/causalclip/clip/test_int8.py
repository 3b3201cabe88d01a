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
from tests.makers.detectors import views, write_int8_tower, write_tower

PARTS = ("cls:1", "patch:2", "cls:3", "embedding")


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


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
