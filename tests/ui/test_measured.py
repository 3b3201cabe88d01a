"""The tab "How good is it?": every number from its file, a sentence where there is none, names escaped."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ui.measured.drawing import draw
from ui.measured.sections import BENCHMARKS, NOT_MEASURED, OTHER_VERSION, sections
from ui.measured.tab import UNKNOWN, page
from ui.measured.tables import Chart, Point, Table, html, markdown, ordered, percent, tabulate

VOID = {"br", "img", "use", "path"}


class Tags(HTMLParser):
    """Fails on tags that do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files as the project has them, to be changed."""
    return Path(
        shutil.copytree(BENCHMARKS, tmp_path / "benchmarks", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    )


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_every_section_is_drawn_from_its_file() -> None:
    drawn = page()
    tags = Tags()
    tags.feed(drawn)
    assert not tags.open
    assert NOT_MEASURED not in drawn
    assert OTHER_VERSION not in drawn
    test = json.loads((BENCHMARKS / "detection.json").read_text())
    for name in test["sets"]:
        assert f"{test[name]['auc']:.3f}" in drawn
    assert drawn.count("<section class='cc-question'>") == len(sections())
    assert all(sentence in drawn for sentence in UNKNOWN)


def test_numbers_follow_the_file(folder: Path) -> None:
    splices = json.loads((folder / "splices.json").read_text())
    splices["auc"]["causal"]["mean"] = 0.4321
    change(folder / "splices.json", auc=splices["auc"])
    assert "0.432" in page(folder)
    assert "0.432" not in page()


def test_what_was_not_measured_is_said_so(tmp_path: Path) -> None:
    drawn = page(tmp_path)
    assert drawn.count(NOT_MEASURED) == len(sections())
    assert not re.search(r"\d+ of 100|0\.\d", drawn)


def test_a_file_of_another_form_costs_its_own_sections_only(folder: Path) -> None:
    (folder / "splices.json").write_text("{}")
    (folder / "ablation.json").write_text("not JSON")
    change(folder / "purification.json", detector=None)
    assert [section.told.words for section in sections(folder)].count(OTHER_VERSION) == 2


def test_names_from_files_are_escaped(folder: Path) -> None:
    for file in folder.glob("*.json"):
        file.write_text(file.read_text().replace("Midjourney", "<script>x").replace("page of text", "<img src=x>"))
    drawn = page(folder)
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert "&lt;script&gt;x" in drawn
    assert "<script" not in "".join(markdown(table) for section in sections(folder) for table in section.told.tables)


def test_sets_that_have_no_name_are_shown_too(folder: Path) -> None:
    test = json.loads((folder / "detection.json").read_text())
    change(folder / "detection.json", sets=[*test["sets"], "newsroom"], newsroom=test["alike"] | {"auc": 0.6117})
    assert "0.612" in page(folder)
    assert ordered(["all", "zebra", "alike", "broad"]) == ["broad", "alike", "zebra", "all"]


def test_shares_are_never_rounded_to_certainty() -> None:
    assert [percent(x) for x in (0, 0.001, 0.126, 0.999, 1)] == ["0 %", "under 1 %", "13 %", "over 99 %", "100 %"]


def test_a_cell_without_its_number_is_empty() -> None:
    rows = {"a": {"auc": 0.5, "interval": [0.25, 0.75], "share": 0.999}, "b": {}}
    table = tabulate("name", rows, {"AUC": "{auc:.2f} ({interval:ci})", "share": "{share:%}"})
    assert table == Table(["name", "AUC", "share"], [["a", "0.50 (0.250 to 0.750)", "over 99 %"], ["b", "", ""]])
    assert markdown(Table(["n"], [["a|b<c"]])).splitlines()[-1] == "| a\\|b&lt;c |"
    assert "<th scope='row'><code>sites</code> &lt;b&gt;</th>" in html(Table(["n"], [["`sites` <b>"]]))


def test_a_chart_says_its_numbers_and_has_the_colours_of_the_page() -> None:
    points = [Point(0.5, 0.25, 0.75), None]
    chart = Chart("AUC", ["a", "<b>"], {"ours": points, "theirs": [Point(0.125), Point(1.0)]}, line=0.5)
    drawn = draw(chart, "One?")
    assert 'role="img" aria-label="One? AUC. a: ours 0.50, theirs 0.12; &lt;b&gt;: theirs 1.00."' in drawn
    assert not re.search(r"(?<!, )#[0-9a-f]{6}", drawn)
    assert draw(chart, "One?") == drawn
    ids = [re.findall(r' id="([^"]+)"', draw(chart, title)) for title in ("One?", "Two?")]
    assert not set(ids[0]) & set(ids[1])
    assert "var(" not in draw(chart, "One?", page=False)
    stacked = draw(Chart("share", ["a"], {"x": [Point(0.25)], "y": [Point(0.75)]}, stacked=True), "Three?")
    assert "share. a: x 0.25, y 0.75." in stacked
