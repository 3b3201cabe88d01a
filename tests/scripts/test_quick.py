"""`make quick` runs the tests of what has changed."""

from pathlib import Path

import grimp
import pytest

from scripts.quick import ALWAYS, concerned
from tests.conftest import ROOT


@pytest.fixture
def graph() -> grimp.ImportGraph:
    """a.b is imported by a test and imports a.c; a maker is imported by a test and by a browser's."""
    graph = grimp.ImportGraph()
    pairs = {
        "tests.a.test_b": "a.b",
        "a.b": "a.c",
        "tests.a.test_e": "tests.makers.d",
        "tests.browser.test_f": "tests.makers.d",
    }
    for importer, imported in pairs.items():
        graph.add_import(importer=importer, imported=imported)
    graph.add_module("tests.a.test_c")
    return graph


@pytest.mark.parametrize(
    ("file", "tests"),
    [
        ("a/b.py", ["tests.a.test_b"]),  # imported
        ("a/c.py", ["tests.a.test_c"]),  # of its name
        ("tests/makers/d.py", ["tests.a.test_e"]),  # the browser's is left to `make test`
        ("tests/a/test_b.py", ["tests.a.test_b"]),
        ("README.md", []),
        ("a/new.py", []),
    ],
)
def test_a_change_is_tested_by_who_imports_it_and_by_its_mirror(
    graph: grimp.ImportGraph, file: str, tests: list[str]
) -> None:
    assert concerned([Path(file)], graph) == tests


def test_what_always_runs_is_there() -> None:
    assert all((ROOT / name).is_file() for name in ALWAYS)
