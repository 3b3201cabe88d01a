"""Pages say what was measured, and what they link to is there."""

import ast
import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from benchmarks.common import TABLE
from benchmarks.pages import PAGES, filled
from causalclip.marks.label import COMPANIES
from causalclip.marks.logos import LOGOS
from causalclip.marks.mark import UNNAMED
from causalclip.marks.names import KNOWN
from causalclip.marks.rules import RULES
from causalclip.marks.stamps import STAMPS
from causalclip.settings import VARIABLES, default_of
from tests.conftest import ROOT
from training.dataset.table import read_table
from training.detector.recipe import CONFIGS, Recipe
from ui.api import routes
from ui.server.gate import OPENAPI

LINK = re.compile(r"\]\(([^)\s]+)\)")
MARKDOWN = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
    *sorted((ROOT / "training" / "tables").glob("*.md")),
    *sorted((ROOT / "assets").rglob("*.md")),
]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_pages_say_what_was_measured(page: Path) -> None:
    assert filled(page) == page.read_text(encoding="utf-8"), "Run python -m benchmarks pages"


@pytest.mark.parametrize("page", MARKDOWN, ids=named)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = (link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link)
    broken = [link for link in links if not reaches(page, *link.partition("#")[::2])]
    assert not broken


def reaches(page: Path, path: str, heading: str) -> bool:
    """Whether the file is there, and the heading in it."""
    file = page.parent / path if path else page
    if not heading:
        return file.exists()
    titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_setting_of_the_app_is_in_the_table_of_settings() -> None:
    page = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", page)  # without links
    table = re.findall(r"^\| `([A-Z_]+)` \| (.+) \| (.+) \|$", plain, re.MULTILINE)
    expected = [(name, default_of(field), field.description) for name, field in VARIABLES.items()]
    assert table[: len(expected)] == expected


def test_every_generator_whose_marks_are_read_is_in_the_table_of_marks() -> None:
    page = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
    table = page.partition("| whose mark |")[2].partition("\n\n")[0]
    names = {"Gemini", *KNOWN, *COMPANIES.values()}
    names |= {source.generator for source in (*LOGOS, *STAMPS, *RULES)} - {UNNAMED}
    assert {name for name in names if name not in table} == set()


def test_the_recipe_for_other_towers_is_the_shipped_one_but_for_its_layers() -> None:
    given, shipped = (Recipe.read(CONFIGS / name) for name in ("layers24.json", "linear.json"))
    assert len(given.parts) == len(shipped.parts)
    assert replace(given, parts=shipped.parts, revision=shipped.revision) == shipped


@pytest.mark.parametrize("page", MARKDOWN, ids=named)
def test_what_an_example_imports_is_there(page: Path) -> None:
    for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.parse(code).body:
            if isinstance(node, ast.ImportFrom):
                assert node.module
                assert {alias.name for alias in node.names} <= set(
                    dir(importlib.import_module(node.module))
                )


def test_every_field_of_an_examination_is_in_the_table_of_fields() -> None:
    """Also those that only HTTP gives, and only a picture that cannot be judged has."""
    app = TestClient(Starlette(routes=routes(lambda: None)))
    schemas = app.get(OPENAPI).json()["components"]["schemas"]
    fields = {
        name
        for schema in ("Examination", "UnjudgedSchema")
        for name in schemas[schema]["properties"]
    }
    page = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
    table = page.partition("| field | meaning |")[2].partition("\n\n")[0]
    named = {
        name
        for row in table.splitlines()
        for name in re.findall(r"`(\w+)`", row.split("|")[1] if row else "")
    }
    assert named == fields


def test_how_many_generators_of_the_test_are_new_is_what_the_table_says() -> None:
    rows = [row for row in read_table(TABLE) if row.label == "fake"]
    learned = [row for row in rows if row.split == "train"]
    generators = {row.generator for row in learned}
    unstated = re.compile("unknown|not stated|not named", re.IGNORECASE)
    said = []
    for name in ("sites", "fresh", "alike", "edits", "broad"):
        judged = [r for r in rows if (r.split, r.set, r.kind) == ("test", name, "photo")]
        stated = [r.generator for r in judged if not unstated.search(r.generator)]
        said.append(f"{sum(g in generators for g in stated)} of {len(stated)} in `{name}`")
    relatives = {row.family for row in learned} - {""}
    related = sum(row.family in relatives for row in judged)
    page = " ".join((ROOT / "docs" / "measured.md").read_text(encoding="utf-8").split())
    assert f"{', '.join(said[:-1])} and {said[-1]}, which has relatives of {related}." in page
    sites = {split: {row.site for row in rows if row.split == split} for split in ("train", "test")}
    assert not sites["train"] & sites["test"]


@pytest.mark.parametrize("page", ["README.md", "docs/using.md"])
def test_the_lines_of_python_run_as_they_are_written(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(skimage.data.rocket()).save("picture.jpg", quality=90)
    code = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)[
        0
    ]
    names: dict[str, Any] = {}
    exec(code, names)
    detection = names["detection"]
    assert detection.mask["cls:8"].shape == (len(detection.views), 768)
    with Image.open("map.png") as drawn:
        assert drawn.width > 500
