"""Words in the reader's language: `_("...")` and `ngettext` look them up in assets/languages/*.po,
as they are.

Numbers, dates and lists follow, by Unicode's CLDR. The language is a context variable: who answers
a request sets it once, with `speaking`, and passes it to nobody.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from typing import TYPE_CHECKING, Literal
from unicodedata import bidirectional

from causalclip.paths import shipped_folder

if TYPE_CHECKING:
    from babel import Locale

ENGLISH = "en"  # what the code is written in
LANGUAGES = {  # by their own names
    "en": "English",
    "es": "Español",
    "fr": "Français",
    "de": "Deutsch",
    "pt": "Português",
    "ar": "العربية",
    "hi": "हिन्दी",
    "id": "Bahasa Indonesia",
    "ja": "日本語",
    "tr": "Türkçe",
    "uk": "Українська",
    "zh": "简体中文",
}
RIGHT_TO_LEFT = {"ar"}
MAX_HEADER = 200  # characters of a header that are read
LOCALES = {ENGLISH: "en_GB"}  # days before months
COMMAS = {"ar": "، ", "ja": "、", "zh": "、"}  # others have those of English
SPACELESS = {"ja", "zh"}
STOPS = {"hi": "।", "ja": "。", "zh": "。"}
FOLDER = shipped_folder("assets") / "languages"
ISOLATE, END = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
LEFTWARDS = "\N{RIGHT-TO-LEFT ISOLATE}"
_spoken: ContextVar[str] = ContextVar("language", default=ENGLISH)


def current() -> str:
    """Return the language that is spoken now, one of LANGUAGES."""
    return _spoken.get()


def is_rtl() -> bool:
    """Return whether the language that is spoken now is written from right to left."""
    return current() in RIGHT_TO_LEFT


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Have everything inside speak one of LANGUAGES; English where it is none."""
    token = _spoken.set(language if language in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _spoken.reset(token)


def best(accepted: str, chosen: str = "") -> str:
    """Return the language that was chosen, or the first of LANGUAGES that a header Accept-Language
    prefers: "de-AT;q=0.7, fr" gives "fr"."""
    if is_spoken(chosen):
        return _primary(chosen)
    languages = map(_primary, preferences(accepted))
    return next((language for language in languages if language in LANGUAGES), ENGLISH)


def preferences(accepted: str) -> list[str]:
    """Return the values of a header Accept or Accept-Language, in lower case, the most wanted first
    (RFC 9110, 12.5); what is not understood counts for nothing."""
    weights: dict[str, float] = {}
    for part in accepted[:MAX_HEADER].split(","):
        value, *options = (piece.strip().lower() for piece in part.split(";"))
        weight = next((option[2:] for option in options if option.startswith("q=")), "1")
        if weight.replace(".", "", 1).isdecimal() and float(weight) > 0:
            weights.setdefault(value, float(weight))
    return sorted(weights, key=lambda value: -weights[value])


def is_spoken(tag: str) -> bool:
    """Return whether a language tag, such as "de" or "zh-CN", is of one of LANGUAGES."""
    return _primary(tag) in LANGUAGES


def _primary(tag: str) -> str:
    """Return the language of a tag, without its script and region: "zh-Hans-CN" gives "zh"."""
    return tag.partition("-")[0].lower()


def number(value: int) -> str:
    """Write a whole number, with the thousands apart: 12,345."""
    return _format_decimal(f"{value:d}", digits=0)


def decimal(value: float, *, digits: int) -> str:
    """Write a number with so many digits after the point: 0.83."""
    return _format_decimal(f"{value:.{digits}f}", digits=digits)


def percent(share: float, *, digits: int | None = 0) -> str:
    """A share of 1 in per cent, with the sign where the language has it: 91%, 91 %, %91.

    digits: after the point; None is as many as it has.
    """
    text = f"{100 * share:g}" if digits is None else f"{100 * share:.{digits}f}"
    decimals = len(text.partition(".")[2])
    if current() == ENGLISH:  # without Babel's imports
        return f"{_format_decimal(text, digits=decimals)}%"
    from babel.numbers import format_percent

    locale = _locale(current())
    pattern = locale.percent_formats[None].pattern
    pattern = pattern.replace("0", "0." + "0" * decimals) if decimals else pattern
    return format_percent(Decimal(text) / 100, pattern, locale=locale)


def figure(value: float) -> str:
    """A number with as many digits as it has: 50, 0.5."""
    text = f"{value:g}"
    return _format_decimal(text, digits=len(text.partition(".")[2]))


def day(moment: datetime) -> str:
    """Return a date in words, such as 28 November 2026."""
    from babel.dates import format_date

    return format_date(
        moment, "d MMMM y" if current() == ENGLISH else "long", locale=_locale(current())
    )


def moment(when: datetime) -> str:
    """A day with its time to the second, in the zone that it carries."""
    return in_turn((day(when), f"{when:%H:%M:%S}"))


def any_of(parts: Sequence[str], *, style: Literal["or", "standard"] = "or") -> str:
    """Join texts as "a, b or c"; as "a, b and c" in the standard style."""
    from babel.lists import format_list

    return format_list(parts, style, locale=_locale(current()))


def in_turn(parts: Iterable[str]) -> str:
    """Join texts as "a, b, c": one after another, without a word between."""
    return COMMAS.get(current(), ", ").join(parts)


def paragraph(*sentences: str) -> str:
    """Join sentences one after another, the empty ones left out; Japanese and Chinese put no space
    between."""
    return ("" if current() in SPACELESS else " ").join(filter(None, sentences))


def bracketed(text: str, inside: str) -> str:
    """Words with others in brackets behind them, where there are any: "Gemini (visible mark)"."""
    if not inside:
        return text
    return f"{text}（{inside}）" if current() in SPACELESS else f"{text} ({inside})"


def ended(text: str) -> str:
    """Words as a sentence: "Yes" becomes "Yes."."""
    return text + STOPS.get(current(), ".")


def _format_decimal(text: str, *, digits: int) -> str:
    """Write a number, such as "1234.5", as the current language does, with so many decimals."""
    if current() == ENGLISH:  # without Babel's imports
        return f"{Decimal(text):,.{digits}f}"
    from babel.numbers import format_decimal

    locale = _locale(current())
    whole = locale.decimal_formats[None].pattern.partition(".")[0]
    return format_decimal(
        Decimal(text), whole + ("." + "0" * digits if digits else ""), locale=locale
    )


@lru_cache(maxsize=16)
def _locale(language: str) -> Locale:
    from babel import Locale

    return Locale.parse(LOCALES.get(language, language))


def N_(message: str) -> str:
    """Mark a message that is translated later, by `_`, where the language is known."""
    return message


def _(message: str, /, **values: object) -> str:
    """The message in the current language, with `values` in place of its {names}."""
    if not message:
        return ""  # what gettext has for it is the head of the catalogue
    return _fill(catalogue(current()).gettext(message), values)


def ngettext(one: str, many: str, n: int, /, **values: object) -> str:
    """The form of the message that goes with a count, which is its {n}."""
    return _fill(catalogue(current()).ngettext(one, many, n), {"n": number(n), **values})


def quoted(words: str) -> str:
    """Put somebody's or a model's own words in the quotes of the current language."""
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
    mo_file = io.BytesIO()
    write_mo(mo_file, messages)
    mo_file.seek(0)
    return GNUTranslations(mo_file)


def _fill(text: str, values: dict[str, object]) -> str:
    """Put values into the placeholders of a text; in a script from right to left, set apart."""
    if not values:
        return text
    return text.format(
        **({name: _apart(str(value)) for name, value in values.items()} if is_rtl() else values)
    )


def _apart(value: str) -> str:
    """A value with Latin letters or digits keeps its own direction in a text from right to left
    (Unicode UAX 9)."""
    latin = any(character.isascii() and character.isalnum() for character in value)
    if not latin or value.startswith(("<", ISOLATE, LEFTWARDS)):
        return value
    # "JPEG or PNG" in Arabic begins at the right
    words = any(bidirectional(character) == "AL" for character in value)
    return f"{LEFTWARDS if words else ISOLATE}{value}{END}"
