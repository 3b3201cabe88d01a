"""The sentence to paste says what was not done."""

import pytest

from causalclip.examine.examination import Examination, examine
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
