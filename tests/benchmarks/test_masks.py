"""The measures of a mask, on features in which it is known where the label, the owner and the content are."""

import numpy as np
import pytest

from benchmarks.detection.masking import ideas as mask_ideas
from benchmarks.detection.masking.ideas import Ideas, best, channels
from benchmarks.detection.masking.pictures import Passed, Pictures, Split, centre, dual, splits
from benchmarks.detection.masks import judge, measure

PARTS = tuple("abcdef")
WIDTH = 48


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """40 owners of 10 pictures: channels 0 to 5 know the label, 6 to 17 the owner, 18 to 29 the content."""
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(40), 10)
    labels, content = rng.integers(0, 2, 400), rng.integers(0, 20, 400)
    x = rng.normal(size=(400, WIDTH))
    x[:, :6] += 2 * labels[:, None]
    x[:, 6:18] += 3 * rng.normal(size=(40, 12))[owners]
    x[:, 18:30] += 3 * rng.normal(size=(20, 12))[content]
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    return Pictures(x, labels, owners, owners, content, owners % 4, PARTS)


@pytest.fixture(scope="module")
def split(pictures: Pictures) -> Split:
    return next(splits(pictures))


def found(ideas: Ideas) -> dict[str, Passed]:
    return dict(ideas)


def only(first: int, last: int) -> np.ndarray:
    chosen = np.zeros(WIDTH, dtype=bool)
    chosen[first:last] = True
    return chosen


def test_a_mask_that_keeps_its_promise_is_measured_to(split: Split) -> None:
    report = judge(channels(split, only(0, 6)), split)
    assert report["density"] == 6 / WIDTH
    assert report["auc"] > 0.98
    assert max(report[f"held_{probe}"] for probe in ("label", "label_neighbours", "label_fresh")) < 0.65
    assert report["held_owner"] > 0.8 > 0.3 > report["passed_owner"]
    assert report["held_content"] > 0.8 > 0.3 > report["passed_content"]


def test_a_mask_that_holds_the_label_back_is_measured_to(split: Split) -> None:
    report = judge(channels(split, only(3, WIDTH)), split)  # more than half passes: the other way of the inner products
    assert min(report[f"held_{probe}"] for probe in ("label", "label_neighbours", "label_fresh")) > 0.9


def test_dual_is_ridge_regression(split: Split) -> None:
    rows, y = split.train, 2.0 * split.pictures.labels[split.train] - 1
    w = split.x[rows].T @ dual(split.gram, rows, split.weight, y, strength=3.0)
    x = split.x[rows].astype(float)
    target = y - split.weight @ y
    wanted = np.linalg.solve((x.T * split.weight) @ x + 3.0 * np.eye(WIDTH), (x.T * split.weight) @ target)
    assert w == pytest.approx(wanted, abs=1e-3)
    assert mask_ideas.weights(split) == pytest.approx(wanted, abs=1e-3)
    a = mask_ideas.dual_by_gradients(split.gram, rows, split.weight, y, strength=3.0)
    assert split.x[rows].T @ a == pytest.approx(wanted, abs=1e-3)


def test_the_label_is_taken_out_by_its_directions(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_ideas, "ERASED", (1, 3))
    for idea in (mask_ideas.null_space, mask_ideas.least_squares_erasure):
        for passed in found(idea(split, 0)).values():
            report = judge(passed, split)
            assert report["auc"] > 0.98
            assert report["held_label"] < 0.75  # of 0.98 or more before
            assert report["held_owner"] > 0.8


def test_owners_directions_hold_the_owner_back(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_ideas, "REMOVED", (12,))
    (passed,) = found(mask_ideas.without_owners(split, 0)).values()
    report = judge(passed, split)
    assert report["held_owner"] > 0.8 > 0.5 > report["passed_owner"]
    assert report["auc"] > 0.98


def test_channels_are_chosen_for_the_label_or_against_the_owner(split: Split) -> None:
    stable = found(mask_ideas.stability(split, 0))["weights that halves of the owners agree on, 10%"]
    assert judge(stable, split)["auc"] > 0.95
    blind = found(mask_ideas.site_blind(split, 0))["channels that tell owners apart least, 50%"]
    assert judge(blind, split)["passed_owner"] < 0.3


@pytest.mark.parametrize("name", [n for n in mask_ideas.IDEAS if n not in ("label's directions", "owners' directions")])
def test_every_idea_splits_the_embedding_in_two(split: Split, name: str) -> None:
    make, _ = mask_ideas.IDEAS[name]
    for passed in found(make(split, 0)).values():
        assert 0 < passed.density <= 1
        assert passed.held is not None
        hard = name not in ("unmasked", "causal head", "erasure")
        assert not hard or passed.through + passed.held == pytest.approx(split.gram, abs=0.05)


def test_seeds_and_folds_are_averaged(pictures: Pictures) -> None:
    rows = dict(measure(list(splits(pictures)), "by lot"))
    row = rows["channels by lot, 50%"]
    assert row["seeds"] == 3
    assert len(row["auc_by_fold"]) == 4
    assert row["auc"] == pytest.approx(np.mean(row["auc_by_fold"]))


def test_best_and_centre() -> None:
    assert best(np.array([3.0, 1.0, 2.0, 0.0]), 0.5).tolist() == [True, False, True, False]
    x = np.random.default_rng(0).normal(size=(6, 3))
    rows, weight = np.array([0, 2, 3]), np.array([0.5, 0.25, 0.25])
    moved = x - weight @ x[rows]
    assert centre(x @ x.T, rows, weight) == pytest.approx(moved @ moved.T)
