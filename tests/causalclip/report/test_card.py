"""The verdict card: words before numbers, never more certain than the score, everything else escaped."""

import dataclasses
import re

import pytest

from causalclip.calibration import Calibration
from causalclip.detector import Detection
from causalclip.examine.cautions import Caution
from causalclip.examine.stability import Delivered, Stability
from causalclip.report.card import MEANING, UNCHECKED, failure, looking, verdict, waiting
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(64, 64))


def scored(detection: Detection, probability: float, low: float = 0.3, high: float = 0.7) -> Detection:
    band = Calibration(low=low, high=high).band(probability)
    return dataclasses.replace(detection, probability=probability, band=band, low=low, high=high)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("probability", [0.0, 0.29, 0.5, 0.71, 1.0])
def test_words_come_before_numbers(detection: Detection, probability: float) -> None:
    card = scored(detection, probability)
    words = text(verdict(card))
    first_number = re.search(r"\d", words)
    assert first_number
    before = words[: first_number.start()]
    assert card.band.capitalize() in before
    assert MEANING[card.band] in before
    assert "%" not in words


def test_thresholds_are_shown_and_both_sides_are_named(detection: Detection) -> None:
    words = text(verdict(scored(detection, 0.5, low=0.123, high=0.877)))
    assert "At or above 0.88 the answer is likely generated" in words
    assert "at or below 0.12 likely not generated" in words
    assert "can be wrong" in words


@pytest.mark.parametrize(("probability", "shown"), [(0.0, "under 0.01"), (1.0, "over 0.99"), (0.999, "over 0.99")])
def test_no_score_is_a_certainty(detection: Detection, probability: float, shown: str) -> None:
    assert f"score {shown}" in text(verdict(scored(detection, probability)))


@pytest.mark.parametrize(
    ("probability", "low", "high"), [(0.6996, 0.3, 0.7), (0.7004, 0.3, 0.7004), (0.301, 0.3, 0.7), (0.29996, 0.3, 0.7)]
)
def test_rounding_never_contradicts_the_band(detection: Detection, probability: float, low: float, high: float) -> None:
    card = scored(detection, probability, low, high)
    label = re.search(r"aria-label='Score ([\d.]+): (.+?)\. Thresholds ([\d.]+) and ([\d.]+),", verdict(card))
    assert label
    score, band, below, above = label.groups()
    assert band == card.band
    assert Calibration(low=float(below), high=float(above)).band(float(score)) == band


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.99, 1.0])
def test_the_pointer_is_in_the_zone_of_the_band(detection: Detection, probability: float) -> None:
    card = scored(detection, probability)
    at = float(re.search(r"<i style='left:([\d.]+)%'", verdict(card)).group(1))
    zone = min(int(at // 33.34), 2)
    assert ["likely not generated", "inconclusive", "likely generated"][zone] == card.band


def test_notes_and_errors_are_escaped_and_announced(detection: Detection) -> None:
    html = verdict(detection, ["<script>x</script>", "It was turned."])
    assert "<script>" not in html
    assert html.count("<li>") == 2
    assert "<img" not in failure("<img src=x>", "a & b")
    assert "a &amp; b" in failure("title", "a & b")
    for card in (waiting(), looking(), failure("a", "b"), html):
        assert "role='status'" in card
        assert "aria-live='polite'" in card


# Stability, cautions and claims beside the verdict ------------------------------------------------


def stable(detection: Detection, *, flipped: bool) -> Stability:
    row = Delivered("JPEG 70", 0.4, -0.4, "inconclusive", mild=True, flips=flipped)
    final = "inconclusive" if flipped else detection.band
    p, low, high = detection.probability, detection.low, detection.high
    return Stability(p, detection.band, final, low, high, 0.5, (row,), False, 0.1)


def test_an_answer_that_does_not_survive_is_inconclusive_and_says_why(detection: Detection) -> None:
    sure = scored(detection, 0.9)
    first, held, lost = (
        verdict(sure, stability=s) for s in (None, stable(sure, flipped=False), stable(sure, flipped=True))
    )
    assert "<h2><span class='cc-icon' aria-hidden='true'>▲</span>Likely generated</h2>" in first
    assert UNCHECKED in first
    assert "Likely generated</h2>" in held
    assert UNCHECKED not in held
    assert "Inconclusive</h2>" in lost
    assert "cc-card cc-inconclusive" in lost
    assert "saved as JPEG of quality 70" in text(lost)
    assert "As it is, it would be likely generated" in text(lost)
    assert MEANING["likely generated"] not in text(lost)


def test_cautions_and_claims_stand_beside_the_verdict(detection: Detection) -> None:
    cautions = (Caution("small", "Too <small>."), Caution("dark", "Too dark."))
    drawn = verdict(detection, cautions=cautions, tension="The file says & the traces do not.")
    assert "Too &lt;small&gt;." in drawn
    assert "Too dark." in drawn
    assert "The file says &amp; the traces do not." in drawn
    assert "Be careful with this one" not in verdict(detection)
