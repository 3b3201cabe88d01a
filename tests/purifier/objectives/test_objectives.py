"""Every objective is raised by an attack on tiny models, and says what it should."""

import numpy as np
import pytest
import torch
from torch import Tensor

from causalclip.detector import Detector
from purifier.attacks import Attack, run_attack
from purifier.objectives import (
    FlipVerdict,
    MoveFeatures,
    change_answer,
    change_caption,
    detector_logit,
    force_answer,
    force_caption,
    language_tokens,
    layer_tokens,
)
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from tests.makers.detectors import tiny_detector
from tests.makers.models import tiny_vlm
from tests.makers.towers import tiny_tower

QUESTION = "What animal is in the picture?"


@pytest.fixture(scope="module")
def vlm() -> EmbeddedVLM:
    return tiny_vlm()


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


def test_answers_move_away_and_towards(vlm: EmbeddedVLM, clean: Tensor) -> None:
    now = [a.text for a in vlm.answer(clean, QUESTION)]
    assert (raised(change_answer(vlm, [QUESTION] * 2, now), clean) > 0.01).all()
    assert (raised(force_answer(vlm, [QUESTION] * 2, ["dog", "cat"]), clean) > 0.01).all()


def test_an_attack_changes_the_answer(vlm: EmbeddedVLM, clean: Tensor) -> None:
    now = [a.text for a in vlm.answer(clean, QUESTION)]
    moved = run_attack(Attack(eps=32, steps=20), clean, change_answer(vlm, [QUESTION] * 2, now))
    assert any(a.text != b for a, b in zip(vlm.answer(moved, QUESTION), now, strict=True))


def test_the_answer_s_loss_is_its_negative_likelihood(vlm: EmbeddedVLM, clean: Tensor) -> None:
    loss = change_answer(vlm, [QUESTION] * 2, ["dog", "cat"])(clean)
    likelihood = vlm.log_likelihood(clean, [QUESTION.lower().rstrip("?")] * 2, ["dog", "cat"])
    assert torch.equal(loss, -likelihood)


def test_captions_move_away_and_towards(vlm: EmbeddedVLM, clean: Tensor) -> None:
    objective = change_caption(vlm, ["a dog runs", "dog"])
    assert objective.prompts == (CAPTION_PROMPT, CAPTION_PROMPT)
    assert (raised(objective, clean) > 0.01).all()
    assert (raised(force_caption(vlm, ["a dog runs", "dog"]), clean) > 0.01).all()


@pytest.mark.parametrize("see", [language_tokens(tiny_tower(), layers=(2, 3)), layer_tokens(tiny_tower(), [1, 3])])
@pytest.mark.parametrize("name", ["pgd", "fgsm", "mi-fgsm"])
def test_features_move_away_though_flat_at_the_start(see, name: str, clean: Tensor) -> None:
    objective = MoveFeatures(see, clean)
    assert objective.flat
    assert objective(clean).abs().max() < 1e-5
    assert (raised(objective, clean, name=name) > 1e-3).all()


def test_features_move_towards_another_picture(clean: Tensor) -> None:
    objective = MoveFeatures(language_tokens(tiny_tower(), layers=(2, 3)), clean.flip(0), targeted=True)
    assert not objective.flat
    assert (raised(objective, clean) > 1e-3).all()


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
