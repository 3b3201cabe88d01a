"""What is said of a map: how much of the score has no place, and what a control finds."""

from dataclasses import replace

import numpy as np
import pytest

from causalclip.detector import Detection
from causalclip.maps.heatmap import placed
from causalclip.maps.overlay import Drawing, draw_map, prepare
from causalclip.maps.words import control, face, no_place, tied_to_no_place
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(160, 120))


@pytest.mark.parametrize(("rest", "share"), [(0.0, 0.0), (1.0, 0.5), (-1.0, 0.5), (3.0, 0.75)])
def test_the_share_without_a_place_is_that_of_the_logit(detection: Detection, rest: float, share: float) -> None:
    here = placed(detection.views)
    assert here
    other = replace(detection, logit=here + rest * here)
    assert tied_to_no_place(other) == pytest.approx(share, abs=1e-4)
    assert no_place(other).startswith(f"{100 * share:.0f} % of ")
    assert face(Drawing(np.zeros((4, 4), np.uint8), other)).startswith(f"{100 * share:.0f} % of ")


def test_it_stands_on_the_face_of_the_map(detection: Detection) -> None:
    drawing = prepare(photo(160, 120), detection)
    plain, told = (np.asarray(draw_map(drawing, beside=beside)) for beside in ("", face(drawing)))
    assert told.shape[0] > plain.shape[0]
    assert np.array_equal(told[: plain.shape[0]], plain)
    assert told[plain.shape[0] :].min() < 100  # ink


def test_a_score_of_nothing_has_a_share_too(detection: Detection) -> None:
    empty = tuple(replace(view, causal=np.zeros_like(view.causal)) for view in detection.views)
    assert tied_to_no_place(replace(detection, views=empty, logit=0.0)) == 0.0


def test_the_control_stands_beside_the_map() -> None:
    assert "no outline" in control()
    assert control().count("a blob in the centre") == 1
