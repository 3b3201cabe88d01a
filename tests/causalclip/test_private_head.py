"""The correction learned from a reader's own pictures: its algebra, and when it is used."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from causalclip.calibration import sigmoid
from causalclip.detector import Detector
from causalclip.private_head import (
    AMPLITUDE,
    MIN_BETTER_SHARE,
    MIN_PICTURES_PER_CLASS,
    RIDGE,
    enough,
    fit,
    leave_one_out,
    leave_pairs_out,
    lift,
    re_encode,
    try_correction,
)
from causalclip.reference import BadProfile, Profile, hold, parse_profile
from causalclip.reference_set import Learned, Lesson, ReferencePicture, learn, make_profile
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import coarse_noise, photo

WIDTH = 50


def source(
    real: int, generated: int, *, apart: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, shipped log-odds that know little, and labels; the classes are `apart` along one
    channel."""
    rng = np.random.default_rng(seed)
    labels = np.array([0] * real + [1] * generated)
    x = rng.normal(size=(len(labels), WIDTH))
    x[:, 0] += apart * labels
    return x, 0.3 * labels + rng.normal(size=len(labels)), labels


def test_it_is_a_weighted_ridge_on_the_residual() -> None:
    """Against scikit-learn, which does not penalise the offset either."""
    x, shipped, labels = source(12, 20, apart=2)
    found = fit(x, shipped, labels)
    target = AMPLITUDE * (2 * labels - 1) - shipped
    weight = len(labels) / 2 / np.where(labels == 1, 20, 12)
    ridge = Ridge(alpha=RIDGE * WIDTH).fit(x, target, sample_weight=weight)
    assert np.allclose(found.direction, ridge.coef_)
    assert np.isclose(found.offset, ridge.intercept_)


def judged_without(left_out: list[int], real: int, generated: int) -> tuple[np.ndarray, ...]:
    """The corrected log-odds of pictures that scikit-learn's ridge did not learn from, and all
    arguments of `fit`."""
    x, shipped, labels = source(real, generated, apart=2)
    target = AMPLITUDE * (2 * labels - 1) - shipped
    weight = len(labels) / 2 / np.where(labels == 1, generated, real)
    others = np.setdiff1d(np.arange(len(x)), left_out)
    ridge = Ridge(alpha=RIDGE * WIDTH)
    ridge.fit(x[others], target[others], sample_weight=weight[others])
    return shipped[left_out] + ridge.predict(x[left_out]), x, shipped, labels


def test_a_picture_is_judged_without_itself() -> None:
    expected, *own = judged_without([5], 12, 20)
    assert np.isclose(leave_one_out(*own)[5], expected[0])


def test_a_pair_is_judged_without_both() -> None:
    expected, *own = judged_without([3, 12 + 7], 12, 20)
    margins = leave_pairs_out(*own)
    assert margins.shape == (20, 12)
    assert np.isclose(margins[7, 3], expected[1] - expected[0])


def test_it_is_used_where_it_helps_and_not_where_there_is_nothing_to_learn() -> None:
    helped = try_correction(*source(15, 15, apart=12))
    assert helped.helps
    assert helped.corrected > helped.shipped + 0.1
    assert helped.gain[0] > 0
    costs = []
    for seed in range(20):
        own = source(15, 15, apart=0, seed=seed)
        if not try_correction(*own).helps:
            costs.append(0.0)
            continue
        x, shipped, labels = source(500, 500, apart=0, seed=100 + seed)
        corrected = shipped + x @ fit(*own).direction
        costs.append(roc_auc_score(labels, shipped) - roc_auc_score(labels, corrected))
    assert np.mean(np.equal(costs, 0)) >= 0.7
    assert np.mean(costs) <= 0.01


def test_what_is_right_already_may_still_be_told_apart_more_surely() -> None:
    """Ten pictures of each class of which AUC is 1 without it: only their margins can tell."""
    x, _shipped, labels = source(10, 10, apart=12)
    trial = try_correction(x, np.where(labels == 1, 0.1, -0.1), labels)
    assert trial.shipped == 1
    assert trial.helps


def test_the_aucs_are_those_of_scikit_learn() -> None:
    x, shipped, labels = source(12, 15, apart=3)
    trial = try_correction(x, shipped, labels)
    margins = leave_pairs_out(x, shipped, labels)
    assert np.isclose(trial.shipped, roc_auc_score(labels, shipped))
    assert np.isclose(trial.corrected, np.mean(margins > 0))
    assert trial.gain[0] <= trial.corrected - trial.shipped <= trial.gain[2]


