"""Fitting the calibration, and bands with bounds on false alarms."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from training.detector.bands import choose_bands, fit_logistic


def scores(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Raw logits three times too sure of themselves, with an offset, and their labels."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 1.5, n)
    return 3 * true - 1, (rng.random(n) < expit(true)).astype(int)


def test_fit_agrees_with_scikit_learn_with_weights() -> None:
    raw, labels = scores(500)
    X = np.column_stack([raw, np.random.default_rng(1).normal(size=len(raw))])
    weight = np.where(labels == 1, 3.0, 0.5)
    ours = fit_logistic(X, labels, weight=weight, ridge=0)
    theirs = LogisticRegression(C=np.inf, tol=1e-8).fit(X, labels, sample_weight=weight)
    assert ours == pytest.approx([*theirs.coef_[0], theirs.intercept_[0]], abs=2e-3)


def test_bands_keep_their_promises_owner_by_owner() -> None:
    raw, labels = scores()
    p, owners = expit(raw / 3), np.arange(len(raw)) // 8
    low, high, promise = choose_bands(labels, p, owners, false_alarms=0.03, misses=0.1)
    assert low < high
    assert promise["accused_share"] < promise["accused_bound"] <= 0.03
    assert promise["missed_share"] < promise["missed_bound"] <= 0.1
    assert promise["accused_bound"] > 0.025  # and no stricter than they must be
    assert promise["missed_bound"] > 0.095


def test_an_owner_counts_once_however_many_pictures_he_has() -> None:
    """One owner's thousand accused photographs weigh as much as another's two."""
    owners = np.r_[
        np.zeros(1000, int), np.repeat(np.arange(1, 400), 2), np.repeat(np.arange(400, 600), 2)
    ]
    labels = (owners >= 400).astype(int)
    p = np.where(owners == 0, 0.9, np.where(labels == 1, np.where(owners < 440, 0.2, 0.95), 0.1))
    _, high, promise = choose_bands(labels, p, owners, false_alarms=0.03)
    assert high <= 0.9
    assert promise["accused_share"] == pytest.approx(1 / 400)


def test_too_few_owners_promise_nothing_and_accuse_nobody() -> None:
    labels, p = np.repeat([0, 1], 50), np.r_[np.linspace(0, 0.7, 50), np.linspace(0.3, 1, 50)]
    low, high, promise = choose_bands(labels, p, np.arange(100) % 5 + 10 * labels)
    assert high > 0.7
    assert low < 0.3
    assert promise["accused_share"] == promise["missed_share"] == 0


def test_a_hard_set_keeps_the_budget_by_itself() -> None:
    rng = np.random.default_rng(3)
    owners, labels = np.arange(2000) % 400, (np.arange(2000) % 400) // 200
    sets = np.where(owners % 8 == 0, "hard", "easy")
    p = np.where(labels == 1, 2.0, -2.0) + rng.normal(
        0, np.where((sets == "hard") & (labels == 0), 3.5, 0.5)
    )
    _, loose, _ = choose_bands(labels, p, owners, false_alarms=0.03)
    _, strict, _ = choose_bands(labels, p, owners, sets=sets, false_alarms=0.03)
    rows = (labels == 0) & (sets == "hard")
    assert (p[rows] >= loose).mean() > 0.05
    assert strict > loose
    assert (p[rows] >= strict).mean() <= 0.03
