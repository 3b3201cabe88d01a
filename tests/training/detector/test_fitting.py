"""Fitting and measuring against independent implementations, and on channels whose causes are
known."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import Ridge
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

from causalclip.images.loading import LoadedImage, load_image
from causalclip.method import CausalHead, LossWeights, causal_loss
from tests.makers.detectors import gridded, tiny_detector
from tests.makers.pictures import encode, photo
from training.detector.data import Record, detection_fault, readable
from training.detector.evaluation import (
    calibration_error,
    empirical_precision,
    reliability,
    score_split,
    summarise,
    true_positive_rate,
)
from training.detector.fitting import TrainConfig, fit_head, standardise
from training.detector.mask_statistics import MaskStatistics
from training.detector.recipe import CONFIGS, Recipe
from training.detector.ridge import GAIN, start_at_ridge
from training.detector.selection import SelectionConfig

EVERYTHING = LossWeights(adversary=0.3, sparsity=1.0, independence=0.1, consistency=0.2, drop=0.3)
CAUSAL, SPURIOUS = slice(0, 20), slice(20, 40)


def synthetic(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """60 channels and their labels. The first 20 carry the trace that all generators share; the
    next 20 a fingerprint whose sign changes from generator to generator and which real pictures
    show as well; the last 20 are content."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (count,), generator=g).float()
    side = 2 * labels[:, None] - 1
    fingerprint = torch.where(torch.rand(count, 1, generator=g) < 0.5, 1.0, -1.0)
    x = torch.randn(count, 60, generator=g)
    x[:, CAUSAL] += 1.2 * side
    x[:, SPURIOUS] = 0.5 * x[:, SPURIOUS] + 1.2 * fingerprint * side
    return x, labels


# The objective ------------------------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    params=[{}, {"ridge": 0.1}],
    ids=["from nothing", "from the ridge"],
)
def found(request: pytest.FixtureRequest) -> CausalHead:
    """A head fitted with every term of the objective."""
    x, labels = synthetic(2000, seed=0)
    config = TrainConfig(
        epochs=30, rate=3e-3, decay=1e-3, hidden=16, weights=EVERYTHING, **request.param
    )
    return fit_head(config.new_head(60), x, labels, config=config)


@pytest.mark.full
@torch.inference_mode()
def test_mask_lets_the_causal_channels_through_and_holds_the_others_back(found: CausalHead) -> None:
    x, labels = synthetic(1000, seed=9)
    out = found(x)
    mean, statistics = out.mask.mean(0), MaskStatistics.of(out.mask)
    assert float((mean[CAUSAL] > 0.5).float().mean()) >= 0.9
    assert float((mean[20:] < 0.5).float().mean()) >= 0.9
    assert 0.1 < statistics.density < 0.7
    # A mask alone could be undone by weights: what counts is their product.
    pull = (mean * found.verdict.weight[0]).abs()
    assert float((pull.argsort(descending=True)[:20] < 20).float().mean()) >= 0.9
    assert float(pull[20:].sum()) < 0.15 * float(pull.sum())
    assert float(((out.logit > 0).float() == labels).float().mean()) > 0.95


def quick(**changes: object) -> CausalHead:
    x, labels = synthetic(300, seed=0)
    torch.manual_seed(5)
    config = TrainConfig(**{"epochs": 3, "batch": 64, "hidden": 8, "weights": EVERYTHING} | changes)  # type: ignore[arg-type]
    return fit_head(config.new_head(60), x, labels, config=config)


def test_the_same_seed_gives_the_same_head() -> None:
    a, b, c = quick().state_dict(), quick().state_dict(), quick(seed=1).state_dict()
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert not torch.equal(a["verdict.weight"], c["verdict.weight"])
    # the last steps' mean is kept
    assert not torch.equal(a["verdict.weight"], quick(average=0.0).verdict.weight)


