"""The tab Accuracy: numbers as they were measured, names escaped,
columns on their axis."""

import re
from html import unescape
from itertools import pairwise

import pytest

from causalclip.examination.precision import empirical_precision
from causalclip.languages import LANGUAGES, speaking
from causalclip.measured import Measured, measured
from ui.tabs.accuracy import QUESTIONS, TEST, page
from ui.tabs.charts import Axis, fall


def words(drawn: str) -> list[str]:
    return unescape(re.sub(r"<[^>]+>", " ", drawn)).split()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_is_answered_in_600_words(language: str) -> None:
    """Numbers aside."""
    with speaking(language):
        drawn = page()
        assert drawn.count("<section>") == len(QUESTIONS) + 1
    if language == "en":
        assert len([word for word in words(drawn) if re.search("[A-Za-z]", word)]) <= 600


def test_the_headline_says_the_share_of_each_set() -> None:
    first = " ".join(words(page().partition("<figure")[0]))
    for name in ("all", "sites", "broad", "alike"):
        share = measured()[f"{TEST}.{name}.likely-generated.generated"].value
        assert str(round(100 * share)) in first


def test_shares_stand_with_their_number_of_pictures_and_the_bases_agree() -> None:
    drawn, whole = " ".join(words(page())), measured()[f"{TEST}.all.auc"]
    for found in measured().below("generators").values():
        if found.label in ("Midjourney", "FLUX.1"):
            assert f"{found.label} {100 * found.value:.0f}% of {found.n}" in drawn
    for name in ("sites", "broad"):
        called = measured()[f"{TEST}.{name}.likely-generated.generated"]
        assert f"generated {100 * called.value:.0f}% of {called.n:,}" in drawn
    base = empirical_precision("inconclusive", whole.revision)
    assert base is not None
    assert f"of all {whole.n:,}, {100 * base.base:.0f}%" in drawn
    assert f"Measured with detector {whole.revision} on" in drawn


def test_correct_answers_stand_beside_those_that_stay() -> None:
    drawn = " ".join(words(page()))
    cell = measured().below("purification.full.apgd-8")
    kept, right = cell["agreement"], cell["accuracy"]
    shares = f"{100 * kept.value:.0f}% {100 * right.value:.0f}%"
    assert f"APGD, 8/255 {kept.n} questions {shares}" in drawn


def test_no_file_is_named() -> None:
    assert ".json" not in page()


def test_names_are_escaped() -> None:
    numbers = Measured(
        one.model_copy(update={"label": "<script>x"}) if one.label == "Midjourney" else one
        for one in measured()
    )
    drawn = page(numbers)
    assert "<script" not in drawn
    assert "&lt;script&gt;x" in drawn


def test_the_ticks_of_an_axis_are_written_as_the_language_does() -> None:
    with speaking("de"):
        assert Axis("score").labels() == ("0", "0,25", "0,5", "0,75", "1")


def test_long_names_of_bands_take_two_lines_and_short_ones_one() -> None:
    """On a phone, one line of them would run into each other."""
    x, counts = Axis("score"), {"real": [3, 0, 0, 1]}
    short = fall("words", counts, x, [0.3, 0.9], ["low", "middle", "high"])
    long = fall("words", counts, x, [0.3, 0.9], ["very likely not generated", "middle", "high"])
    assert [">low<" in short, ">very likely<" in long, ">not generated<" in long] == [True] * 3
    heights = [int(re.findall(r"viewBox='0 0 \d+ (\d+)'", chart)[0]) for chart in (short, long)]
    assert heights[0] < heights[1]


def test_columns_stand_over_their_own_stretch_of_the_axis() -> None:
    """A score of 0.99 lies in the last column, which ends where the axis says 1."""
    drawn = fall("words", {"real": [3, 0, 0, 1], "generated": [0, 1, 1, 8]}, Axis("score"), [0.5])
    found = re.findall(r"<rect class='cc-fall-0' x='(.*?)' y='.*?' width='(.*?)'", drawn)
    columns = [tuple(map(float, column)) for column in found]
    ticks = [
        float(x)
        for x in re.findall(
            r"<text x='([\d.]+)' y='[\d.]+' text-anchor='middle'>(?:0|1)</text>", drawn
        )
    ]
    assert columns[0][0] == ticks[0]
    assert columns[-1][0] + columns[-1][1] == pytest.approx(ticks[1], abs=0.15)
    for (left, width), (after, _width) in pairwise(columns):
        assert left + width == pytest.approx(after, abs=0.15)
    [line] = re.findall(r"<line class='cc-rule' x1='([\d.]+)'", drawn)
    assert float(line) == pytest.approx(columns[2][0], abs=0.15)
