"""The answer above an explored picture."""

import dataclasses

from causalclip.evidence.words import NO_ANSWER, NO_ANSWER_TITLE
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo
from ui.explore.view import answer, channels


def test_what_is_no_photograph_has_its_reason_in_place_of_a_score() -> None:
    detection = tiny_detector().predict(photo(96, 64))
    assert "Score 0." in answer(detection)
    refused = answer(dataclasses.replace(detection, band=NO_ANSWER, kind="page"))
    assert NO_ANSWER_TITLE in refused
    assert "screenshot" in refused
    assert "Score 0." not in refused


def test_what_has_no_place_and_the_control_stand_beside_the_map() -> None:
    said = channels(tiny_detector().predict(photo(96, 64)), "Hatched here.")
    assert " % of what makes up this score is tied to no place" in said
    assert "Hatched here." in said
    assert "a blob in the centre" in said
