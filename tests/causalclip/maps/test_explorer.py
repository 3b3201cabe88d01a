"""The mask explorer: contributions add up to the logit, removal is exact, a channel's map is its own."""

import re
from typing import Any

import numpy as np
import pytest

from causalclip.calibration import sigmoid
from causalclip.detector import Detection, Detector
from causalclip.maps import explorer
from causalclip.maps.overlay import draw_map, prepare
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


def rest(detection: Detection) -> float:
    return detection.rest + sum(view.bias for view in detection.views)


def numbers(html: str) -> list[float]:
    cells = re.findall(r"<td>(?:<b>)?([+\N{MINUS SIGN}][\d.]+)(?:</b>)?</td></tr>", html)
    return [float(cell.replace("\N{MINUS SIGN}", "-")) for cell in cells]


def test_channels_and_the_rest_are_the_logit(detection: Detection) -> None:
    added = explorer.contributions(detection)
    assert added.shape == (sum(width for _, width in detection.parts),)
    assert added.sum() + rest(detection) == pytest.approx(detection.logit, abs=1e-5)


def test_the_table_adds_up(detection: Detection) -> None:
    shown = numbers(explorer_view.channels(detection))
    assert len(shown) == 12 + 3
    assert sum(shown[:-1]) == pytest.approx(shown[-1], abs=0.02)  # rounded
    assert shown[-1] == pytest.approx(detection.logit, abs=0.005)


def test_the_strongest_come_first_under_their_parts_name(detection: Detection) -> None:
    top = explorer.top_channels(detection, count=5)
    sizes = [abs(channel.contribution) for channel in top]
    assert sizes == sorted(sizes, reverse=True)
    added = explorer.contributions(detection)
    assert sizes[0] == abs(added).max()
    starts = {"CLS token, layer 1": 0, "patch mean, layer 2": 48, "CLIP embedding": 96}
    assert all(starts[channel.part] + channel.place == channel.index for channel in top)


def test_removal_against_a_head_without_those_channels(detection: Detection) -> None:
    """By hand: the first k of the order set to nothing, the sum formed anew."""
    added = explorer.contributions(detection)
    for order in ("push", "mask"):
        first = explorer.removal_order(detection, order)
        curve = explorer.remove(detection, order)
        for k in (0, 3, len(added)):
            kept = np.delete(added, first[:k])
            expected = sigmoid(float(kept.sum() + rest(detection)))
            assert curve.ordered[list(curve.counts).index(k)] == pytest.approx(expected, abs=1e-6)
            assert explorer.without(detection, order, k)[0] == pytest.approx(expected, abs=1e-6)


def test_pushing_channels_matter_more_than_random_ones(detection: Detection) -> None:
    curve = explorer.remove(detection, "push")
    change = np.abs(curve.ordered - detection.probability)[1:20].mean()
    assert change > 2 * np.abs(curve.drawn - detection.probability)[:, 1:20].mean()
    assert curve.drawn.shape == (explorer.DRAWS, len(curve.counts))
    assert np.allclose(curve.drawn[:, -1], curve.ordered[-1])  # all removed is all removed
    assert np.array_equal(curve.drawn, explorer.remove(detection, "push").drawn)  # seeded


def test_the_masks_order_is_by_the_mask(detection: Detection) -> None:
    mask = explorer.mean_mask(detection)[explorer.removal_order(detection, "mask")]
    assert (np.diff(mask) <= 0).all()


def test_a_channels_own_map_adds_up_to_its_contribution(detector: Detector, pixels: np.ndarray, detection: Any) -> None:
    for channel in explorer.top_channels(detection, count=3):
        views = detector.explain_channel(pixels, channel.index)
        total = sum(float(v.causal.sum()) + v.rest for v in views)
        assert total == pytest.approx(channel.contribution, abs=1e-5)
        for alone, whole in zip(views, detection.views, strict=True):
            assert alone.channels[channel.index] == pytest.approx(whole.channels[channel.index], abs=1e-6)
            assert np.count_nonzero(alone.channels) <= 1
            assert alone.bias == 0