def test_a_source_whose_pictures_all_score_high_keeps_its_generated_ones_there() -> None:
    """The ridge alone puts both classes at the same distance from 0."""
    x, shipped, labels = source(15, 15, apart=12)
    shipped = shipped + 4 * labels + 1
    real, generated = labels == 0, labels == 1
    alone = leave_one_out(x, shipped, labels)
    assert alone[generated].mean() < shipped[generated].mean() - 0.3
    trial = try_correction(x, shipped, labels)
    assert np.isclose(trial.scores[generated].mean(), shipped[generated].mean())
    assert trial.scores[real].mean() < shipped[real].mean() - 0.3


@pytest.mark.parametrize(
    ("fall", "highest_before", "highest_after", "raised_by"),
    [(1.0, 3.0, 1.0, 1.0), (1.0, 3.0, 2.6, 0.4), (1.0, 0.0, 2.0, 0.0), (-1.0, 3.0, 0.0, 0.0)],
)
def test_it_is_raised_as_far_as_the_highest_real_picture_allows(
    fall: float, highest_before: float, highest_after: float, raised_by: float
) -> None:
    labels = np.array([0, 0, 1, 1])
    shipped = np.array([-1, highest_before, 2, 4])
    corrected = np.array([-3, highest_after, 3 - fall, 3 - fall])
    assert np.isclose(lift(shipped, corrected, labels), raised_by)


@pytest.mark.parametrize(
    ("real", "generated", "is_enough"),
    [
        (MIN_PICTURES_PER_CLASS, MIN_PICTURES_PER_CLASS, True),
        (30, MIN_PICTURES_PER_CLASS - 1, False),
        (0, 30, False),
    ],
)
def test_both_classes_are_needed(real: int, generated: int, is_enough: bool) -> None:
    assert enough([0] * real + [1] * generated) == is_enough


def judged(x: np.ndarray, logits: np.ndarray, **fields: Any) -> list[ReferencePicture]:
    """Pictures with lessons."""
    usual: dict[str, Any] = {"camera": "", "day": "", "format": "JPEG", "side": 900} | fields
    return [
        ReferencePicture(
            name=f"{i}",
            score=sigmoid(float(logit)),
            hash=int(np.random.default_rng(i).integers(2**62)),
            cautions=(),
            thumbnail="",
            lesson=Lesson(features.astype(np.float16), float(logit)),
            **usual,
        )
        for i, (features, logit) in enumerate(zip(x, logits, strict=True))
    ]


def taught(detector: Detector, *, apart: float = 20, known: float = 0) -> tuple[Profile, Learned]:
    """What 12 real and 12 generated pictures teach, and the profile of it.

    apart: by how much ten channels differ. known: by how much the shipped log-odds do.
    """
    rng = np.random.default_rng(0)
    width = sum(len(head.shift) for head in detector.heads.values())
    real, generated = rng.normal(size=(2, 12, width))
    generated[:, :10] += apart
    logits = rng.normal(size=(2, 12)) + np.array([[0], [known]])
    pictures = judged(real, logits[0]), judged(generated, logits[1])
    learned = learn(*pictures, detector)
    assert learned is not None
    profile = make_profile(
        pictures[0], detector, at_most=0.05, generated=pictures[1], learned=learned
    )
    return profile, learned


def test_the_score_the_map_and_the_channels_stay_one_sum() -> None:
    detector, pixels = tiny_detector(hidden=8), photo(300, 240)
    profile, _learned = taught(detector)
    assert profile.private is not None
    logit, x = detector.represent(pixels)
    shipped = detector.predict(pixels)
    assert np.isclose(logit, shipped.logit, atol=1e-4)
    directions = [
        profile.private.direction(kind, len(detector.heads[kind].shift)) * share**0.5
        for kind, share in detector.config.share.items()
    ]
    expected = logit + x @ np.concatenate(directions) + profile.private.offset
    found = hold(detector, profile).predict(pixels)
    assert np.isclose(found.logit, expected, atol=1e-3)
    assert np.isclose(found.logit - found.corrected, shipped.logit, atol=1e-4)
    by_place = sum(view.causal.sum() + view.rest for view in found.views) + found.rest
    by_channel = sum(view.channels.sum() + view.bias for view in found.views) + found.rest
    assert np.allclose([by_place, by_channel], found.logit, atol=1e-3)
    assert np.isclose(hold(detector, profile).represent(pixels)[0], logit, atol=1e-4)


