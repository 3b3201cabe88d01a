"""Stability under delivery: which answers flip, and what then is said."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causalclip.calibration import Calibration, sigmoid
from causalclip.detector import Verdict
from causalclip.evidence.stability import MILD, STRONG, check_stability
from causalclip.images.augmentation import REENCODINGS
from causalclip.report.card import stability_panel
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo

OTHER = "another answer for {n} of the 4 copies that count, and for {m} of the 4 that were changed more"
CALIBRATION = Calibration(low=0.2, high=0.8, threshold=0.4)


class Scripted:
    """A detector whose verdict on each delivery of one picture is given, in log-odds."""

    def __init__(self, pixels: np.ndarray, own: float, moves: dict[str, float]) -> None:
        from PIL import Image

        self.config = replace(tiny_detector().config, calibration=CALIBRATION)
        picture = Image.fromarray(pixels)
        self.answers = {
            np.asarray(REENCODINGS[name](picture)).tobytes(): own + moves.get(name, 0.0) for name in (*MILD, *STRONG)
        }
        self.answers[pixels.tobytes()] = own

    def judge(self, pixels: np.ndarray, *, more: float = 0.0) -> Verdict:
        logit = self.answers[pixels.tobytes()] + more
        return Verdict(sigmoid(logit), logit, CALIBRATION.band(sigmoid(logit)))

    def judge_all(self, pictures: Iterable[np.ndarray], *, windows: int, squares: int) -> list[Verdict]:
        return [self.judge(pixels, more=3.0) for pixels in pictures]  # fewer views see something else


def run(own: float, **moves: float) -> Any:
    pixels = photo(160, 120)
    names = {"jpeg90": "JPEG 90", "jpeg70": "JPEG 70", "webp": "WebP 80", "small": "0.5x", "three": "0.75x"}
    fake: Any = Scripted(pixels, own, {names[key]: move for key, move in moves.items()})
    return check_stability(fake, pixels)


def test_an_answer_that_holds() -> None:
    s = run(2.0, jpeg90=-0.3, webp=0.5)
    assert (s.band, s.final_band, s.flips) == ("likely generated", "likely generated", ())
    assert [row.name for row in s.rows] == [*MILD, *STRONG]
    assert s.rows[0].logit == pytest.approx(1.7)
    assert (s.answer, s.words) == ("yes", "Yes")
    assert "stays the same when the picture is saved as JPEG of quality 90" in s.sentence


def test_crossing_the_threshold_under_a_mild_delivery_is_inconclusive() -> None:
    s = run(2.0, jpeg70=-2.5)  # 0.38, below the threshold of 0.4
    assert (s.band, s.final_band, s.flips) == ("likely generated", "inconclusive", ("JPEG 70",))
    assert (s.answer, s.words) == ("no", f"No: {OTHER.format(n=1, m=0)}")
    assert "JPEG of quality 70" in s.sentence
    assert "would be likely generated" in s.sentence
    assert run(2.0, jpeg70=-2.3).final_band == "likely generated"  # 0.43, above it


def test_a_real_detector_agrees_with_itself() -> None:
    detector, pixels = tiny_detector(), photo(200, 150)
    s = check_stability(detector, pixels, detector.predict(pixels))
    alone = check_stability(detector, pixels)
    assert [row.probability for row in s.rows] == pytest.approx([row.probability for row in alone.rows], abs=1e-5)
    assert s.probability == pytest.approx(alone.probability, abs=1e-5)
    assert s.final_band == alone.final_band
    said = json.loads(json.dumps(s.as_dict()))
    assert said["rows"][0]["name"] == "JPEG 90"
    assert (said["answer"], said["words"]) == (s.answer, s.words)


@pytest.mark.parametrize(("width", "skipped"), [(16_383, ()), (16_384, ("WebP 80",))])
def test_a_picture_too_long_for_webp_is_judged_without_it_and_that_is_said(
    width: int, skipped: tuple[str, ...]
) -> None:
    s = check_stability(tiny_detector(), photo(width, 64))
    assert s.skipped == skipped
    assert ("WebP 80" in [row.name for row in s.rows]) == (not skipped)
    assert ("could not be saved as WebP of quality 80: it is too long" in s.sentence) == bool(skipped)
    assert ("too long" in stability_panel(s)) == bool(skipped)
