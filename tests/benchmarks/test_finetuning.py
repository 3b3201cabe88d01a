"""The upper layers start as the frozen tower's, only what may learn does, and gradients are gradients."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from benchmarks.detection.finetuning.heads import balance, gram, kernel_ridge, ridge
from benchmarks.detection.finetuning.linearised import RANK, tangents
from benchmarks.detection.finetuning.prepare import CUTS, PARTS
from benchmarks.detection.finetuning.teach import Views
from benchmarks.detection.finetuning.upper import LAST, Teaching, Upper, Way
from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import embed
from causalclip.clip.tower import Tower, Trace

Seen = tuple[Tensor, Tensor]  # what `Upper` takes


@pytest.fixture(scope="module")
def tower() -> Tower:
    return load_tower()


@pytest.fixture(scope="module")
def trace(tower: Tower) -> Trace:
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return tower(pixels, until=LAST, patches=False)


def seen(trace: Trace, tower: Tower, cut: int, patches: int = 196) -> Seen:
    tokens = torch.cat([trace.cls[cut][:, None], trace.patches[cut][:, :patches]], 1)
    return tokens, embed(trace, PARTS, tower)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("way", ["frozen", "low-rank"])
@torch.no_grad()
def test_they_start_as_the_frozen_tower(tower: Tower, trace: Trace, way: Way, cut: int) -> None:
    tokens, wanted = seen(trace, tower, cut)
    upper = Upper(tower, Teaching(way), cut)
    blank = wanted.clone()
    blank[:, upper.frozen :] = 0  # what is above the cut is not taken from the frozen parts
    assert torch.nn.functional.cosine_similarity(upper(tokens, blank), wanted).min() > 0.999


@pytest.mark.parametrize(
    ("way", "names"), [("frozen", ""), ("norms", "ln bias"), ("low-rank", "ln bias up down"), ("whole", "all")]
)
def test_only_what_may_learn_does(tower: Tower, way: Way, names: str) -> None:
    upper = Upper(tower, Teaching(way), CUTS[-1])
    learning = {name for name, p in upper.named_parameters() if p.requires_grad}
    every = {name for name, _ in upper.named_parameters()}
    wanted = every if names == "all" else {n for n in every if any(part in n for part in names.split())}
    assert learning == wanted


def views(tokens: np.ndarray, labels: list[int], owners: list[str], alike: np.ndarray) -> Views:
    return Views(tokens, np.zeros((len(labels), 4), np.float16), np.array(labels), np.array(owners), alike)


def test_a_generated_picture_meets_photographs_of_other_owners_alone() -> None:
    alike = np.eye(4, dtype=np.float32)[[0, 0, 0, 1]]
    some = views(np.zeros((4, 1, 1)), [1, 0, 0, 0], ["a", "a", "b", "c"], alike)
    some.meet(np.arange(4))
    assert some.neighbours[0][0] == 2  # the most alike is the owner's own, which comes last
    assert some.neighbours[0][-1] == 1


def test_a_pass_sees_the_cls_token_and_patches_by_lot_and_who_judges_all_of_them() -> None:
    tokens = np.arange(2 * 9, dtype=np.float16).reshape(2, 9, 1)
    some, rng = views(tokens, [0, 1], ["a", "b"], np.eye(2, dtype=np.float32)), np.random.default_rng(0)
    drawn = torch.stack([some.read(np.array([1, 0]), kept=3, rng=rng)[0] for _ in range(30)])[..., 0]
    assert drawn.shape == (30, 2, 4)
    assert (drawn[:, :, 0] == torch.tensor([9.0, 0.0])).all()
    assert set(drawn[:, 0, 1:].flatten().tolist()) == set(range(10, 18))
    assert all(len(set(row.tolist())) == 4 for row in drawn.flatten(0, 1))
    whole, _ = some.read(np.array([0]), kept=None, rng=rng)
    assert whole.flatten().tolist() == list(range(9))


def test_tangents_are_what_autograd_finds_picture_by_picture(tower: Tower, trace: Trace) -> None:
    cut = CUTS[-1]
    tokens, parts = seen(trace, tower, cut, patches=12)
    torch.manual_seed(1)
    head = nn.Linear(parts.shape[1], 1)
    found = tangents(Upper(tower, Teaching("frozen"), cut), head, tokens, parts)
    learning = Upper(tower, Teaching("norms"), cut)
    modules = [
        m
        for name, m in learning.named_modules()
        if name.rsplit(".")[-1] in ("ln_1", "ln_2", "qkv", "out", "fc", "proj")
    ]
    for at in range(2):
        learning.zero_grad()
        head(learning(tokens[at : at + 1], parts[at : at + 1])).sum().backward()
        wanted = torch.cat(
            [
                p.grad
                for m in modules
                for n, p in m.named_parameters(recurse=False)
                if p.requires_grad and p.grad is not None
            ]
        )
        assert torch.nn.functional.cosine_similarity(found.small[at], wanted, dim=0) > 0.999
        assert found.small[at].norm() == pytest.approx(float(wanted.norm()), rel=0.01)
    assert found.matrices.shape == (2, 8 * RANK**2)


def test_a_ridge_by_inner_products_is_the_ridge_by_features() -> None:
    rng = np.random.default_rng(0)
    features, labels = torch.from_numpy(rng.normal(size=(60, 7))).float(), (rng.random(60) < 0.3).astype(int)
    rows = np.arange(40)
    weight = balance(labels[rows])
    assert weight[labels[rows] == 1].sum() == pytest.approx(0.5)
    standard = ((features - features[rows].mean(0)) / features[rows].std(0)).numpy()
    known = (
        Ridge(alpha=1.0, tol=1e-10).fit(standard[rows], 2 * labels[rows] - 1, sample_weight=weight).predict(standard)
    )
    with torch.no_grad():
        by_features = ridge(features[rows], labels[rows])(features)[:, 0].numpy()
    np.testing.assert_allclose(by_features, known, atol=1e-4)
    np.testing.assert_allclose(kernel_ridge(gram(features, rows), labels, rows), known, atol=2e-3)
