"""What a person reads is marked: no sentence of the page and of an answer stands in the code outside the catalogues."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from causalclip.paths import shipped_folder
from scripts.catalogues import messages

ROOT = Path(__file__).resolve().parents[3]
MARKS = {"_", "N_", "ngettext"}
FOR_PROGRAMS = {  # and for whoever runs the app; and the patterns of marks
    *(f"ui/{name}.py" for name in ("agents", "api", "endpoints", "health", "languages", "logs", "serving", "sharing")),
    "causalclip/marks/texts.py",
}
ENGLISH = {"server", "measured"}  # the tables of what was measured say that they are in English
PACKAGES = (*(f"causalclip/{name}" for name in ("evidence", "images", "marks", "provenance", "report")), "ui")
FILES = ("causalclip/archive/summary.py", "causalclip/profile.py", "purifier/demo.py", "purifier/models.py")
COVERED = [
    path
    for path in (*map(Path, FILES), *(p.relative_to(ROOT) for one in PACKAGES for p in (ROOT / one).rglob("*.py")))
    if path.as_posix() not in FOR_PROGRAMS and path.parent.name not in ENGLISH
]
SENTENCE = re.compile(r"[A-Z][a-z]+ [a-z]+ [a-z]+|[a-z]+ [a-z]+ [a-z]+ [a-z]+")
SCRIPT = re.compile(r"=>|const |=\"|='")  # JavaScript, or HTML's tags, whose words are looked at apart
KEYS = {  # of files, and what is written into one in English, whoever reads it
    ", whose file has the SHA-256 ",
    "Cut out by CausalCLIP.",
    "A packet with a document type is not read.",  # of an error that is caught
    "A packet of so many nodes is not read.",
    " on the shorter side",  # of the sentence that programs read
    "a photograph pasted into a photograph",
    "bright in the middle, whatever is there",
    "What animal is it?",  # to a model that understands English only
    "What is the main object?",
    "Can you see a person?",
    "how many people are there?",
}
KNOWN = KEYS | set(messages())
RAISED = {"TypeError", "RuntimeError", "AssertionError", "NotImplementedError"}  # for programmers


def unmarked(source: str) -> Iterator[str]:
    """Texts of at least three or four words outside the marks, docstrings and errors for programmers."""
    tree = ast.parse(source)
    passed: set[int | str] = set()
    for node in ast.walk(tree):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        logged = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        )
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))
        elif (
            (isinstance(node, ast.keyword) and node.arg == "help")
            or name in MARKS | RAISED
            or logged
            or (isinstance(node, ast.Assert))
        ):  # of a command, in English
            passed |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and not {id(node), node.value} & (passed | KNOWN)
        ):
            words = re.sub(r"<[^>]*>?", " ", node.value)
            if SENTENCE.search(words) and not SCRIPT.search(words):
                yield node.value


@pytest.mark.parametrize("path", COVERED, ids=str)
def test_no_sentence_is_outside_the_catalogues(path: Path) -> None:
    assert list(unmarked((ROOT / path).read_text(encoding="utf-8"))) == []


def test_a_sentence_outside_the_catalogues_is_found() -> None:
    assert list(unmarked('said = f"<p>It carries few traces of {name}.</p>"')) == ["<p>It carries few traces of "]
    assert list(unmarked('said = _("It carries few traces.")')) == []


def test_the_reports_template_has_no_words_of_its_own() -> None:
    page = (shipped_folder("assets") / "report.html").read_text(encoding="utf-8").partition("<body>")[2]
    words = re.sub(r"{{.*?}}|{%.*?%}|<code>.*?</code> \(phash, 64 bits\)|<[^>]*>", " ", page, flags=re.DOTALL)
    assert re.findall(r"[A-Za-z]{3,}", words) == []


def test_nothing_is_marked_that_is_put_together_first() -> None:
    """A message with values in it already is in no catalogue: _(f"...")."""
    for folder in ("causalclip", "ui", "purifier"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
                    assert not isinstance(node.args[0], ast.JoinedStr | ast.BinOp), path
