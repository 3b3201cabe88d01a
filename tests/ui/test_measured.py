"""The tab Accuracy: numbers from their files, a sentence where there are none, names escaped,
columns on their axis."""

import json
import re
import shutil
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest

from causalclip.examination.precision import empirical_precision
from causalclip.languages import LANGUAGES, speaking
from ui.tabs.accuracy import BENCHMARKS, NOT_MEASURED, OTHER_VERSION, PURIFIED, QUESTIONS, page
from ui.tabs.charts import Axis, fall

CURVE = {
    "judged": {"pictures": 116},
    "ridge_interval": [0.72, 0.96],
    "rows": [
        {"independence": w, "adversary": 0.1, "seed": seed, "auc": 0.9 - w / 10, "nhsic": 1 - w}
        | {"linear": 0.7, "mlp": 0.8, "knn": 0.6}
        for w in (0.0, 0.25, 0.5)
        for seed in (0, 1, 2)
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files as the project has them, to be changed."""
    return Path(
        shutil.copytree(
            BENCHMARKS,
            tmp_path / "benchmarks",
            ignore=shutil.ignore_patterns("*.py", "__pycache__"),
        )
    )


def words(drawn: str) -> list[str]:
    return unescape(re.sub(r"<[^>]+>", " ", drawn)).split()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_is_answered_from_its_file_in_600_words(language: str) -> None:
    """Numbers aside."""
    with speaking(language):
        drawn = page()
        assert NOT_MEASURED not in drawn
        assert OTHER_VERSION not in drawn
        assert len(QUESTIONS) >= 10
        assert drawn.count("<section>") >= len(QUESTIONS) + 1
    if language == "en":
        assert len([word for word in words(drawn) if re.search("[A-Za-z]", word)]) <= 600


def test_the_headline_says_the_share_of_each_set() -> None:
    test = json.loads((BENCHMARKS / "detection.json").read_text())
    first = " ".join(words(page().partition("<figure")[0]))
    for name in ("all", "sites", "broad", "alike"):
        assert str(round(100 * test[name]["bands"]["likely generated"]["generated"])) in first


def test_shares_stand_with_their_number_of_pictures_and_the_bases_agree(folder: Path) -> None:
    test = json.loads((BENCHMARKS / "detection.json").read_text())
    drawn = " ".join(words(page()))
    for name, found in test["groups"]["generators"].items():
        if name in ("Midjourney", "FLUX.1"):
            assert f"{name} {100 * found['called']:.0f}% of {found['pictures']}" in drawn
    for found in (test["sites"], test["broad"]):
        generated = sum(row["generated"] for row in found["reliability"])
        share = 100 * found["bands"]["likely generated"]["generated"]
        assert f"generated {share:.0f}% of {generated:,}" in drawn
    base = empirical_precision("inconclusive", test["revision"])
    assert base is not None
    assert f"of all {test['all']['pictures']:,}, {100 * base.base:.0f}%" in drawn
    assert f"Measured with detector {test['revision']} on" in drawn


def test_correct_answers_stand_beside_those_that_stay() -> None:
    drawn = " ".join(words(page()))
    cells = json.loads((BENCHMARKS / "purification.json").read_text())["cells"]
    [cell] = [c for c in cells if (c["row"], c["column"]) == (PURIFIED, "APGD 8/255")]
    shares = f"{100 * cell['agreement']:.0f}% {100 * cell['accuracy']:.0f}%"
    assert f"APGD, 8/255 {cell['n']} questions {shares}" in drawn


def test_no_file_and_no_owner_is_named() -> None:
    drawn, test = page(), json.loads((BENCHMARKS / "detection.json").read_text())
    assert ".json" not in drawn
    assert not [name for name in test["sources"] if len(name) > 6 and name in drawn]


def test_what_was_not_measured_is_said_so(tmp_path: Path) -> None:
    drawn = page(tmp_path)
    assert drawn.count(NOT_MEASURED) == len(QUESTIONS)
    assert not re.search(r"\d+ of 100|0\.\d", drawn)


def test_a_file_of_another_form_costs_its_own_question_only(folder: Path) -> None:
    (folder / "splices.json").write_text("{}")
    (folder / "robustness.json").write_text("not JSON")
    assert page(folder).count(OTHER_VERSION) == 2


def test_names_from_files_are_escaped(folder: Path) -> None:
    for file in folder.glob("*.json"):
        file.write_text(file.read_text().replace("Midjourney", "<script>x"))
    drawn = page(folder)
    assert "<script" not in drawn
    assert "&lt;script&gt;x" in drawn


def test_the_price_of_independence_is_drawn_as_it_was_measured(folder: Path) -> None:
    (folder / "curve.json").write_text(json.dumps(CURVE))
    drawn = page(folder)
    assert "a dependence of 1.00 to 0.50" in drawn
    assert "from 0.90 to 0.85" in drawn
    assert "116 pictures" in drawn
    assert "within 0.72 and 0.96" in drawn


def test_the_ticks_of_an_axis_are_written_as_the_language_does() -> None:
    with speaking("de"):
        assert Axis("score").labels() == ("0", "0,25", "0,5", "0,75", "1")


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
