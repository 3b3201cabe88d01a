"""Words in the reader's language: `_("...")` and `ngettext` look them up in assets/languages, numbers and dates follow.

The language is a context variable: who answers a request sets it once, with `speaking`, and passes it to nobody.
"""

from causalclip.languages.catalogues import N_, _, ngettext, quoted
from causalclip.languages.locale import (
    LANGUAGES,
    any_of,
    best,
    current,
    day,
    decimal,
    ended,
    figure,
    in_turn,
    is_rtl,
    moment,
    number,
    speaking,
)

__all__ = [
    "LANGUAGES",
    "N_",
    "_",
    "any_of",
    "best",
    "current",
    "day",
    "decimal",
    "ended",
    "figure",
    "in_turn",
    "is_rtl",
    "moment",
    "ngettext",
    "number",
    "quoted",
    "speaking",
]
