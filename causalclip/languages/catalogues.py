"""gettext's catalogues, assets/languages/*.po, read as they are: nobody has to compile them."""

from __future__ import annotations

import io
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from unicodedata import bidirectional

from causalclip.languages.locale import ENGLISH, current, is_rtl, number
from causalclip.paths import shipped_folder

FOLDER = shipped_folder("assets") / "languages"
ISOLATE, END = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
LEFTWARDS = "\N{RIGHT-TO-LEFT ISOLATE}"


def N_(message: str) -> str:
    """Marks a message that is translated later, by `_`, where the language is known."""
    return message


def _(message: str, /, **values: object) -> str:
    """The message in the current language, with `values` in place of its {names}."""
    if not message:
        return ""  # what gettext has for it is the head of the catalogue
    return _filled(catalogue(current()).gettext(message), values)


def ngettext(one: str, many: str, n: int, /, **values: object) -> str:
    """The form of the message that goes with a count, which is its {n}."""
    return _filled(catalogue(current()).ngettext(one, many, n), {"n": number(n), **values})


def quoted(words: str) -> str:
    """Somebody's or a model's own words, in the quotes of the current language."""
    return _("\N{LEFT DOUBLE QUOTATION MARK}{words}\N{RIGHT DOUBLE QUOTATION MARK}", words=words)


@lru_cache(maxsize=16)
def catalogue(language: str) -> NullTranslations:
    """The translations into a language; of English, the messages themselves."""
    if language == ENGLISH:
        return NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with open(FOLDER / f"{language}.po", "rb") as file:
        messages = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return GNUTranslations(compiled)


def _filled(text: str, values: dict[str, object]) -> str:
    if not values:
        return text
    return text.format(**({name: _apart(str(value)) for name, value in values.items()} if is_rtl() else values))


def _apart(value: str) -> str:
    """A value with Latin letters or digits keeps its own direction in a text from right to left (Unicode UAX 9)."""
    latin = any(character.isascii() and character.isalnum() for character in value)
    if not latin or value.startswith(("<", ISOLATE, LEFTWARDS)):
        return value
    words = any(bidirectional(character) == "AL" for character in value)  # "JPEG or PNG" in Arabic begins at the right
    return f"{LEFTWARDS if words else ISOLATE}{value}{END}"
