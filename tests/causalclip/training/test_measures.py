"""Measures against independent implementations and counts by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error

from causalclip.training.evaluation import (
    balanced_accuracy,
    bootstrap,
    by_group,
    calibration_error,
    meaning,
    reliability,
    roc_points,
    summarise,
    true_positive_rate,
)


def scores(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random(n) < 0.4).astype(int)
    return labels, np.clip(rng.normal(0.35 + 0.3 * labels, 0.2), 0, 1)


def test_rates_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    p = np.array([0.1, 0.2, 0.3, 0.8, 0.15, 0.6, 0.7, 0.9])
    assert true_positive_rate(labels, p, false_positive_rate=0.0) == pytest.approx(1 / 4)
    assert true_positive_rate(labels, p, false_positive_rate=0.25) == pytest.approx(3 / 4)
    report = summarise(labels, p, threshold=0.65)
    assert report["real_accuracy"] == pytest.approx(3 / 4)
    assert report["generated_accuracy"] == pytest.approx(2 / 4)
    assert report["balanced_accuracy"] == pytest.approx(5 / 8)
    assert report["balanced_accuracy_at_0.5"] == pytest.approx(3 / 4)
    assert report["pictures"] == 8


def test_balanced_accuracy_equals_scikit_learns() -> None:
    labels, p = scores()
    assert balanced_accuracy(labels, p, 0.55) == pytest.approx(balanced_accuracy_score(labels, p >= 0.55))


def test_a_score_at_the_threshold_says_generated() -> None:
    assert balanced_accuracy(np.array([0, 1]), np.array([0.4, 0.5]), 0.5) == 1


def test_calibration_error_equals_torchmetrics() -> None:
    """On probabilities of the class, which is what their binary form bins."""
    labels, p = scores()
    theirs = binary_calibration_error(torch.tensor(p), torch.tensor(labels), n_bins=15, norm="l1")
    assert calibration_error(labels, p) == pytest.approx(float(theirs), abs=1e-6)
    assert calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0
    assert calibration_error(np.array([1, 0]), np.array([0.0, 1.0])) == 1


def test_few_corners_of_the_roc_curve_keep_its_area() -> None:
    labels, p = scores()
    points = np.array(roc_points(labels, p, most=40))
    assert len(points) <= 40
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]
    assert (np.diff(points, axis=0) >= 0).all()
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(roc_auc_score(labels, p), abs=0.01)


def test_reliability_bins_are_those_of_the_calibration_error() -> None:
    labels, p = scores()
    rows = reliability(labels, p)
    assert sum(row["pictures"] for row in rows) == len(labels)
    assert sum(row["generated"] for row in rows) == labels.sum()
    gaps = [r["pictures"] * abs(r["mean_probability"] - r["generated"] / r["pictures"]) for r in rows]
    assert sum(gaps) / len(labels) == pytest.approx(calibration_error(labels, p))


def test_intervals_hold_the_value_and_are_seeded() -> None:
    labels, p = scores()
    low, high = bootstrap(roc_auc_score, labels, p, rounds=200)
    assert low < roc_auc_score(labels, p) < high
    assert high - low < 0.12
    assert (low, high) == bootstrap(roc_auc_score, labels, p, rounds=200)
    few = bootstrap(roc_auc_score, labels[:60], p[:60], rounds=200)
    assert few[1] - few[0] > high - low


def test_sources_apart() -> None:
    labels, p = np.array([0, 0, 1, 1]), np.array([0.2, 0.9, 0.7, 0.3])
    report = by_group(labels, p, ["camera", "camera", "sd", "flux"], threshold=0.5)
    assert list(report) == ["camera", "flux", "sd"]
    assert report["camera"] == {"pictures": 2, "generated": 0, "mean_probability": 0.55, "accuracy": 0.5}
    assert (report["sd"]["accuracy"], report["flux"]["accuracy"]) == (1, 0)


def test_what_scores_have_meant_counts_every_picture_once() -> None:
    rng = np.random.default_rng(0)
    probability = np.round(rng.random(200), 2)  # with ties
    labels = (rng.random(200) < probability).astype(int)
    rows = meaning(labels, probability)
    assert (rows[0]["low"], rows[-1]["high"]) == (0, 1)
    assert all(a["high"] == b["low"] for a, b in pairwise(rows))
    assert sum(r["pictures"] for r in rows) == 200
    assert sum(r["generated"] for r in rows) == labels.sum()
    assert rows[0]["generated"] / rows[0]["pictures"] < 0.3 < 0.7 < rows[-1]["generated"] / rows[-1]["pictures"]
    shares = [r["generated"] / r["pictures"] for r in rows]
    assert shares == sorted(shares)  # isotonic
    assert min(r["pictures"] for r in rows) >= 25
    for row in rows:
        inside = (probability > row["low"]) & (probability <= row["high"])
        assert row["pictures"] == inside.sum() + (probability == 0).sum() * (row["low"] == 0)


def test_no_step_reaches_across_a_threshold() -> None:
    rng = np.random.default_rng(1)
    probability = rng.random(400)
    rows = meaning((rng.random(400) < probability).astype(int), probability, thresholds=(0.3, 0.75))
    assert {0.3, 0.75} <= {r["high"] for r in rows}
    assert sum(r["pictures"] for r in rows) == 400


def test_one_score_for_all_is_one_step() -> None:
    assert meaning(np.array([0, 1, 1]), np.full(3, 0.5))[0]["pictures"] == 3
