"""Every objective is raised by an attack on tiny models; a goal says whether it was reached, or why it cannot be."""

import numpy as np
import pytest
import torch
from torch import Tensor

from causalclip.detector import Detector
from purifier.attacks import Attack, run_attack
from purifier.attacks.objectives import (
    FlipVerdict,
    GoalError,
    detector_logit,
    make_goal,
)
from purifier.models import Models
from tests.makers.detectors import tiny_detector
from tests.makers.models import tiny_models

QUESTION = "What animal is in the picture?"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return tiny_detector()


@pytest.fixture(scope="module")
def clean() -> Tensor:
    pixels = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    return (pixels * 255).round() / 255


def raised(objective, clean: Tensor, **options) -> Tensor:
    with torch.no_grad():
        return objective(run_attack(Attack(eps=8, steps=8, **options), clean, objective)) - objective(clean)


def test_the_differentiable_logit_is_nearly_the_detector_s(detector: Detector, clean: Tensor) -> None:
    shown = (clean * 255).round().byte().permute(0, 2, 3, 1).numpy()
    theirs = [detector.predict(np.ascontiguousarray(p)).logit for p in shown]
    assert detector_logit(detector, clean).tolist() == pytest.approx(theirs, abs=0.15)


def test_the_verdict_is_pushed_to_the_other_side(detector: Detector, clean: Tensor) -> None:
    before = detector_logit(detector, clean)
    moved = run_attack(Attack(eps=8, steps=8), clean, FlipVerdict(detector, clean))
    after = detector_logit(detector, moved)
    assert (torch.where(before > 0, before - after, after - before) > 0.05).all()
    up = run_attack(Attack(eps=8, steps=8), clean, FlipVerdict(detector, clean, target="generated"))
    assert (detector_logit(detector, up) > before + 0.05).all()
    with pytest.raises(ValueError, match="generated or not generated"):
        FlipVerdict(detector, clean, target="real")


@pytest.fixture(scope="module")
def models() -> Models:
    return tiny_models()


@pytest.mark.parametrize("objective", ["answer", "caption", "features", "detector"])
def test_every_goal_is_raised_and_says_what_the_model_says(models: Models, clean: Tensor, objective: str) -> None:
    goal = make_goal(models, clean[:1], objective, question=QUESTION)
    assert goal.before == goal.say(clean[:1])
    assert not goal.reached(goal.before)
    assert (raised(goal.objective, clean[:1]) > 0).all()


def test_a_target_is_reached_only_by_itself_and_is_not_what_is_said_already(models: Models, clean: Tensor) -> None:
    before = make_goal(models, clean[:1], "answer", question=QUESTION).before
    target = next(a for a in models.vlm.answers if a != before)
    goal = make_goal(models, clean[:1], "answer", question=QUESTION, target=f" {target.upper()} ")
    assert goal.reached(target)
    assert not goal.reached("something else")
    with pytest.raises(GoalError, match="already answers"):
        make_goal(models, clean[:1], "answer", question=QUESTION, target=before)
    verdict = make_goal(models, clean[:1], "detector")
    assert {verdict.before, verdict.target} == {"generated", "not generated"}
    with pytest.raises(GoalError, match="already says"):
        make_goal(models, clean[:1], "detector", target=verdict.before)


@pytest.mark.parametrize(
    ("objective", "options", "sentence"),
    [
        ("answer", {"question": " "}, "needs a question"),
        ("answer", {"question": QUESTION, "target": "zebra"}, "none of the 6 answers"),
        ("detector", {"target": "true"}, "can be “generated” or “not generated”"),
    ],
)
def test_what_cannot_be_a_goal_is_said(models: Models, clean: Tensor, objective, options, sentence) -> None:
    with pytest.raises(GoalError, match=sentence):
        make_goal(models, clean[:1], objective, **options)
