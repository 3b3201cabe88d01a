"""A picture that is no photograph: the fourth answer, at every door that an examination has."""

import json

import numpy as np
import pytest
import torch

from causalclip.batch import NOTHING, as_csv, examine_all
from causalclip.detector import Detector
from causalclip.evidence.examination import Examination, examine
from causalclip.evidence.words import IMAGE_TYPES, NO_ANSWER, NO_ANSWER_TITLE, WHAT_TO_DO, WHY_NO_ANSWER
from causalclip.image_type import ImageTypeClassifier
from causalclip.report import card
from causalclip.report.document import as_html, as_json
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo


def refusing(kind: str) -> Detector:
    """A detector that takes every picture for that kind."""
    detector = tiny_detector()
    head = ImageTypeClassifier(detector.heads["whole"].shift.shape[0])
    with torch.no_grad():
        head.scores.weight.zero_()
        head.scores.bias.copy_(torch.tensor([1.0, 1.0 if kind == "page" else -1.0]))
    detector.image_types = head
    return detector


@pytest.fixture(scope="module", params=["drawing", "page", "blank"])
def x(request: pytest.FixtureRequest) -> Examination:
    if request.param == "blank":
        noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        return examine(encode(noise, "PNG"), tiny_detector())
    return examine(encode(photo(200, 150), "JPEG"), refusing(request.param))


def test_there_is_no_score_no_frequency_and_no_check(x: Examination) -> None:
    said = x.as_dict()
    assert (said["answer"], said["band"], said["kind"]) == (NO_ANSWER_TITLE, NO_ANSWER, x.detection.kind)
    assert x.detection.kind in IMAGE_TYPES
    assert said["probability"] is said["logit"] is said["meant"] is None
    assert said["stability"]["words"] == "Not checked"
    assert WHY_NO_ANSWER[x.detection.kind] in said["quote"]
    assert "score of" not in said["quote"]
    assert "of 100" not in said["quote"]  # error rates are of answers
    assert WHAT_TO_DO[x.detection.kind] in said["next_steps"]
    assert any("Magnify" in step for step in said["next_steps"]) == (x.detection.kind != "blank")  # nothing to be seen


def test_card_and_report_say_why_and_show_no_score(x: Examination) -> None:
    html = card.verdict(x.headline, x.detection)
    assert NO_ANSWER_TITLE in html
    assert WHY_NO_ANSWER[x.detection.kind] in html.replace("&#x27;", "'")
    assert "cc-scale" not in html
    assert "out of 100" not in html
    report = as_html(x, maps={"causal": "data:,", "non_causal": "data:,"})
    assert NO_ANSWER_TITLE in report
    for words in ("Score, unrounded", "Where this score comes from", "survive re-encoding", "test pictures"):
        assert words not in report
    assert json.loads(as_json(x))["probability"] is None


def test_a_batch_has_its_row_without_a_score() -> None:
    *_, last = examine_all(lambda: [("a.jpg", encode(photo(200, 150), "JPEG"))], refusing("page"))
    assert (last.row.answer, last.row.score, last.row.survives) == (NO_ANSWER_TITLE, None, NOTHING)
    assert last.row.kind == "page"
    assert NO_ANSWER_TITLE in as_csv([last.row])


def test_a_card_of_one_sentence_knows_the_fourth_answer() -> None:
    assert NO_ANSWER_TITLE in card.brief(NO_ANSWER, "a sentence")
