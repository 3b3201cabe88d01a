"""The compiled tower: the same trace as the written one's, with int8 matrices, and nothing reported to anyone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from causalclip.clip.backbones import load_judge, load_tower
from causalclip.clip.embedding import contributions, embed, needs
from causalclip.clip.int8.compiled import CompiledTower
from causalclip.clip.int8.graph import compile_graph
from causalclip.clip.runtime import Runtime
from causalclip.clip.tower import Trace
from tests.makers.towers import views, write_int8_tower, write_tower

PARTS = ("cls:1", "patch:2", "cls:3", "embedding")


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("options", [{}, {"layers": 2, "patch_size": 16}])
def test_the_trace_is_the_written_towers(options: dict, tmp_path: Path) -> None:
    name = write_int8_tower(tmp_path, **options)
    exact, compiled = load_tower(name, dtype=torch.float32), load_tower(name, runtime="int8")
    assert isinstance(compiled, CompiledTower)
    with torch.inference_mode():
        a, b = (tower(views(3), shares=True) for tower in (exact, compiled))
    for one, other in zip([*b.cls, *b.patches], [*a.cls, *a.patches], strict=True):
        assert one.shape == other.shape
        assert far(one, other) < 0.05
    for one, other in zip(b.shares, a.shares, strict=True):
        assert one.weight.shape == other.weight.shape
        assert far(one.weight, other.weight) < 0.05
        assert far(one.value, other.value) < 0.05


@pytest.mark.parametrize("runtime", ["int8", "int8-avx2"])
@pytest.mark.parametrize("parts", [PARTS, ("cls:2", "patch:1"), ("cls:1", "patch:2")])
def test_patches_and_rest_add_up(parts: tuple[str, ...], runtime: Runtime, tmp_path: Path) -> None:
    tower = load_tower(write_int8_tower(tmp_path), runtime=runtime)
    assert tower.runtime == runtime
    with torch.inference_mode():
        trace = tower(views(3), shares=True, **needs(parts, tower))
        E = embed(trace, parts, tower)
        direction = torch.randn(E.shape, generator=torch.Generator().manual_seed(1))
        patches, rest = contributions(trace, parts, tower, direction)
    assert patches.shape == (3, 16)
    assert torch.allclose(patches.sum(1) + rest, (direction * E).sum(1), atol=1e-4)


def test_a_view_does_not_depend_on_the_others(tmp_path: Path) -> None:
    tower = load_tower(write_int8_tower(tmp_path), runtime="int8")
    with torch.inference_mode():
        together, alone = tower(views(4)), tower(views(4)[1:2])
        others = tower(views(4) * torch.tensor([0.2, 1, 0.1, 0])[:, None, None, None])
    assert far(together.cls[-1][1:2], alone.cls[-1]) < 0.03  # with VNNI, what is rounded otherwise gets another level
    assert torch.equal(others.cls[-1][1], together.cls[-1][1])  # in a batch of one size nothing is


def test_a_trace_outlives_the_next_one(tmp_path: Path) -> None:
    tower = load_tower(write_int8_tower(tmp_path), runtime="int8")

    def last(trace: Trace) -> torch.Tensor:
        return trace.patches[-1]

    with torch.inference_mode():
        first = tower(views(2))
        before = last(first).clone()
        for _ in range(4):
            tower(1 - views(2))
    assert torch.equal(last(first), before)


def test_shares_are_computed_where_they_are_asked_for(tmp_path: Path) -> None:
    """A graph without them is smaller; once there is one with them it serves both, as each has the weights itself."""
    tower = load_tower(write_int8_tower(tmp_path), runtime="int8")
    assert isinstance(tower, CompiledTower)

    def judged(*, shares: bool) -> tuple[torch.Tensor, set[str]]:
        with torch.inference_mode():
            last = tower(views(2), shares=shares).cls[-1].clone()
        [graph] = tower.graphs.values()
        return last, {name.partition(":")[0] for output in graph.outputs for name in output.names}

    first, few = judged(shares=False)
    explained, more = judged(shares=True)
    again, kept = judged(shares=False)
    assert few == {"stream"}
    assert more == kept == {"stream", "value", "weight"}
    assert far(first, explained) < 0.03  # two graphs may round otherwise
    assert torch.equal(explained, again)


class Watched:
    """A compiled graph whose runs are noted."""

    def __init__(self, graph: Any, events: list[object]) -> None:
        self.graph, self.events = graph, events

    def create_infer_request(self) -> "Watched":
        return Watched(self.graph.create_infer_request(), self.events)

    def infer(self, given: Any) -> None:
        self.events.append("run")
        self.graph.infer(given)

    def get_tensor(self, name: str) -> Any:
        return self.graph.get_tensor(name)


def test_stored_weights_leave_memory_when_a_graph_has_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before, as OpenVINO makes its copies of them in the first run; and once."""
    events: list[object] = []
    monkeypatch.setattr("causalclip.clip.int8.compiled.leave_on_disk", lambda address, size: events.append(size))
    monkeypatch.setattr(
        "causalclip.clip.int8.graph.compile_graph",
        lambda *args, **options: Watched(compile_graph(*args, **options), events),
    )
    tower = load_tower(write_int8_tower(tmp_path), runtime="int8")
    assert isinstance(tower, CompiledTower)
    with torch.inference_mode():
        tower(views(1))
        tower(views(1))
    assert events == ["run", *(tensor.nbytes for tensor in tower.stored.values()), "run"]


@pytest.mark.parametrize("runtime", ["int8", "int8-avx2"])
def test_no_matrix_of_a_layer_has_a_copy_in_float32(runtime: Runtime, tmp_path: Path) -> None:
    name = write_int8_tower(tmp_path)
    tower, exact = load_tower(name, runtime=runtime), load_tower(name, dtype=torch.float32)
    for block, written in zip(tower.blocks, exact.blocks, strict=True):
        assert all(p.is_meta for n, p in block.named_parameters() if p.dim() == 2)
        assert torch.equal(block.attn.out_proj.weight.float(), written.attn.out_proj.weight)


def test_weights_that_are_no_int8_are_judged_in_float32(tmp_path: Path) -> None:
    tower = load_judge(write_tower(tmp_path), runtime="int8")
    assert tower.runtime == "float32"


def test_nothing_is_reported_to_anyone(tmp_path: Path) -> None:
    """OpenVINO's own telemetry sends an event at its import, and writes an identity to the home folder."""
    code = (
        "import causalclip.clip.int8.graph, sys; print([m for m in sys.modules if m.startswith('openvino_telemetry.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())
