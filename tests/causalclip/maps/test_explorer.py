"""The mask explorer: contributions add up to the logit, removal is exact, a channel's map is its own."""

import re
from typing import Any

import numpy as np
import pytest

from causalclip.calibration import sigmoid
from causalclip.detector import Detection, Detector
from causalclip.maps import explorer
from tests.makers.detectors import tiny_detector
from ui.explore import words as explorer_view


@pytest.fixture(scope="module")
def detector() -> Detector:
    return tiny_detector()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


@pytest.fixture(scope="module")
def detection(detector: Detector, pixels: np.ndarray) -> Detection:
    return detector.predict(pixels)


def test_channels_and_the_rest_are_the_logit(detection: Detection) -> None:
    added = explorer.contributions(detection)
    assert added.shape == (sum(width for _, width in detection.parts),)
    assert added.sum() + explorer.offset(detection) == pytest.approx(detection.logit, abs=1e-5)


def test_the_strongest_come_first_under_their_parts_name(detection: Detection) -> None:
    top, added = explorer.top_channels(detection, count=5), explorer.contributions(detection)
    sizes = [abs(channel.contribution) for channel in top]
    assert sizes == sorted(np.abs(added))[:-6:-1]
    starts = {"CLS token, layer 1": 0, "patch mean, layer 2": 48, "CLIP embedding": 96}
    assert all(starts[channel.part] + channel.place == channel.index for channel in top)


def test_removal_against_a_head_without_those_channels(detection: Detection) -> None:
    """By hand: the first k of the order set to nothing, the sum formed anew."""
    added = explorer.contributions(detection)
    for order in ("push", "mask"):
        first, curve = explorer.removal_order(detection, order), explorer.remove(detection, order)
        for k in (0, 3, len(added)):
            expected = sigmoid(float(np.delete(added, first[:k]).sum() + explorer.offset(detection)))
            assert curve.ordered[list(curve.counts).index(k)] == pytest.approx(expected, abs=1e-6)
            assert explorer.without(detection, order, k)[0] == pytest.approx(expected, abs=1e-6)
    mask = explorer.mean_mask(detection)[explorer.removal_order(detection, "mask")]
    assert (np.diff(mask) <= 0).all()


def test_pushing_channels_matter_more_than_random_ones(detection: Detection) -> None:
    curve = explorer.remove(detection, "push")
    change = np.abs(curve.ordered - detection.probability)[1:20].mean()
    assert change > 2 * np.abs(curve.drawn - detection.probability)[:, 1:20].mean()
    assert curve.drawn.shape == (explorer.DRAWS, len(curve.counts))
    assert np.allclose(curve.drawn[:, -1], curve.ordered[-1])  # all removed is all removed
    assert np.array_equal(curve.drawn, explorer.remove(detection, "push").drawn)  # seeded


def test_a_channels_own_map_adds_up_to_its_contribution(detector: Detector, pixels: np.ndarray, detection: Any) -> None:
    for channel in explorer.top_channels(detection, count=3):
        views = detector.explain_channel(pixels, channel.index)
        total = sum(float(v.causal.sum()) + v.rest for v in views)
        assert total == pytest.approx(channel.contribution, abs=1e-5)
        for alone, whole in zip(views, detection.views, strict=True):
            assert alone.channels[channel.index] == pytest.approx(whole.channels[channel.index], abs=1e-6)
            assert np.count_nonzero(alone.channels) <= 1
            assert alone.bias == 0
    with pytest.raises(IndexError):
        detector.explain_channel(pixels, 100_000)


def test_difference_is_causal_minus_non_causal(detection: Detection) -> None:
    causal, non_causal, difference = (
        explorer.shown(detection, which).views[0].causal for which in ("causal", "non_causal", "difference")
    )
    assert np.array_equal(non_causal, detection.views[0].non_causal)
    assert np.allclose(causal - non_causal, difference)


def test_the_arrays_hold_all_that_is_drawn_and_explain_themselves(detection: Detection) -> None:
    """Every array is named in the readme, and each of the sums that it gives is what it says."""
    held = explorer.arrays(detection)
    assert np.allclose(held["map_difference"], held["map_causal"] - held["map_non_causal"], atol=1e-6)
    assert not any(array.dtype == object for array in held.values())  # loads without pickles
    readme = str(held["readme"])
    for name in held.keys() - {"readme"}:
        assert re.search(rf"^(.*[,.:] )?{name}\b", readme, re.MULTILINE), name
    sums = re.findall(r"^    (view.+)$", readme, re.MULTILINE)
    assert len(sums) == 2
    for line in sums:
        assert eval(line, {}, dict(held)) == pytest.approx(float(held["logit"]), abs=1e-4)
    said = dict(re.findall(r"(tied_to_no_place|offset): (.+?)\. ", readme))
    assert said.keys() == {"tied_to_no_place", "offset"}
    for name, line in said.items():
        assert eval(line, {}, dict(held)) == pytest.approx(float(held[name]), abs=1e-4)


def test_the_table_of_channels_adds_up(detection: Detection) -> None:
    cells = re.findall(r"<td>(?:<b>)?([+\N{MINUS SIGN}][\d.]+)(?:</b>)?</td></tr>", explorer_view.channels(detection))
    shown = [float(cell.replace("\N{MINUS SIGN}", "-")) for cell in cells]
    assert len(shown) == 12 + 3
    assert sum(shown[:-1]) == pytest.approx(shown[-1], abs=0.02)  # rounded
    assert shown[-1] == pytest.approx(detection.logit, abs=0.005)


def test_the_removal_curve_follows_the_slider(detection: Detection) -> None:
    last = explorer.without(detection, "push", 120)[0]
    assert f"all 120 removed: {last:.2f}" in explorer_view.removal(detection, "push", 0)
    assert "Without the 7 channels" in explorer_view.removal(detection, "push", 7)
    assert "Without the 120 channels" in explorer_view.removal(detection, "mask", 10_000)
