"""Numbers, dates and lists as the current language writes them, by Unicode's CLDR."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from causalclip.languages.names import ENGLISH, current

if TYPE_CHECKING:
    from babel import Locale

LOCALES = {ENGLISH: "en_GB"}  # days before months
COMMAS = {"ar": "، "}  # others have those of English
STOPS = {"hi": "।"}


def number(value: int) -> str:
    """A whole number, with the thousands apart: 12,345."""
    return _written(f"{value:d}", digits=0)


def decimal(value: float, *, digits: int) -> str:
    """A number with so many digits after the point: 0.83."""
    return _written(f"{value:.{digits}f}", digits=digits)


def figure(value: float) -> str:
    """A number with as many digits as it has: 50, 0.5."""
    text = f"{value:g}"
    return _written(text, digits=len(text.partition(".")[2]))


def day(moment: datetime) -> str:
    """28 November 2026."""
    from babel.dates import format_date

    return format_date(moment, "d MMMM y" if current() == ENGLISH else "long", locale=_locale(current()))


def moment(when: datetime) -> str:
    """A day with its time to the second, in the zone that it carries."""
    return in_turn((day(when), f"{when:%H:%M:%S}"))


def any_of(parts: Sequence[str], *, style: Literal["or", "standard"] = "or") -> str:
    """ "a, b or c"; "a, b and c" in the standard style."""
    from babel.lists import format_list

    return format_list(parts, style, locale=_locale(current()))


def in_turn(parts: Iterable[str]) -> str:
    """ "a, b, c": one after another, without a word between."""
    return COMMAS.get(current(), ", ").join(parts)


def ended(text: str) -> str:
    """Words as a sentence: "Yes" becomes "Yes."."""
    return text + STOPS.get(current(), ".")


def _written(text: str, *, digits: int) -> str:
    if current() == ENGLISH:  # without Babel's imports
        return f"{Decimal(text):,.{digits}f}"
    from babel.numbers import format_decimal

    locale = _locale(current())
    whole = locale.decimal_formats[None].pattern.partition(".")[0]
    return format_decimal(Decimal(text), whole + ("." + "0" * digits if digits else ""), locale=locale)


@lru_cache(maxsize=16)
def _locale(language: str) -> Locale:
    from babel import Locale

    return Locale.parse(LOCALES.get(language, language))
