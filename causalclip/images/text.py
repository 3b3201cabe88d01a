"""Text that came out of somebody's file, made fit to be shown: one line, bounded, no invisible characters."""

import unicodedata

LIMIT = 300  # characters
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # the reading direction (Unicode UAX 9)
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, formatting (also what turns the reading direction), unassigned


def clean(text: str | bytes, *, limit: int = LIMIT) -> str:
    """One line of at most `limit` characters; bytes are read as UTF-8, else as Latin-1.

    What is dropped cannot be seen, or would change how the words around it are read. Escaping is left to who draws it.
    """
    cut = text[: 8 * limit]
    if isinstance(cut, bytes):
        cut = decode(cut)
    shown = "".join(" " if c.isspace() else c for c in cut if c.isspace() or unicodedata.category(c) not in _HIDDEN)
    words = " ".join(shown.split())
    return (
        words
        if len(words) <= limit and len(text) <= 8 * limit
        else words[: limit - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    )


def shortened(name: str, most: int) -> str:
    """A file's name in at most so many characters: what is cut is its middle, as its end may be all that is its own."""
    end = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - end]}\N{HORIZONTAL ELLIPSIS}{name[-end:]}"


def spelt(name: str) -> str:
    """The name of a file as a terminal may show it: what would end its line, command the terminal or turn its reading
    direction is spelt out. Whoever made the file chose the name, and it stands beside an answer."""
    return "".join(c.encode("unicode_escape").decode() if _acts(c) else c for c in name)


def _acts(character: str) -> bool:
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(character) in _TURNING
    )


def decode(text: bytes) -> str:
    """UTF-8 where it is that, else Latin-1, which every byte is."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        # A cut may have split the last character.
        return text[: error.start].decode("utf-8") if error.start >= len(text) - 3 > 0 else text.decode("latin-1")
