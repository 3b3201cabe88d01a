"""Words in the reader's language: `_("...")` and `ngettext` look them up in assets/languages, numbers and dates follow.

The language is a context variable: who answers a request sets it once, with `speaking`, and passes it to nobody.
"""

from causalclip.languages.catalogues import N_, _, ngettext, quoted
from causalclip.languages.formats import any_of, day, decimal, ended, figure, in_turn, moment, number
from causalclip.languages.names import LANGUAGES, best, current, is_rtl, speaking

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
