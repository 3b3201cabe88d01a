"""The verdict card: words before numbers, never more certain than the score, everything else escaped."""

import dataclasses
import re
from typing import Any

import pytest

from causalclip.calibration import Calibration
from causalclip.detector import Detection
from causalclip.evidence.cautions import Caution
from causalclip.evidence.headline import conclude_all
from causalclip.evidence.stability import ReencodedAnswer, Stability
from causalclip.provenance.reading import Provenance, read_provenance
from causalclip.report import card as cards
from causalclip.report.card import MEANING, UNCHECKED, failure, looking, queued
from tests.makers.detectors import tiny_detector
from tests.makers.metadata_files import png_texts
from tests.makers.pictures import encode, photo

SILENT = read_provenance(encode(photo(), "PNG"), "PNG")
CONFESSING = read_provenance(png_texts(("parameters", "a cat\nSteps: 20, Sampler: Euler, Seed: 1")), "PNG")


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(64, 64))


def verdict(detection: Detection, *given: Any, claims: Provenance = SILENT, **options: Any) -> str:
    """The card of a picture whose file says nothing, or what is given."""
    stability = options.get("stability")
    headline = conclude_all(claims, stability.final_band if stability else detection.band, stability)
    return cards.verdict(headline, detection, *given, **options)


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
    assert "At or above 0.88 the pixels' answer is likely generated" in words
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
    for card in (looking(), failure("a", "b"), html):
        (spoken,) = re.findall(r"data-say='(.+?)'", card)
        assert len(spoken) < 250  # one sentence or two, not the whole card


# Stability, cautions and claims beside the verdict ------------------------------------------------


def stable(detection: Detection, *, flipped: bool) -> Stability:
    row = ReencodedAnswer("JPEG 70", 0.4, -0.4, "inconclusive", mild=True, flips=flipped)
    final = "inconclusive" if flipped else detection.band
    p, low, high = detection.probability, detection.low, detection.high
    return Stability(p, detection.band, final, low, high, 0.5, (row,), False, 0.1)


def test_an_answer_that_does_not_survive_is_inconclusive_and_says_why(detection: Detection) -> None:
    sure = scored(detection, 0.9)
    first, held, lost = (
        verdict(sure, stability=s) for s in (None, stable(sure, flipped=False), stable(sure, flipped=True))
    )
    assert "▲</span>Likely generated</h2>" in first
    assert UNCHECKED in first
    assert "Likely generated</h2>" in held
    assert UNCHECKED not in held
    assert "Survives re-encoding? Only just: another answer for 1 of the 1 copies that count" in text(held)
    assert "Inconclusive</h2>" in lost
    assert "cc-card cc-inconclusive" in lost
    assert "saved as JPEG of quality 70" in text(lost)
    assert "As it is, it would be likely generated" in text(lost)
    assert MEANING["likely generated"] not in text(lost)
    assert "cc-here'>likely generated" in held
    assert "cc-here'>inconclusive" in lost  # on the scale, too
    assert "cc-here'>likely generated" not in lost
    assert "aria-label='Score 0.90: inconclusive." in lost


def test_what_the_file_says_of_itself_is_the_headline_and_the_score_the_second_line(detection: Detection) -> None:
    low = scored(detection, 0.02)
    card, silent = verdict(low, claims=CONFESSING), verdict(low)
    assert "The file says it was generated</h2>" in card
    assert "cc-card cc-generated" in card
    words = text(card)
    assert words.index("Claimed by the file") < words.index("Seen in the pixels") < words.index("score 0.02")
    assert "They do not agree." in words
    assert MEANING["likely not generated"] not in words  # the card does not argue with itself
    assert "Likely not generated</h2>" in silent
    assert "Do they agree?" not in silent
    assert "says nothing about how the picture was made" in silent
    for waits in (
        looking("PNG, 3 kB", headline=conclude_all(CONFESSING, None)),
        queued(2, headline=conclude_all(CONFESSING, None)),
    ):
        assert "The file says it was generated</h2>" in waits  # at once, before the pixels are looked at
    assert "Looking at the picture</h2>" in looking(headline=conclude_all(SILENT, None))


def test_cautions_stand_beside_the_answer(detection: Detection) -> None:
    drawn = verdict(detection, cautions=(Caution("small", "Too <small>."), Caution("dark", "Too dark.")))
    assert "Too &lt;small&gt;." in drawn
    assert "Too dark." in drawn
    assert "Be careful with this one" not in verdict(detection)
