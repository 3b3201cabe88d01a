"""The verdict card: words before numbers, never more certain than the score, everything else escaped."""

import re
from dataclasses import replace

import pytest

from causalclip.calibration import Calibration
from causalclip.evidence.cautions import Caution
from causalclip.evidence.examination import Examination, examine
from causalclip.evidence.regions import NOT_LOOKED_FOR
from causalclip.evidence.stability import MILD, ReencodedAnswer, Stability
from causalclip.evidence.words import MEANING, NO_ANSWER, NO_ANSWER_TITLE, bar_place
from causalclip.report.card import brief, chips, failure, looking, pixels_panel, verdict
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo

SILENT = encode(photo(64, 64), "PNG")


@pytest.fixture(scope="module")
def x() -> Examination:
    return replace(examine(SILENT, tiny_detector(), stability=False), cautions=(), parts=NOT_LOOKED_FOR)


def scored(x: Examination, probability: float, low: float = 0.3, high: float = 0.7) -> Examination:
    band = Calibration(low=low, high=high).band(probability)
    return replace(x, detection=replace(x.detection, probability=probability, band=band, low=low, high=high))


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("probability", [0.0, 0.29, 0.5, 0.71, 1.0])
def test_words_come_before_numbers(x: Examination, probability: float) -> None:
    x = scored(x, probability)
    words = text(verdict(x))
    first_number = re.search(r"\d", words)
    assert first_number
    before = words[: first_number.start()]
    assert x.band.capitalize() in before
    assert MEANING[x.band] in before
    assert "%" not in words


@pytest.mark.parametrize(
    ("probability", "low", "high"),
    [(0.0, 0.3, 0.7), (0.6996, 0.3, 0.7), (0.7004, 0.3, 0.7004), (0.29996, 0.3, 0.7), (1.0, 0.3, 0.7)],
)
def test_neither_score_nor_pointer_contradicts_the_band(
    x: Examination, probability: float, low: float, high: float
) -> None:
    x = scored(x, probability, low, high)
    card = verdict(x)
    label = re.search(r"aria-label='Score (?:under |over )?([\d.]+): (.+?)\. Thresholds ([\d.]+) and ([\d.]+),", card)
    assert label
    score, band, below, above = label.groups()
    assert band == x.band
    assert Calibration(low=float(below), high=float(above)).band(float(score)) == band
    at = float(re.search(r"cc-point' style='left:([\d.]+)%'", card).group(1))  # type: ignore[union-attr]
    assert at == pytest.approx(bar_place(probability, low, high), abs=0.01)
    third = ("likely not generated", "inconclusive", "likely generated").index(band)
    assert 33.33 * third <= at <= 33.34 * (third + 1)


def test_until_the_copies_are_judged_the_answer_is_only_probable(x: Examination) -> None:
    x = scored(x, 0.9)
    first, last = text(verdict(x, judged=(2, 8))), text(verdict(x))
    assert "Probably likely generated" in first
    assert "testing copies 2 of 8" in first
    assert "Probably" not in last
    assert "cc-provisional" in verdict(x, judged=(0, 8))
    assert "2 of 8" in text(chips(x, judged=(2, 8)))


def test_a_change_by_the_copies_is_explained(x: Examination) -> None:
    rows = tuple(ReencodedAnswer(name, 0.2, -1.0, "likely not generated", True, name == "WebP 80") for name in MILD)
    stability = Stability(0.9, "likely generated", "inconclusive", 0.3, 0.7, 0.5, rows, False, 0.1)
    card = verdict(replace(scored(x, 0.9), stability=stability))
    assert text(card).index("Inconclusive") < text(card).index("(WebP 80) changes the answer")
    assert card.count("class='cc-copy'") == len(MILD)
    assert stability.answer == "no"


def test_notes_cautions_and_errors_are_escaped_and_announced(x: Examination) -> None:
    cautions = (Caution("small", "Too <small>."), Caution("dark", "Too dark."))
    warned = replace(x, cautions=cautions)
    html, behind = verdict(warned), pixels_panel(warned)
    assert behind.count("<li>") == 2
    assert "Too &lt;small&gt;." in behind
    assert "cc-cautions" in html
    assert "cc-cautions" not in verdict(x)
    assert "<img" not in failure("<img src=x>", "a & b")
    assert "a &amp; b" in failure("title", "a & b")
    for card in (looking(), failure("a", "b"), html):
        (spoken,) = re.findall(r"data-say='(.+?)'", card)
        assert len(spoken) < 250  # one sentence or two, not the whole card
    assert NO_ANSWER_TITLE in brief(NO_ANSWER, "a sentence")
