"""The detector: every share adds up to the logit, the same picture gets the same answer, files keep everything."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from causalclip.calibration import sigmoid
from causalclip.clip.runtime import Runtime
from causalclip.clip.weights import WeightsMissing
from causalclip.detector import Detection, Detector
from tests.makers.detectors import saved_detector, tiny_detector
from tests.makers.pictures import photo

SIZES = [(160, 120), (64, 64), (120, 400), (36, 33), (700, 90)]


def added(detection: Detection) -> float:
    """All that the logit is made of, by place."""
    return sum(float(v.causal.sum(dtype=np.float64)) + v.rest for v in detection.views) + detection.rest


@pytest.mark.parametrize("size", SIZES)
def test_patches_or_channels_and_the_rest_are_the_logit(size: tuple[int, int]) -> None:
    detection = tiny_detector().predict(photo(*size))
    assert added(detection) == pytest.approx(detection.logit, abs=1e-4)
    by_channel = sum(float(v.channels.sum(dtype=np.float64)) + v.bias for v in detection.views) + detection.rest
    assert by_channel == pytest.approx(detection.logit, abs=1e-4)


@pytest.mark.parametrize("runtime", ["int8", "int8-avx2", "float32"])
def test_the_shipped_detector_adds_up(runtime: Runtime) -> None:
    """On real weights."""
    detection = Detector.from_pretrained(runtime=runtime).predict(photo(320, 300))
    assert (detection.runtime, detection.summary()["runtime"]) == (runtime, runtime)
    assert added(detection) == pytest.approx(detection.logit, abs=1e-4)
    assert {v.kind for v in detection.views} == {"whole", "window"}
    assert all(v.causal.shape == (14, 14) for v in detection.views)
    assert 0 <= detection.low < detection.high <= 1


def test_non_causal_shares_are_of_what_the_mask_held_back() -> None:
    detector, found = tiny_detector(), []
    for logit in (50.0, -50.0):  # everything passes, then nothing
        for head in detector.heads.values():
            torch.nn.init.zeros_(head.mask.mlp[2].weight)
            torch.nn.init.constant_(head.mask.mlp[2].bias, logit)
        found.append(detector.predict(photo(160, 120)))
    for opened, closed in zip(found[0].views, found[1].views, strict=True):
        assert np.abs(opened.non_causal).max() < 1e-6
        assert np.abs(closed.causal).max() < 1e-6
        assert np.allclose(opened.causal, closed.non_causal, atol=1e-5)


def test_the_same_picture_gets_the_same_answer_and_is_not_changed() -> None:
    detector, pixels = tiny_detector(), photo(160, 120)
    pixels.setflags(write=False)
    first, second = detector.predict(pixels), detector.predict(pixels)
    assert first.logit == second.logit
    assert np.array_equal(first.views[0].causal, second.views[0].causal)
    assert detector.predict(photo(160, 121)).logit != first.logit


def test_judging_many_is_predicting_each_without_the_explanation() -> None:
    detector, pictures = tiny_detector(), [photo(*size) for size in SIZES]
    full = [detector.predict(p) for p in pictures]
    together = detector.judge_all(iter(pictures))
    assert [v.logit for v in together] == pytest.approx([d.logit for d in full], abs=1e-4)
    assert [v.band for v in together] == [d.band for d in full]
    fewer = detector.judge_all(pictures[2:3], squares=1, windows=1)
    assert fewer[0].logit != together[2].logit


@pytest.mark.parametrize("explained", [True, False])
def test_few_views_go_through_the_tower_at_once_and_equal_ones_once(
    explained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, counts = tiny_detector(), list[int]()
    forward = detector.tower.forward

    def counted(pixels: torch.Tensor, **options: Any) -> Any:
        counts.append(len(pixels))
        return forward(pixels, **options)

    monkeypatch.setattr(detector.tower, "forward", counted)
    pictures = [photo(width, 120) for width in (160, 170, 180)]
    views = len(detector.predict(pictures[0]).views)
    if not explained:
        counts.clear()
        once = detector.judge_all(pictures)
        assert detector.judge_all([*pictures, *pictures]) == once * 2
        views *= 6
    assert sum(counts) == views > 4
    assert max(counts) == 4


def test_probability_band_and_thresholds_belong_together() -> None:
    detector, seen = tiny_detector(), set()
    for seed in range(12):
        noise = np.random.default_rng(seed).integers(0, 256, (80, 100, 3), np.uint8)
        detection = detector.predict(noise // (1 + seed % 4))
        assert detection.probability == pytest.approx(sigmoid(detection.logit))
        assert detection.band == detector.config.calibration.band(detection.probability)
        assert (detection.low, detection.high) == (0.3, 0.7)
        seen.add(round(detection.probability, 3))
    assert len(seen) > 6


def test_views_count_by_their_kinds_share() -> None:
    detector = tiny_detector()
    detection = detector.predict(photo(160, 120))
    weight = detector.view_weights(list(detection.views))
    for kind, share in detector.config.share.items():
        assert float(sum(weight[i] for i, v in enumerate(detection.views) if v.kind == kind)) == pytest.approx(share)
    small = detector.predict(photo(37, 35))
    assert {v.kind for v in small.views} == {"whole"}
    assert float(detector.view_weights(list(small.views)).sum()) == pytest.approx(1)


def test_save_and_load_keep_everything(tmp_path: Path) -> None:
    detector = saved_detector(tmp_path)
    loaded = Detector.from_pretrained(tmp_path / "model", runtime="float32")
    assert loaded.config == detector.config
    before, after = detector.predict(photo(160, 120)), loaded.predict(photo(160, 120))
    assert after.logit == pytest.approx(before.logit, abs=5e-3)  # the head is stored in half precision
    assert (after.model, after.revision, after.parts) == ("model", before.revision, before.parts)
    loaded.save_pretrained(tmp_path / "again")
    again = Detector.from_pretrained(tmp_path / "again", runtime="float32")
    assert again.predict(photo(160, 120)).logit == after.logit  # and saved once more, nothing is lost


def test_gradients_run_through_pytorch_whatever_judges() -> None:
    detector = Detector.from_pretrained(runtime="int8")
    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0)).requires_grad_()
    detector.differentiable(pixels, until=1).cls[-1].sum().backward()
    assert pixels.grad is not None
    assert float(pixels.grad.abs().max()) > 0
    assert tiny_detector().differentiable.runtime == "float32"


def test_a_missing_detector_or_tower_is_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"config\.json and head\.safetensors"):
        Detector.from_pretrained("nowhere/at/all")
    saved_detector(tmp_path)
    for shard in (tmp_path / "tower").iterdir():
        shard.unlink()
    with pytest.raises(WeightsMissing, match="no CLIP tower"):
        Detector.from_pretrained(tmp_path / "model")


def test_summary_is_plain_numbers() -> None:
    summary = tiny_detector().predict(photo(160, 120)).summary()
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["width"], summary["height"]) == (160, 120)
    assert {"probability", "logit", "band", "low", "high", "model", "revision", "seconds"} <= summary.keys()