def test_a_log_is_given_rows_and_changes_nothing() -> None:
    x, labels = synthetic(300, seed=0)
    config = TrainConfig(steps=120, batch=64, hidden=8, weights=EVERYTHING, tau_end=0.25)
    rows: list[dict[str, float]] = []

    def fit(**more: Any) -> CausalHead:
        torch.manual_seed(5)
        return fit_head(config.new_head(60), x, labels, config=config, **more)

    logged, silent = fit(log=rows.append).state_dict(), fit().state_dict()
    assert all(torch.equal(logged[name], silent[name]) for name in silent)
    assert [row["step"] for row in rows] == [50, 100, 120]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(0 < row["open"] < 1 and 0.25 <= row["tau"] <= 2 for row in rows)


def test_the_mask_s_temperature_falls_by_one_factor_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def loss(*given: Any, tau: float, **more: Any) -> Tensor:
        seen.append(tau)
        return causal_loss(*given, tau=tau, **more)

    monkeypatch.setattr("training.detector.fitting.causal_loss", loss)
    head = quick(steps=4, tau_start=1.6, tau_end=0.1)
    assert seen == pytest.approx([1.6, 0.8, 0.4, 0.2])
    assert float(head.tau) == pytest.approx(0.1)  # which it judges at


def test_the_mask_gets_the_density_that_is_asked_for_and_differs_between_pictures() -> None:
    x, labels = synthetic(600, seed=0)
    weights = LossWeights(sparsity=3.0, density=0.4, independence=0.3)
    config = TrainConfig(
        epochs=20, batch=128, rate=1e-3, mask_rate=1e-2, hidden=8, weights=weights, mask_start=3.0
    )
    head = fit_head(config.new_head(60), x, labels, config=config)
    with torch.inference_mode():
        mask = head(x).mask
    assert float(mask.mean()) == pytest.approx(0.4, abs=0.15)
    assert float(mask.std(0).mean()) > 0.01


def test_the_mask_of_the_papers_recipe_is_as_open_after_its_2000_steps() -> None:
    x, labels = synthetic(300, seed=0)
    recipe = replace(Recipe.read(CONFIGS / "paper.json").head, batch=32)
    assert recipe.count_steps(len(labels)) == 2000
    head = fit_head(recipe.new_head(60), x, labels, config=recipe)
    seen, seen_labels = synthetic(1000, seed=9)
    with torch.inference_mode():
        out = head(seen)
    assert 0.2 < MaskStatistics.of(out.mask).density < 0.8
    assert float(((out.logit > 0).float() == seen_labels).float().mean()) > 0.75


def test_the_papers_recipe_has_nothing_that_the_paper_lacks() -> None:
    recipe = Recipe.read(CONFIGS / "paper.json")
    assert (recipe.parts, recipe.squares, recipe.windows) == (("embedding",), 1, 0)
    assert len(recipe.augmentations) == 1
    assert (recipe.head.ridge, recipe.head.average, recipe.start) == (0.0, 0.0, "")
    assert (recipe.head.rate, recipe.head.mask_rate) == (1e-4, None)
    assert recipe.head.weights.smoothing == 0


@pytest.mark.parametrize("shared", [True, False], ids=["selected channels", "no mask"])
def test_a_head_starts_at_another_ones_verdict(shared: bool) -> None:
    known = selected() if shared else start_of_all()
    x = pictures()[0]
    torch.manual_seed(1)
    config = TrainConfig(epochs=0, average=0.0, hidden=4, mask_start=3.0)
    head = fit_head(config.new_head(8), x + 0.5, pictures()[1], config=config, start=known)
    with torch.inference_mode():
        # all channels alike, as before the first step
        open_mask = head(x[0], tau=config.tau_start).logit
        assert torch.allclose(open_mask, known(x[0]).logit, atol=1e-4)


# Closed form --------------------------------------------------------------------------------------

OWNERS, EACH = 12, 40


