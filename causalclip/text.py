"""Text and names out of a file: whoever made the file chose them, so they are read with care and
made fit to be shown."""

import json
import unicodedata
from typing import Any

MAX_TEXT = 300  # characters
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
# the reading direction (Unicode UAX 9)
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# control, formatting (also what turns the reading direction), unassigned
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}


def clean(text: str | bytes, *, limit: int = MAX_TEXT) -> str:
    """Return one line of at most `limit` characters; bytes are read as UTF-8, else as Latin-1.

    What is dropped cannot be seen, or would change how the words around it are read. Escaping is
    left to who draws it.
    """
    start = text[: 8 * limit]
    if isinstance(start, bytes):
        start = decode(start)
    visible = "".join(
        " " if character.isspace() else character
        for character in start
        if character.isspace() or unicodedata.category(character) not in _HIDDEN
    )
    line = " ".join(visible.split())
    if len(line) <= limit and len(text) <= 8 * limit:
        return line
    return line[: limit - 1].rstrip() + ELLIPSIS


def shortened(name: str, most: int) -> str:
    """Return a file's name in at most so many characters.

    What is cut is its middle, as its end may be all that is its own.
    """
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}{ELLIPSIS}{name[-end:]}"


def spelt(name: str) -> str:
    """Return the name of a file as a terminal may show it.

    What would end its line, command the terminal or turn its reading direction is spelt out:
    whoever made the file chose the name, and it stands beside an answer.
    """
    return "".join(c.encode("unicode_escape").decode() if _acts(c) else c for c in name)


def _acts(character: str) -> bool:
    """Return whether a terminal does something at a character other than to show it."""
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in _TURNING
    )


def decode(text: bytes) -> str:
    """Decode UTF-8 where it is that, else Latin-1, which every byte is."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = text[: error.start]
        if error.reason == "unexpected end of data" and not before.isascii():
            return before.decode("utf-8")  # a cut has split the last character
        return text.decode("latin-1")


def is_prose(text: str) -> bool:
    """Return whether a text is words: it has a letter, and does not begin as JSON does."""
    start = text[:1000].lstrip()
    return any(map(str.isalpha, start)) and not start.startswith(('{"', "[{", '["', "[["))


def json_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is, or None if it is none; hostile texts, too."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
