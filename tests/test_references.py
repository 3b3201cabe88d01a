"""Files and modules that pages, docstrings and comments name are there."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = "causalclip", "purifier", "ui", "benchmarks", "scripts", "tests"
FOLDERS = *PACKAGES, "assets", "configs", "data", "deploy", "docs", "extension"
INNER = sorted({file.parent.name for name in PACKAGES[:2] for file in (ROOT / name).glob("*/__init__.py")})
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")]
PARTS = [path.relative_to(ROOT).parts for path in FILES]
ENDS = {"/".join(parts[start:]) for parts in PARTS for start in range(len(parts))}
# From a folder of ours on, or code by the end of its path, such as clip/tower.py.
FILE = re.compile(
    rf"(?<![\w./:$<{{-])(?![\w/]+/[A-Z]+\.)((?:{'|'.join(FOLDERS)})/[\w./-]*\w\.\w+|(?:\w+/)+\w+\.(?:py|js|css))\b(?![/*{{(])"
)
# purifier.names.ATTACKS, or vlm.hub.load_vlm inside a package; capitals stand for any.
NAME = re.compile(rf"(?<![\w./-])((?:{'|'.join([*PACKAGES, *INNER])})(?!\.[A-Z]+\b)(?:\.[A-Za-z_]\w+)+)(?![\w/])")
DATA = re.compile(r"\.(py|js|css|json|md)$")
PAST = re.compile(r"\S+\.py\b[^.]{0,60}\bcommit [0-9a-f]{7}|\S+\.py and \S+\.py of commit [0-9a-f]{7}")


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
    defined = rf'^(?:def |class |async def )?{wanted}\b|^(?:from .+ )?import .*\b{wanted}\b|"{wanted}"'
    return not rest or (file.is_file() and bool(re.search(defined, file.read_text(encoding="utf-8"), re.MULTILINE)))


def missing(text: str, *, code: bool) -> Iterator[str]:
    """Files and dotted names of a text that are not there. code: whether names may begin inside a package."""
    yield from (path for path in FILE.findall(text) if path not in ENDS)
    for name in NAME.findall(text):
        inner = name.partition(".")[0] not in PACKAGES
        if DATA.search(name) or (inner and not code):
            continue
        if not any(is_there(name, folder) for folder in ([ROOT / p for p in PACKAGES[:2]] if inner else [ROOT])):
            yield name


@pytest.mark.parametrize("suffix", ["py", "md", "js", "css", "html"])
def test_files_and_modules_that_are_named_are_there(suffix: str) -> None:
    read = [path for path in FILES if path.suffix == f".{suffix}"]
    read += [path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if path.suffix == f".{suffix}"]
    assert read
    found = {path.relative_to(ROOT).as_posix(): [*missing(prose(path), code=suffix == "py")] for path in read}
    assert {path: names for path, names in found.items() if names} == {}


def test_what_is_not_there_is_found() -> None:
    text = "see ui/nothing.py, clip/nowhere.py and purifier.names.NOTHING; causalclip.absent.module; vlm.nothing"
    there = "clip/tower.py, assets/part.js, purifier.names.ATTACKS, causalclip.load_image, vlm.hub.load_vlm"
    assert len([*missing(text, code=True)]) == 5
    assert not [*missing(there, code=True)]
