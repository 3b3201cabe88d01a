"""Which languages there are, which one a browser prefers, and which one is spoken now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
    "tr": "Türkçe",
    "uk": "Українська",
}
RIGHT_TO_LEFT = {"ar"}
LONGEST = 200  # characters of a header that are read
_spoken: ContextVar[str] = ContextVar("language", default=ENGLISH)


def current() -> str:
    """The language that is spoken now, one of LANGUAGES."""
    return _spoken.get()


def is_rtl(language: str | None = None) -> bool:
    """Whether it is written from right to left."""
    return (language or current()) in RIGHT_TO_LEFT


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Has everything inside speak one of LANGUAGES; English where it is none."""
    token = _spoken.set(language if language in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _spoken.reset(token)


def best(accepted: str, chosen: str = "") -> str:
    """The language that was chosen, or the first of LANGUAGES that a header Accept-Language prefers (RFC 9110, 12.5.4).

    "de-AT;q=0.7, fr" gives "fr"; what is not understood counts for nothing.
    """
    if chosen in LANGUAGES:
        return chosen
    found: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted[:LONGEST].split(",")):
        tag, *options = (piece.strip().lower() for piece in part.split(";"))
        weight = next((option[2:] for option in options if option.startswith("q=")), "1")
        language = tag.partition("-")[0]
        if language in LANGUAGES and weight.replace(".", "", 1).isdecimal() and float(weight) > 0:
            found.append((-float(weight), place, language))
    return min(found)[2] if found else ENGLISH
