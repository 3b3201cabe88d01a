"""Brings the catalogues of languages up to date: python -m scripts.catalogues

Every message of the code and of the report's template goes into assets/languages/*.po; one that has
no translation yet is printed, and one that the code no longer says is dropped. Translations are
written into the .po files by hand; a French space before a mark becomes one that does not break.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from causalclip.languages import ENGLISH, FOLDER, LANGUAGES

ROOT = Path(__file__).resolve().parents[1]
CODE = "causalclip", "ui", "purifier"
IDLE = re.compile('"(Project|Report|POT|PO-|Last|Generated|Language-Team)')  # of a catalogue's head
BREAKING = re.compile(r" (?=[:;?!»])|(?<=«) ")  # a space that French never breaks a line at
TEMPLATES = sorted((ROOT / "assets").glob("*.html"))
Message = str | tuple[str, str]  # with its plural


def messages() -> list[Message]:
    """Return every message, in the order of the files; a text that stands twice comes once."""
    found: list[Message] = []
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found += _of_code(path.read_text(encoding="utf-8"))
    for path in TEMPLATES:
        with open(path, "rb") as file:
            texts = [
                text for _line, _function, text, _comments in babel_extract(file, ("_",), (), {})
            ]
        found += [text for text in (t[0] if isinstance(t, tuple) else t for t in texts) if text]
    return list(dict.fromkeys(found))


def _of_code(source: str) -> Iterator[Message]:
    """Find the messages of a source, `_("...")`, `N_("...")` and ngettext("...", "...", n), by its
    syntax tree, which knows f-strings on every Python."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        texts = [
            arg.value
            for arg in node.args
            if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
        ]
        if node.func.id in ("_", "N_") and texts:
            yield texts[0]
        elif node.func.id == "ngettext":
            yield texts[0], texts[1]


def template() -> Catalog:
    """Return a catalogue of all messages without translations."""
    catalogue = Catalog(project="CausalCLIP", charset="utf-8", fuzzy=False)
    for message in messages():
        catalogue.add(message)
    return catalogue


def read(language: str) -> Catalog:
    """Return the catalogue of a language as it is; an empty one where there is none yet."""
    path = FOLDER / f"{language}.po"
    if not path.is_file():
        return Catalog(language, project="CausalCLIP", fuzzy=False)
    with open(path, "rb") as file:
        return read_po(file, locale=language)


def write(catalogue: Catalog, language: str) -> None:
    """Write a catalogue with a head that says no more than what a program needs, so that a file
    changes only where its words do."""
    text = io.BytesIO()
    write_po(text, catalogue, no_location=True, width=120, ignore_obsolete=True)
    head, blank, messages = text.getvalue().decode("utf-8").partition("\n\n")
    kept = [line for line in head.splitlines() if not line.startswith("#") and not IDLE.match(line)]
    (FOLDER / f"{language}.po").write_text("\n".join(kept) + blank + messages, encoding="utf-8")


def missing(catalogue: Catalog) -> list[Message]:
    """Return the messages without a translation, or without one of its plural forms."""
    forms = (
        (m.id, m.string if isinstance(m.string, tuple | list) else [m.string]) for m in catalogue
    )
    return [cast(Message, name) for name, texts in forms if name and not all(texts)]


def unbroken(catalogue: Catalog) -> None:
    """No line of French begins with a mark such as a colon, or ends with an opening quote."""
    for message in catalogue:
        if isinstance(message.string, str):
            message.string = BREAKING.sub("\N{NO-BREAK SPACE}", message.string)
        else:
            forms = message.string or ()
            message.string = tuple(BREAKING.sub("\N{NO-BREAK SPACE}", form) for form in forms)


def update(languages: Iterable[str]) -> Iterator[str]:
    """Updates the catalogues; yields what is missing."""
    wanted = template()
    for language in languages:
        catalogue = read(language)
        catalogue.update(wanted, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        catalogue.fuzzy = False
        if language == "fr":
            unbroken(catalogue)
        write(catalogue, language)
        yield from (f"{language}: {message}" for message in missing(catalogue))


def main() -> None:
    """Prints what is missing."""
    for line in update(language for language in LANGUAGES if language != ENGLISH):
        print(line)


if __name__ == "__main__":
    main()
