"""The evaluation and the model card on a made data folder and a small random model."""

import copy
from pathlib import Path
from typing import Any

import pytest

from purifier.training.cards import write_vlm_card as write_card
from purifier.training.vlm_evaluation import UNSEEN, evaluate_vlm
from tests.makers.folders import vlm_folder
from tests.makers.models import tiny_vlm


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model = tiny_vlm().with_config(threshold=0.0, beams=2)
    return evaluate_vlm(model, vlm_folder(tmp_path_factory.mktemp("data"), pictures=2), blind=model)


def test_evaluation_has_every_column(results: dict[str, Any]) -> None:
    assert set(results["captions"]) == {"flickr8k", "coco"}
    assert all(0 <= row["cider"] <= 10 and row["pictures"] == 1 for row in results["captions"].values())
    assert results["answers"]["daquar, all"]["questions"] == 1
    assert results["answers"]["daquar, all"]["majority"] == 1.0  # the training answer is "2", as the test's
    assert {"accuracy", "blind", "majority", "interval"} <= set(results["answers"]["boxes, all"])
    assert UNSEEN not in results["answers"]  # no training picture was held out with all its questions here
    assert results["sure"]["boxes"]["share"] == 1.0  # from a threshold of 0 on, it is always sure


def test_a_model_that_answers_as_people_do_is_always_right(tmp_path: Path) -> None:
    measured = evaluate_vlm(tiny_vlm(answers=("2",)), vlm_folder(tmp_path, pictures=2))
    assert measured["answers"]["daquar, all"]["accuracy"] == 1.0
    assert "blind" not in measured["answers"]["daquar, all"]


def test_the_card_states_what_was_measured(results: dict[str, Any], tmp_path: Path) -> None:
    measured = copy.deepcopy(results)
    measured["captions"]["coco"]["cider"] = 0.4321
    card = write_card(tmp_path, measured, model=tiny_vlm(), settings="Chosen by hand.").read_text()
    assert "| coco | 1 | 0.432 |" in card
    assert "6 answers" in card
    assert "Chosen by hand." in card
    assert "daquar, all" in card
    assert "I am not sure" in card
