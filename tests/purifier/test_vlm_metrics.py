"""The metrics against independent implementations, the reference code's own numbers, and cases computed by hand."""

import math
import random

import pytest
from torchmetrics.text import BLEUScore

from purifier.training.vlm_evaluation import bleu4, cider, fit_confidence

WORDS = ["a", "dog", "cat", "man", "runs", "sits", "on", "the", "red", "grass", "street", "with", "ball", "two"]
REFERENCES = [
    [
        "a black dog runs on the grass",
        "a dog is running across a green field",
        "the dog runs through the grass with a ball",
    ],
    [
        "two children play in the water",
        "two kids splash in a pool",
        "a boy and a girl are playing in a swimming pool",
    ],
    [
        "a man in a red shirt climbs a rock",
        "a climber in red on a steep rock face",
        "a man is climbing",
    ],
    [
        "a plate of food on a table",
        "pizza and a glass of wine on a wooden table",
        "a pizza on a plate next to a glass",
    ],
]
CANDIDATES = [
    "a black dog is running on the grass",
    "two children are playing in a pool",
    "a man in a blue shirt rides a bike",
    "a a plate plate of pizza on a table on a table",
]


def random_captions(seed: int) -> tuple[list[str], list[list[str]]]:
    rng = random.Random(seed)
    texts = [[" ".join(rng.choices(WORDS, k=rng.randint(4, 12))) for _ in range(6)] for _ in range(20)]
    return [t[0] for t in texts], [t[1:] for t in texts]


def test_cider_and_bleu_agree_with_the_reference_code() -> None:
    # What pycocoevalcap 1.2 (the COCO caption challenge's own code) prints for these captions.
    assert cider(CANDIDATES, REFERENCES) == pytest.approx([2.65522772, 2.24645882, 1.3298732, 1.38458461], abs=1e-7)
    assert bleu4(CANDIDATES, REFERENCES) == pytest.approx(0.3454140195411666, abs=1e-8)


@pytest.mark.parametrize("seed", [0, 1])
def test_bleu_agrees_with_torchmetrics(seed: int) -> None:
    candidates, references = random_captions(seed)
    candidates[0] = references[0][0]  # so that some runs of four words are right
    assert bleu4(candidates, references) == pytest.approx(BLEUScore(4)(candidates, references).item(), abs=1e-6)


def test_metrics_refuse_captions_without_references() -> None:
    with pytest.raises(ValueError, match="at least one reference"):
        cider(["a"], [[]])


def test_confidence_is_fitted_to_how_often_answers_are_right() -> None:
    rng = random.Random(0)
    scores = [rng.uniform(-4, 0) for _ in range(3000)]
    right = [rng.random() < 1 / (1 + math.exp(-(1.5 * s + 2.0))) for s in scores]
    fitted = fit_confidence(scores, right)
    slope, offset = fitted
    assert slope == pytest.approx(1.5, abs=0.2)
    assert offset == pytest.approx(2.0, abs=0.3)
    with pytest.raises(ValueError, match="right and wrong"):
        fit_confidence([0.0, -1.0], [True, True])