@pytest.mark.parametrize("masked", [True, False])
def test_the_start_is_ridge_regression(masked: bool) -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 60, 10, generator=g), (torch.rand(60, generator=g) > 0.5).float()
    weight = torch.rand(60, generator=g) + 0.5
    head = CausalHead(10, hidden=4, masked=masked)
    standardise(head, x.flatten(0, 1))
    start_at_ridge(head, x, y, strength=0.2, sample_weight=weight)
    rows, target, w = x.flatten(0, 1), y.repeat(2), weight.repeat(2) / weight.sum() / 2
    E = ((rows - head.shift) / head.scale).numpy()
    theirs = Ridge(alpha=0.2).fit(E, 2 * target.numpy() - 1, sample_weight=w.numpy())
    ours = head.eval()(rows).logit.detach().numpy()
    assert np.allclose(ours, GAIN * theirs.predict(E), atol=1e-3)


def pictures() -> tuple[Tensor, Tensor, Tensor]:
    """Copies [1, N, 8], labels, owners: channels 0 and 1 say the label everywhere, 2 and 3 at half
    of the owners and the opposite at the others, the rest is noise."""
    g = torch.Generator().manual_seed(0)
    owner = torch.arange(OWNERS).repeat_interleave(EACH)
    label = (torch.rand(OWNERS * EACH, generator=g) > 0.5).float()
    sign = 2 * label - 1
    x = torch.randn(OWNERS * EACH, 8, generator=g)
    x[:, :2] += sign[:, None]
    x[:, 2:4] += (sign * (1 - 2 * (owner % 2)))[:, None]
    return x[None], label, owner


def selected() -> CausalHead:
    x, label, owner = pictures()
    torch.manual_seed(0)
    config = TrainConfig(hidden=0, ridge=0.1, selection=SelectionConfig(passing=0.25, halves=6))
    return fit_head(config.new_head(8), x, label, config=config, environments=owner)


def start_of_all() -> CausalHead:
    x, label, _ = pictures()
    config = TrainConfig(epochs=0, average=0.0, masked=False, ridge=0.1)
    return fit_head(config.new_head(8), x, label, config=config)


def test_channels_that_owners_agree_on_pass_and_no_others() -> None:
    head, (x, label, _) = selected(), pictures()
    out = head(x[0])
    assert torch.equal(out.mask, torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0]).expand(len(label), 8))
    assert torch.equal(head.verdict.weight[0, 2:], torch.zeros(6))
    assert float(((out.logit > 0) == (label > 0.5)).float().mean()) > 0.9
    again = selected().state_dict()
    assert all(torch.equal(a, again[name]) for name, a in head.state_dict().items())


def scores(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random(n) < 0.4).astype(int)
    return labels, np.clip(rng.normal(0.35 + 0.3 * labels, 0.2), 0, 1)


def test_rates_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    p = np.array([0.1, 0.2, 0.3, 0.8, 0.15, 0.6, 0.7, 0.9])
    assert true_positive_rate(labels, p, false_positive_rate=0.0) == pytest.approx(1 / 4)
    assert true_positive_rate(labels, p, false_positive_rate=0.25) == pytest.approx(3 / 4)
    # a generated picture whose score is a real one's is found with it, never without
    assert true_positive_rate(labels, np.round(p), false_positive_rate=0.0) == 0
    report = summarise(labels, p, threshold=0.65)
    assert report["real_accuracy"] == pytest.approx(3 / 4)
    assert report["generated_accuracy"] == pytest.approx(2 / 4)
    assert report["balanced_accuracy"] == pytest.approx(5 / 8)
    assert report["balanced_accuracy_at_0.5"] == pytest.approx(3 / 4)
    assert report["pictures"] == 8


def test_reliability_bins_are_those_of_the_calibration_error() -> None:
    """The bins by their sums, the error against torchmetrics'."""
    labels, p = scores()
    theirs = binary_calibration_error(torch.tensor(p), torch.tensor(labels), n_bins=15, norm="l1")
    assert calibration_error(labels, p) == pytest.approx(float(theirs), abs=1e-6)
    rows = reliability(labels, p)
    assert sum(row["pictures"] for row in rows) == len(labels)
    assert sum(row["generated"] for row in rows) == labels.sum()
    assert calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0
    assert calibration_error(np.array([1, 0]), np.array([0.0, 1.0])) == 1


