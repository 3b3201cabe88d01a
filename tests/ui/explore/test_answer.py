"""The answer above an explored picture."""

import dataclasses

from causalclip.examine.kind import NO_ANSWER, TITLE
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo
from ui.explore.view import answer


def test_what_is_no_photograph_has_its_reason_in_place_of_a_score() -> None:
    detection = tiny_detector().predict(photo(96, 64))
    assert "Score 0." in answer(detection)
    refused = answer(dataclasses.replace(detection, band=NO_ANSWER, kind="page"))
    assert TITLE in refused
    assert "screenshot" in refused
    assert "Score 0." not in refused
