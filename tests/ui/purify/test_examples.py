"""The three prepared examples: what the shipped models say of them, and how they are offered."""

import numpy as np
import pytest

from purifier.models import Models
from ui.purify.examples import PREPARED, Prepared, run, stored


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.mark.full
@pytest.mark.parametrize("example", PREPARED, ids=lambda example: example.file)
def test_the_attack_turns_the_answer_and_purification_brings_it_back(models: Models, example: Prepared) -> None:
    now, kept = run(models, example), stored(example)
    old = "assets/purify is out of date: python scripts/prepared.py"
    assert example.holds(now), [said.spoken for said in now.said.values()]
    assert kept.said["clean"].answer == now.said["clean"].answer, old
    # Another processor rounds otherwise: how likely the answer is moves by less than a hundredth, and by more where a
    # model has changed.
    assert kept.said["clean"].likelihood == pytest.approx(now.said["clean"].likelihood, abs=0.01), old
    assert kept.steps == now.steps == example.steps, old


@pytest.mark.parametrize("example", PREPARED, ids=lambda example: example.file)
def test_what_is_kept_holds_and_is_in_its_budget(example: Prepared) -> None:
    kept = stored(example)
    assert example.holds(kept)
    moved = kept.pictures["adversarial"].astype(int) - kept.pictures["clean"]
    assert 0 < np.abs(moved).max() <= example.eps
