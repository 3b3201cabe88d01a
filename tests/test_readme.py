"""Pages say what was measured, and what pages, docstrings and comments name is there."""

import ast
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.pages import PAGES, filled
from causalclip.marks.pixels import LOGOS
from tests.conftest import ROOT
from tests.test_contracts import VARIABLES
from training.detector.recipe import Recipe

LINK = re.compile(r"\]\(([^)\s]+)\)")
MARKDOWN = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
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
    table = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    assert {
        name for name in VARIABLES if name.startswith("CAUSALCLIP") and f"| `{name}` |" not in table
    } == set()


def test_the_readme_names_every_generator_whose_visible_mark_is_read() -> None:
    words = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {logo.generator.removesuffix(" Galaxy AI") for logo in LOGOS} | {"Gemini", "DALL-E 2"}
    assert {name for name in names if name not in words} == set()


def test_the_recipe_for_other_towers_is_the_shipped_one_but_for_its_layers() -> None:
    given, shipped = (
        Recipe.read(ROOT / "configs" / name) for name in ("layers24.json", "shipped.json")
    )
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
    from causalclip.examination.result import examine
    from tests.makers.detectors import tiny_detector
    from tests.makers.pictures import encode, photo

    fields = examine(encode(photo(), "PNG"), tiny_detector(), stability=False).as_dict()
    page = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
    table = page.partition("| field | meaning |")[2].partition("\n\n")[0]
    named = {
        name
        for row in table.splitlines()
        for name in re.findall(r"`(\w+)`", row.split("|")[1] if row else "")
    }
    assert named == set(fields)


PACKAGES = "causalclip", "purifier", "ui", "benchmarks", "scripts", "tests"
FOLDERS = *PACKAGES, "assets", "configs", "data", "deploy", "docs", "extension"
INNER = sorted(
    {file.parent.name for name in PACKAGES[:2] for file in (ROOT / name).glob("*/__init__.py")}
)
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")]
PARTS = [path.relative_to(ROOT).parts for path in FILES]
ENDS = {"/".join(parts[start:]) for parts in PARTS for start in range(len(parts))}
# From a folder of ours on, or code by the end of its path, such as clip/tower.py.
FILE = re.compile(
    rf"(?<![\w./:$<{{-])(?![\w/]+/[A-Z]+\.)((?:{'|'.join(FOLDERS)})/[\w./-]*\w\.\w+|(?:\w+/)+\w+\.(?:py|js|css))\b(?![/*{{(])"
)
# purifier.attacks.ATTACKS, or vlm.hub.load_vlm inside a package; capitals stand for any.
NAME = re.compile(
    rf"(?<![\w./-])((?:{'|'.join([*PACKAGES, *INNER])})(?!\.[A-Z]+\b)(?:\.[A-Za-z_]\w+)+)(?![\w/])"
)
DATA = re.compile(r"\.(py|js|css|json|md)$")
PAST = re.compile(
    r"\S+\.py\b[^.]{0,60}\bcommit [0-9a-f]{7}|\S+\.py and \S+\.py of commit [0-9a-f]{7}"
)


def prose(path: Path) -> str:
    """A page as a whole; of Python, docstrings and comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return PAST.sub("", text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(ast.get_docstring(node) or "")
    return "\n".join(found)


def is_there(name: str, folder: Path = ROOT) -> bool:
    """Whether a dotted name is a module, or a name that its module has."""
    first, _dot, rest = name.partition(".")
    if (folder / first).is_dir():
        return not rest or is_there(rest, folder / first)
    file = folder / f"{first}.py"
    if not file.is_file():
        rest, file = first, folder / "__init__.py"
    wanted = rest.partition(".")[0]
    defined = (
        rf'^(?:def |class |async def )?{wanted}\b|^(?:from .+ )?import .*\b{wanted}\b|"{wanted}"'
    )
    return not rest or (
        file.is_file() and bool(re.search(defined, file.read_text(encoding="utf-8"), re.MULTILINE))
    )


def missing(text: str, *, code: bool) -> Iterator[str]:
    """Files and dotted names of a text that are not there. code: whether names may begin inside a
    package."""
    yield from (path for path in FILE.findall(text) if path not in ENDS)
    for name in NAME.findall(text):
        inner = name.partition(".")[0] not in PACKAGES
        if DATA.search(name) or (inner and not code):
            continue
        if not any(
            is_there(name, folder)
            for folder in ([ROOT / p for p in PACKAGES[:2]] if inner else [ROOT])
        ):
            yield name


@pytest.mark.parametrize("suffix", ["py", "md", "js", "css", "html"])
def test_files_and_modules_that_are_named_are_there(suffix: str) -> None:
    read = [path for path in FILES if path.suffix == f".{suffix}"]
    read += [
        path
        for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
        if path.suffix == f".{suffix}"
    ]
    assert read
    found = {
        path.relative_to(ROOT).as_posix(): [*missing(prose(path), code=suffix == "py")]
        for path in read
    }
    assert {path: names for path, names in found.items() if names} == {}
