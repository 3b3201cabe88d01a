"""The metrics against independent implementations, the reference code's own numbers, and cases computed by hand."""

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from torchmetrics.text import BLEUScore

from purifier.training.vlm_evaluation import bleu4, cider, fit_confidence, interval

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


def cider_by_matrices(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D a second time, with scikit-learn's n-gram counts and matrices in place of dictionaries."""
    texts = [*candidates, *(r for refs in references for r in refs)]
    owner = np.repeat(np.arange(len(references)), [len(refs) for refs in references])
    words = np.array([len(text.split()) for text in texts])
    total = np.zeros(len(candidates))
    for n in range(1, 5):
        counter = CountVectorizer(ngram_range=(n, n), token_pattern=r"\S+", lowercase=False)
        counts = counter.fit_transform(texts).toarray().astype(float)
        ours, theirs = counts[: len(candidates)], counts[len(candidates) :]
        documents = np.array([(theirs[owner == i] > 0).any(0) for i in range(len(references))]).sum(0)
        weight = np.log(len(references)) - np.log(np.maximum(documents, 1))
        ours, theirs = ours * weight, theirs * weight
        for i in range(len(candidates)):
            refs = theirs[owner == i]
            dot = (np.minimum(ours[i], refs) * refs).sum(1)
            norm = np.linalg.norm(ours[i]) * np.linalg.norm(refs, axis=1)
            gap = words[i] - words[len(candidates) :][owner == i]
            total[i] += (np.exp(-(gap**2) / 72) * dot / np.where(norm > 0, norm, 1)).mean()
    return (10 * total / 4).tolist()


def random_captions(seed: int) -> tuple[list[str], list[list[str]]]:
    rng = random.Random(seed)
    texts = [[" ".join(rng.choices(WORDS, k=rng.randint(4, 12))) for _ in range(6)] for _ in range(20)]
    return [t[0] for t in texts], [t[1:] for t in texts]


@pytest.mark.parametrize("seed", [0, 1])
def test_cider_agrees_with_an_independent_implementation(seed: int) -> None:
    candidates, references = random_captions(seed)
    assert cider(candidates, references) == pytest.approx(cider_by_matrices(candidates, references), abs=1e-9)


def test_cider_and_bleu_agree_with_the_reference_code() -> None:
    # What pycocoevalcap 1.2 (the COCO caption challenge's own code) prints for these captions.
    assert cider(CANDIDATES, REFERENCES) == pytest.approx([2.65522772, 2.24645882, 1.3298732, 1.38458461], abs=1e-7)
    assert bleu4(CANDIDATES, REFERENCES) == pytest.approx(0.3454140195411666, abs=1e-8)


@pytest.mark.parametrize("seed", [0, 1])
def test_bleu_agrees_with_torchmetrics(seed: int) -> None:
    candidates, references = random_captions(seed)
    candidates[0] = references[0][0]  # so that some runs of four words are right
    assert bleu4(candidates, references) == pytest.approx(BLEUScore(4)(candidates, references).item(), abs=1e-6)


def test_cider_of_two_known_cases() -> None:
    # Every n-gram is in one of two pictures' references (idf log 2) and the lengths agree: a copy has the cosine 1.
    assert cider(["a b c d", "x y z w"], [["a b c d"], ["x y z w"]]) == pytest.approx([10.0, 10.0])
    # Words alone overlap: half of a, b is a, c in unigrams (1/2), none of the bigrams; n 3 and 4 are empty.
    assert cider(["a b", "x"], [["a c"], ["x"]])[0] == pytest.approx(10 * 0.5 / 4)


def test_bleu_of_a_short_copy_is_its_brevity() -> None:
    assert bleu4(["a b c d e"], [["a b c d e f"]]) == pytest.approx(math.exp(1 - 6 / 5))


def test_metrics_refuse_captions_without_references() -> None:
    with pytest.raises(ValueError, match="at least one reference"):
        cider(["a"], [[]])


def test_interval_holds_the_mean() -> None:
    low, high = interval([0.0, 1.0] * 50)
    assert 0.35 < low < 0.5 < high < 0.65


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
