"""From a raw logit to a probability and a band."""

import numpy as np
import pytest
from scipy.special import expit

from causalclip.calibration import Calibration, sigmoid


def test_thresholds_belong_to_the_outer_bands() -> None:
    found = [Calibration(low=0.3, high=0.7).band(p) for p in (0.3, 0.3001, 0.6999, 0.7)]
    assert found == ["likely not generated", "inconclusive", "inconclusive", "likely generated"]


def test_logit_is_affine_in_the_raw_logit_and_the_quality() -> None:
    calibration = Calibration(scale=0.5, offset=-1.0, quality=(2.0, -3.0))
    assert calibration.logit(4.0, np.array([1.0, 0.5])) == pytest.approx(0.5 * 4 - 1 + 2 - 1.5)
    assert Calibration(scale=2.0, offset=0.5).logit(1.0, np.array([9.0, 9.0])) == pytest.approx(2.5)


@pytest.mark.parametrize("logit", [-1000.0, -0.1, 1000.0])
def test_sigmoid_without_overflow(logit: float) -> None:
    with np.errstate(over="raise", invalid="raise"):
        assert sigmoid(logit) == pytest.approx(expit(logit), rel=1e-9)
