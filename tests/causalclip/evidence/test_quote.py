"""The sentence to paste says what was not done."""

from dataclasses import replace

import pytest

from causalclip.evidence.examination import Examination, examine
from causalclip.pictures import formats
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo


@pytest.fixture(scope="module", params=[True, False])
def x(request: pytest.FixtureRequest) -> Examination:
    return examine(encode(photo(), "PNG"), tiny_detector(), stability=request.param)


def test_that_it_was_not_checked_whether_the_answer_survives(x: Examination) -> None:
    said = "Whether that answer survives re-encoding was not checked." in x.quote
    assert said is (x.stability is None)


def test_that_the_picture_was_judged_at_half_its_size(x: Examination, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "The picture was judged at half its size."
    assert said not in x.quote
    monkeypatch.setattr(formats, "MAX_PIXELS", 100_000)
    halved = examine(encode(photo(640, 480), "JPEG"), tiny_detector(), stability=False)
    assert halved.width == 320
    assert said in halved.quote


@pytest.mark.parametrize(
    ("probability", "written"), [(0.9971, "over 0.99"), (0.0012, "under 0.01"), (0.6996, "0.6996"), (0.5, "0.50")]
)
def test_the_score_neither_is_a_certainty_nor_contradicts_the_answer(
    x: Examination, probability: float, written: str
) -> None:
    detection = replace(x.detection, probability=probability, low=0.3, high=0.7)
    assert f"with a score of {written} on a scale from 0 to 1" in replace(x, detection=detection).quote
