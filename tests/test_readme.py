"""Pages say what was measured, and what they link to is there."""

import ast
import importlib
import importlib.util
import re
from dataclasses import fields, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import skimage.data
import typer
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from benchmarks.__main__ import ALONE, BENCHMARKS
from benchmarks.common import TABLE, Options
from benchmarks.defences.__main__ import evaluate
from benchmarks.pages import PAGES, filled
from causalclip.commands.app import app as causalclip_app
from causalclip.marks.label import COMPANIES
from causalclip.marks.logos import LOGOS
from causalclip.marks.mark import UNNAMED
from causalclip.marks.names import KNOWN
from causalclip.marks.rules import RULES
from causalclip.marks.stamps import STAMPS
from causalclip.settings import VARIABLES, default_of
from purifier.cli import app as purifier_app
from tests.conftest import ROOT
from training.__main__ import app as training_app
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


def commands_of(page: Path) -> list[tuple[str, list[str]]]:
    """Modules that a page runs by `python -m`, and the words behind each."""
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))  # of many lines
    found = re.findall(r"python -m ([\w.]+)([^`\n;|#>]*)", text)
    return [(module, words.split()) for module, words in found]


def options_of(command: Any, words: list[str]) -> set[str]:
    """Options of a command of Typer's and of the groups before it, as the words choose it."""
    context = command.make_context("", [], resilient_parsing=True)
    names = {name for parameter in command.get_params(context) for name in parameter.opts}
    if not hasattr(command, "list_commands"):
        return names
    chosen = [word for word in words if word in command.list_commands(context)]
    if not chosen:
        return names
    rest = words[words.index(chosen[0]) + 1 :]
    return names | options_of(command.get_command(context, chosen[0]), rest)


COMMANDS = {
    "causalclip": causalclip_app,
    "purifier": purifier_app,
    "training": training_app,
    "benchmarks.defences": typer.Typer(),
}
COMMANDS["benchmarks.defences"].command()(evaluate)


# its commands are those of the earlier commits that it names
HISTORY = ROOT / "benchmarks" / "README.md"


@pytest.mark.parametrize("page", [page for page in MARKDOWN if page != HISTORY], ids=named)
def test_what_a_page_tells_to_run_takes_these_words(page: Path) -> None:
    for module, words in commands_of(page):
        given = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help"}
        if module in COMMANDS:
            known = options_of(typer.main.get_command(COMMANDS[module]), words)
        elif module == "benchmarks":
            known = {f"--{field.name}" for field in fields(Options)}
            names = [*takewhile(lambda word: not word.startswith("--"), words)]
            assert set(names) <= {*BENCHMARKS, *ALONE, "NAME", "[NAME", "...]"}, page
        else:
            assert importlib.util.find_spec(module), f"{page}: there is no {module}"
            continue
        assert given <= known, f"{page}: {module} {' '.join(words)}"


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
