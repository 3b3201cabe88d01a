"""What attacks are to reach, and what is said when it cannot be."""

import pytest
import torch
from torch import Tensor

from purifier.aims import AimError, make_aim
from purifier.attacks import Attack, run_attack
from purifier.models import Models
from tests.makers.purifiers import tiny_models

QUESTION = "Is there a dog?"


@pytest.fixture(scope="module")
def models() -> Models:
    return tiny_models()


@pytest.fixture(scope="module")
def clean() -> Tensor:
    return (torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0)) * 255).round() / 255


@pytest.mark.parametrize("objective", ["answer", "caption", "features", "detector"])
def test_every_aim_is_raised_and_says_what_the_model_says(models: Models, clean: Tensor, objective: str) -> None:
    aim = make_aim(models, clean, objective, question=QUESTION)
    assert aim.before == aim.say(clean)
    assert not aim.reached(aim.before)
    moved = run_attack(Attack(eps=16, steps=5), clean, aim.objective)
    with torch.no_grad():
        assert aim.objective(moved) > aim.objective(clean)


def test_a_target_is_reached_only_by_itself(models: Models, clean: Tensor) -> None:
    before = make_aim(models, clean, "answer", question=QUESTION).before
    target = next(a for a in models.vlm.answers if a != before)
    aim = make_aim(models, clean, "answer", question=QUESTION, target=f" {target.upper()} ")
    assert aim.reached(target)
    assert not aim.reached("something else")


def test_the_detector_is_aimed_at_its_other_verdict(models: Models, clean: Tensor) -> None:
    aim = make_aim(models, clean, "detector")
    assert {aim.before, aim.target} == {"generated", "not generated"}


@pytest.mark.parametrize(
    ("objective", "options", "sentence"),
    [
        ("answer", {}, "needs a question"),
        ("answer", {"question": " "}, "needs a question"),
        ("answer", {"question": QUESTION, "target": "zebra"}, "none of the 6 answers"),
        ("features", {"target": "dog"}, "leave the target out"),
        ("detector", {"target": "true"}, "can be “generated” or “not generated”"),
        ("mood", {}, "no objective “mood”"),
    ],
)
def test_what_cannot_be_aimed_at_is_said(models: Models, clean: Tensor, objective, options, sentence) -> None:
    with pytest.raises(AimError, match=sentence):
        make_aim(models, clean, objective, **options)


def test_what_is_said_already_is_no_target(models: Models, clean: Tensor) -> None:
    before = make_aim(models, clean, "answer", question=QUESTION).before
    with pytest.raises(AimError, match="already answers"):
        make_aim(models, clean, "answer", question=QUESTION, target=before)
    verdict = make_aim(models, clean, "detector").before
    with pytest.raises(AimError, match="already says"):
        make_aim(models, clean, "detector", target=verdict)
