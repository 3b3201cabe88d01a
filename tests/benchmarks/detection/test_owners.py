"""The curve by owners solves the same ridge regression in its dual form, and leaves out what it says it does."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from benchmarks.detection.heldout import generators
from benchmarks.detection.heldout.kernel import LeftOut, kernel, kernel_judge
from benchmarks.detection.heldout.owners import extrapolated, least_squares
from causalclip.training.data import Record


def test_the_dual_form_has_the_same_solution() -> None:
    torch.manual_seed(0)
    features = torch.randn(80, 7) * torch.rand(7) + torch.randn(7)
    labels = (features[:, 0] + torch.randn(80) > features[:, 0].mean()).float()
    features = (features - features.mean(0)) / features.std(0)  # so that both standardise alike
    rows, judged, weight = np.arange(80), np.arange(5, 45), torch.rand(80) + 0.1
    head = least_squares(features[None].half(), labels, weight, strength=0.3)
    primal = head(features[judged].half().float()).logit.detach().numpy()
    dual = kernel_judge(kernel(features.half()), labels, strength=0.3)(rows, judged, weight)
    assert 3 * dual == pytest.approx(primal, abs=1e-2)
    few = kernel_judge(kernel(features.half()), labels, strength=0.3)(rows[:9], judged, weight[:9])
    assert np.abs(few - dual).max() > 0.1


def record(name: str, label: int, owner: str) -> Record:
    return Record(name, label, "", "train", "sites", "picture", name, owner, owner=owner)


def test_what_was_left_out_was_not_learned_from() -> None:
    torch.manual_seed(0)
    features, labels, weight = torch.randn(60, 5), torch.arange(60) % 2.0, torch.rand(60) + 0.1
    K = kernel(features)
    probe, out = LeftOut(K.clone(), labels, weight, strength=0.3), np.arange(10, 25)
    rest = np.setdiff1d(np.arange(60), out)
    learned = kernel_judge(K, labels, strength=0.3 * float(weight.sum() / weight[rest].sum()))
    assert probe.scores(out) == pytest.approx(learned(rest, out, weight[rest]), abs=1e-3)


def test_a_generator_is_told_without_its_owners_and_without_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flux's two owners: one has a photograph, too."""
    monkeypatch.setattr(generators, "LEAST", 3)
    monkeypatch.setattr(generators, "family_of", lambda name: name or "not stated")
    owners = ["a", "a", "b", "a", "c", "d", "d"]
    made = ["Flux", "Flux", "Flux", "", "Imagen", "", ""]
    rows = [record(str(i), int(bool(g)), o) for i, (o, g) in enumerate(zip(owners, made, strict=True))]
    table = [SimpleNamespace(sha256=str(i), generator=g, label="fake" if g else "real") for i, g in enumerate(made)]
    asked: list[list[int]] = []

    class Probe:
        def scores(self, rows: np.ndarray) -> np.ndarray:
            asked.append(rows.tolist())
            return np.where(np.isin(rows, [3, 5, 6]), 0.0, 1.0 if len(rows) < 4 else -1.0)

    (row,) = generators.without_generators(rows, cast(Any, table), cast(Any, Probe()))
    assert asked == [[0, 1, 3], [2], [4], [5, 6], [0, 1, 2, 3]]
    assert (row["generator"], row["pictures"], row["owners"]) == ("Flux", 3, 2)
    assert (row["owner_left_out"], row["generator_left_out"]) == (1.0, 0.0)


def test_a_power_law_goes_on() -> None:
    points = [(n, 1 - 0.5 * n**-0.5) for n in (50, 100, 400)]
    assert extrapolated(points)["auc"] == pytest.approx(1 - 0.5 * 800**-0.5)
