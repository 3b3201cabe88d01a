"""Probabilities that mean what they say, and bands that keep what they promise."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from causalclip.calibration import Calibration, choose_bands, fit_logistic, sigmoid


def scores(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Raw logits three times too sure of themselves, with an offset, and their labels."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 1.5, n)
    return 3 * true - 1, (rng.random(n) < expit(true)).astype(int)


def test_fit_undoes_overconfidence() -> None:
    raw, labels = scores()
    scale, offset = fit_logistic(raw[:, None], labels)
    assert scale == pytest.approx(1 / 3, rel=0.1)
    assert offset == pytest.approx(1 / 3, abs=0.1)


def test_fit_agrees_with_scikit_learn_with_weights() -> None:
    raw, labels = scores(500)
    X = np.column_stack([raw, np.random.default_rng(1).normal(size=len(raw))])
    weight = np.where(labels == 1, 3.0, 0.5)
    ours = fit_logistic(X, labels, weight=weight, ridge=0)
    theirs = LogisticRegression(C=np.inf, tol=1e-8).fit(X, labels, sample_weight=weight)
    assert ours == pytest.approx([*theirs.coef_[0], theirs.intercept_[0]], abs=2e-3)


def test_fit_of_what_can_be_separated_stays_finite() -> None:
    beta = fit_logistic(np.array([[-1.0], [1.0]]), np.array([0, 1]))
    assert np.isfinite(beta).all()
    assert beta[0] > 1


def test_bands_keep_their_promises_on_what_they_were_chosen_from() -> None:
    raw, labels = scores()
    p = expit(raw / 3)
    low, high = choose_bands(labels, p, false_alarms=0.03, misses=0.1)
    assert low < high
    assert (p[labels == 0] >= high).mean() <= 0.03
    assert (p[labels == 1] <= low).mean() <= 0.1
    assert (p[labels == 0] >= high).mean() > 0.02  # and no stricter than they must be
    assert (p[labels == 1] <= low).mean() > 0.09


@pytest.mark.parametrize("count", [1, 7, 10, 33, 100, 101])
def test_bands_keep_their_promises_to_the_picture(count: int) -> None:
    """Few pictures, and scores that many of them share."""
    rng = np.random.default_rng(count)
    labels, p = np.repeat([0, 1], count), rng.integers(0, 11, 2 * count) / 10
    low, high = choose_bands(labels, p, false_alarms=0.03, misses=0.1)
    assert low <= high
    assert (p[labels == 0] >= high).sum() <= 0.03 * count
    assert (p[labels == 1] <= low).sum() <= 0.1 * count


def test_bands_of_a_perfect_detector_are_in_order() -> None:
    labels, p = np.repeat([0, 1], 50), np.r_[np.linspace(0, 0.2, 50), np.linspace(0.8, 1, 50)]
    low, high = choose_bands(labels, p)
    assert 0 <= low < high <= 1


@pytest.mark.parametrize(
    ("probability", "band"),
    [
        (0.0, "likely not generated"),
        (0.3, "likely not generated"),
        (0.3001, "inconclusive"),
        (0.6999, "inconclusive"),
        (0.7, "likely generated"),
        (1.0, "likely generated"),
    ],
)
def test_band_by_thresholds_that_belong_to_the_outer_bands(probability: float, band: str) -> None:
    assert Calibration(low=0.3, high=0.7).band(probability) == band


def test_logit_is_affine_in_the_raw_logit_and_the_quality() -> None:
    calibration = Calibration(scale=0.5, offset=-1.0, quality=(2.0, -3.0))
    assert calibration.logit(4.0, np.array([1.0, 0.5])) == pytest.approx(0.5 * 4 - 1 + 2 - 1.5)
    assert Calibration(scale=2.0, offset=0.5).logit(1.0, np.array([9.0, 9.0])) == pytest.approx(2.5)


@pytest.mark.parametrize("logit", [-1000.0, -30.0, -0.1, 0.0, 2.0, 1000.0])
def test_sigmoid_without_overflow(logit: float) -> None:
    with np.errstate(over="raise", invalid="raise"):
        assert sigmoid(logit) == pytest.approx(expit(logit), rel=1e-9)