def test_there_is_no_such_channel(detector: Detector, pixels: np.ndarray) -> None:
    with pytest.raises(IndexError):
        detector.explain_channel(pixels, 100_000)


def test_difference_is_causal_minus_non_causal_on_the_same_scale(pixels: np.ndarray, detection: Detection) -> None:
    views = [explorer.shown(detection, which).views[0].causal for which in ("causal", "non_causal", "difference")]
    assert np.array_equal(views[1], detection.views[0].non_causal)
    assert np.allclose(views[0] - views[1], views[2])
    drawn = [draw_map(prepare(pixels, explorer.shown(detection, w))) for w in ("causal", "difference")]
    bars = [np.asarray(d)[-40:] for d in drawn]
    assert np.array_equal(bars[0], bars[1])


def test_arrays_hold_all_that_is_drawn(detection: Detection) -> None:
    held = explorer.arrays(detection)
    assert np.allclose(held["map_difference"], held["map_causal"] - held["map_non_causal"], atol=1e-6)
    total = held["view_channels"].sum() + held["view_bias"].sum() + held["rest"]
    assert float(total) == pytest.approx(float(held["logit"]), abs=1e-4)
    patches = held["view_causal"].sum() + held["view_rest"].sum() + held["rest"]
    assert float(patches) == pytest.approx(float(held["logit"]), abs=1e-4)
    assert not any(array.dtype == object for array in held.values())  # loads without pickles


def test_the_arrays_explain_themselves(detection: Detection) -> None:
    """Every array is named in the readme, and each of the sums that it gives is what it says."""
    held = explorer.arrays(detection)
    readme = str(held["readme"])
    for name in held.keys() - {"readme"}:
        assert re.search(rf"^(.*[,.:] )?{name}\b", readme, re.MULTILINE), name
    sums = re.findall(r"^    (view.+)$", readme, re.MULTILINE)
    assert len(sums) == 2
    for line in sums:
        assert eval(line, {}, dict(held)) == pytest.approx(float(held["logit"]), abs=1e-4)
    said = dict(re.findall(r"(tied_to_no_place|offset): (.+?)\. ", readme))
    for name, line in said.items():
        assert eval(line, {}, dict(held)) == pytest.approx(float(held[name]), abs=1e-4)
    assert said.keys() == {"tied_to_no_place", "offset"}


def test_the_page_has_the_same_names_for_the_same_sums(detection: Detection) -> None:
    drawn = explorer_view.channels(detection)
    held = explorer.arrays(detection)
    for name, words in (("offset", "offset: what belongs to no channel"), ("tied_to_no_place", "is tied to no place")):
        value = f"{float(held[name]):+.2f}".replace("-", "\N{MINUS SIGN}")
        assert re.search(re.escape(words) + ".*?" + re.escape(value), drawn) or f"{value} {words}" in drawn


def test_the_curve_ends_where_all_are_removed(detection: Detection) -> None:
    drawn = explorer_view.removal(detection, "push", 0)
    count, last = len(explorer.contributions(detection)), explorer.without(detection, "push", 120)[0]
    assert count == 120
    assert ">all</text>" in drawn
    assert f"all 120 removed: {last:.2f}" in drawn
    assert drawn.count("How to read it") == 1


def test_words_follow_the_slider(detection: Detection) -> None:
    none, some = (explorer_view.removal(detection, "push", k) for k in (0, 7))
    assert "No channel is removed" in none
    assert "Without the 7 channels that push hardest for the answer" in some
    assert "on average of 20 draws" in some
    beyond = explorer_view.removal(detection, "mask", 10_000)
    assert f"Without the {len(explorer.contributions(detection))} channels that the mask lets through most" in beyond