def test_any_correction_is_in_score_and_map() -> None:
    detector, pixels = tiny_detector(hidden=8), photo(300, 240)
    shipped = detector.predict(pixels)
    detector.correction = SimpleNamespace(
        correct=lambda _type, x: torch.ones(len(x), x.shape[1] + 1)
    )
    found = detector.predict(pixels)
    assert abs(found.corrected) > 0.1
    by_place = sum(view.causal.sum() + view.rest for view in found.views) + found.rest
    assert np.allclose([by_place, found.logit], shipped.logit + found.corrected, atol=1e-3)


def test_a_profile_keeps_it_as_numbers_and_is_never_more_lenient() -> None:
    detector = tiny_detector(hidden=8)
    profile, learned = taught(detector)
    assert parse_profile(profile.as_json().encode()) == profile
    highest = max(one.score for one in learned.real)
    held = hold(detector, profile)
    assert held.config.calibration.high > highest
    assert held.config.calibration.high >= detector.config.calibration.high
    found = held.predict(photo(300, 240))
    assert found.measured_as is None
    assert found.standing is not None
    assert "Judged with your 24 pictures" in found.standing.sentence


@pytest.mark.parametrize(
    "change",
    [{"offset": "much"}, {"directions": {"whole": "AAAA"}}, {"directions": []}, {"real": -1}],
)
def test_a_private_head_that_is_none_is_refused(change: dict[str, Any]) -> None:
    detector = tiny_detector(hidden=8)
    raw = json.loads(taught(detector)[0].as_json())
    raw["private"] |= change
    with pytest.raises(BadProfile):
        hold(detector, parse_profile(json.dumps(raw).encode()))


def test_what_does_not_help_is_not_used_and_that_is_said() -> None:
    profile, learned = taught(tiny_detector(hidden=8), apart=0, known=6)
    assert profile.private is None
    assert "is not used" in learned.sentences()[0]


def test_nearly_sure_enough_is_not_said_to_be_enough() -> None:
    _profile, learned = taught(tiny_detector(hidden=8), apart=0, known=6)
    short = replace(learned, trial=replace(learned.trial, sure=MIN_BETTER_SHARE - 0.001))
    assert "is 89% sure, and it is used from 90% on" in short.sentences()[0]


def test_nothing_is_said_to_be_certain() -> None:
    _profile, learned = taught(tiny_detector(hidden=8))
    certain = replace(learned, trial=replace(learned.trial, sure=1.0))
    assert "is 99% sure" in certain.sentences()[0]


def test_it_says_what_else_tells_the_two_kinds_apart() -> None:
    detector = tiny_detector(hidden=8)
    width = sum(len(head.shift) for head in detector.heads.values())
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(2, 12, width))
    logits = rng.normal(size=12)
    learned = learn(
        judged(real, logits), judged(generated, logits, side=1024, format="PNG"), detector
    )
    assert learned is not None
    assert len(learned.warnings) == 2
    assert learn(judged(real[:5], logits[:5]), judged(generated, logits), detector) is None


def test_it_says_where_the_two_kinds_show_other_things() -> None:
    """Made groups: the same scenes in both, then other scenes in one of them."""
    detector = tiny_detector(hidden=8)
    scenes = [coarse_noise(seed) for seed in range(4)]
    flat = [np.full((120, 160, 3), level, np.uint8) for level in (20, 40, 60, 80)]
    rng = np.random.default_rng(0)

    def seen(pictures: list[np.ndarray]) -> list[ReferencePicture]:
        noisy = [
            (picture + rng.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)
            for picture in pictures * 3
        ]
        return judged(
            np.array([detector.represent(one)[1] for one in noisy]), rng.normal(size=len(noisy))
        )

    same = learn(seen(scenes), seen(scenes), detector)
    other = learn(seen(scenes), seen(flat), detector)
    assert same is not None
    assert same.warnings == ()
    assert other is not None
    assert len(other.warnings) == 1
    assert "show other things" in other.warnings[0]


def test_all_are_learned_from_in_one_size_and_format() -> None:
    found = re_encode(photo(2000, 1500))
    assert max(found.shape) == 1024
    assert found.shape[2] == 3
