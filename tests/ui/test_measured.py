"""The tab "How good is it?": every number from its file, a sentence where there is none, names escaped."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from ui.measured.sections import BENCHMARKS, NOT_MEASURED, OTHER_VERSION, sections
from ui.measured.tab import UNKNOWN, page
from ui.measured.tables import markdown


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
    assert NOT_MEASURED not in drawn
    assert OTHER_VERSION not in drawn
    test = json.loads((BENCHMARKS / "detection.json").read_text())
    for name in test["sets"]:
        assert f"{test[name]['auc']:.3f}" in drawn
    assert drawn.count("<section class='cc-question'>") == len(sections())
    assert all(sentence in drawn for sentence in UNKNOWN)


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