def test_what_scores_have_meant_counts_every_picture_once() -> None:
    rng = np.random.default_rng(0)
    probability = np.round(rng.random(400), 2)  # with ties
    labels = (rng.random(400) < probability).astype(int)
    rows = empirical_precision(labels, probability, thresholds=(0.3, 0.75))
    assert (rows[0]["low"], rows[-1]["high"]) == (0, 1)
    assert {0.3, 0.75} <= {r["high"] for r in rows}  # no step reaches across a threshold
    assert all(a["high"] == b["low"] for a, b in pairwise(rows))
    assert sum(r["pictures"] for r in rows) == 400
    assert sum(r["generated"] for r in rows) == labels.sum()
    for low, high in ((0, 0.3), (0.3, 0.75), (0.75, 1)):
        shares = [
            r["generated"] / r["pictures"] for r in rows if low <= r["low"] and r["high"] <= high
        ]
        assert shares == sorted(shares)  # isotonic between thresholds
    assert min(r["pictures"] for r in empirical_precision(labels, probability)) >= 25
    for row in rows:
        inside = (probability > row["low"]) & (probability <= row["high"])
        assert row["pictures"] == inside.sum() + (probability == 0).sum() * (row["low"] == 0)
    assert empirical_precision(np.array([0, 1, 1]), np.full(3, 0.5))[0]["pictures"] == 3


# Pictures -----------------------------------------------------------------------------------------


def record(name: str) -> Record:
    return Record(name, 0, "camera", "test", "all", "picture", name, "camera")


def test_scores_of_batches_are_those_of_single_pictures_and_a_killed_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 1. Five pictures of different sizes, in batches of three
    records = [record(f"{i}.png") for i in range(5)]
    for i, one in enumerate(records):
        gridded(i % 2, i, size=(160 + 8 * i, 120)).save(tmp_path / one.path)
    detector, kept = tiny_detector(), tmp_path / "kept" / "scores.jsonl"
    alone = score_split(detector, records, tmp_path, batch=1)
    together = score_split(detector, records, tmp_path, batch=3, workers=2, kept=kept)
    assert together.probability == pytest.approx(alone.probability, abs=1e-5)
    assert together.bands == alone.bands

    # 2. Killed in the middle of the third line, and one picture has changed since
    lines = kept.read_text().splitlines(True)
    kept.write_text("".join(lines[:3]) + lines[3][:20])
    gridded(0, 9, size=(200, 160)).save(tmp_path / records[0].path)
    read: list[str] = []

    def load(path: Path) -> LoadedImage:
        read.append(path.name)
        return load_image(path)

    monkeypatch.setattr("training.detector.evaluation.load_image", load)
    again = score_split(detector, records, tmp_path, kept=kept)
    assert sorted(read) == ["0.png", "2.png", "3.png", "4.png"]
    assert again.probability[1:] == pytest.approx(alone.probability[1:], abs=1e-5)

    # 3. Another detector takes none of these scores
    read.clear()
    score_split(tiny_detector(seed=1), records, tmp_path, kept=kept)
    assert len(read) == 5


@pytest.mark.parametrize("name", ["turned.jpg", "clear.png", "picture.heic"])
def test_a_picture_is_read_as_detection_reads_it(name: str, tmp_path: Path) -> None:
    """Turned as its EXIF says, what is transparent on white, and of every format that the app
    takes."""
    exif, detector = Image.Exif(), tiny_detector()
    exif[274] = 6
    clear = np.dstack([photo(), np.tile(np.arange(128, dtype=np.uint8), (96, 1))])
    files = {
        "turned.jpg": encode(photo(), "JPEG", exif=exif),
        "clear.png": encode(clear, "PNG"),
        "picture.heic": encode(photo(), "HEIC"),
    }
    (tmp_path / name).write_bytes(files[name])
    records = readable([record(name)], tmp_path, fault=detection_fault)
    found = score_split(detector, records, tmp_path)
    assert found.probability[0] == pytest.approx(
        detector.score(load_image(tmp_path / name).pixels).probability
    )
