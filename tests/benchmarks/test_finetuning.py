"""The upper layers that are taught start as the frozen tower's, and only what may learn does."""

import numpy as np
import pytest
import torch

from benchmarks.detection.finetuning.teach import Views
from benchmarks.detection.finetuning.upper import CLS, CUT, LAST, PATCH, Teaching, Upper, Way
from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import embed
from causalclip.clip.tower import Tower

PARTS = [
    f"patch:{CUT}",
    *(p for n in range(CUT + 1, LAST + 1) for p in [f"cls:{n}"] * (n in CLS) + [f"patch:{n}"] * (n in PATCH)),
]


@pytest.fixture(scope="module")
def tower() -> Tower:
    return load_tower(dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def tokens(tower: Tower) -> torch.Tensor:
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        trace = tower(pixels, until=CUT)
    return torch.cat([trace.cls[CUT][:, None], trace.patches[CUT]], 1)


@torch.no_grad()
def test_they_start_as_the_frozen_tower(tower: Tower, tokens: torch.Tensor) -> None:
    trace = tower(torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)), until=LAST, patches=False)
    wanted = embed(trace, PARTS, tower)
    for way in ("frozen", "low-rank"):
        found = Upper(tower, Teaching(way))(tokens)
        assert torch.nn.functional.cosine_similarity(found, wanted).min() > 0.999


@pytest.mark.parametrize(
    ("way", "names"), [("frozen", ""), ("norms", "ln bias"), ("low-rank", "ln bias up down"), ("whole", "all")]
)
def test_only_what_may_learn_does(tower: Tower, way: Way, names: str) -> None:
    learning = {name for name, p in Upper(tower, Teaching(way)).named_parameters() if p.requires_grad}
    every = {name for name, _ in Upper(tower, Teaching(way)).named_parameters()}
    wanted = every if names == "all" else {n for n in every if any(part in n for part in names.split())}
    assert learning == wanted


def test_a_generated_picture_meets_photographs_of_other_owners_alone() -> None:
    alike = np.eye(4, dtype=np.float32)[[0, 0, 0, 1]]
    views = Views(np.zeros(0), np.array([1, 0, 0, 0]), np.array(["a", "a", "b", "c"]), alike)
    views.meet(np.arange(4))
    assert views.neighbours[0][0] == 2  # the most alike is the owner's own, which comes last
    assert views.neighbours[0][-1] == 1


def test_a_pass_sees_any_copy_and_who_judges_the_drawn_one_whole() -> None:
    drawn, other = np.ones((1, 9, 4), np.int16), np.full((1, 5, 4), 2, np.int16)
    views = Views(drawn, np.zeros(1), np.array(["a"]), np.eye(1, dtype=np.float32), others=[other])
    rng = np.random.default_rng(0)
    seen = torch.cat([views.read(np.array([0]), kept=3, rng=rng) for _ in range(20)]).view(torch.int16)
    assert seen.shape == (20, 4, 4)
    assert set(seen.flatten().tolist()) == {1, 2}
    whole = views.read(np.array([0]), kept=None, rng=rng).view(torch.int16)
    assert whole.shape == (1, 9, 4)
    assert (whole == 1).all()
