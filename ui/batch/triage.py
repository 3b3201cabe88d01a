"""What is looked at first: the order of the rows, and how many there are of each answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from causalclip.examine.batch import NOT_EXAMINED
from causalclip.examine.headline import ANSWERS
from causalclip.languages import _, current, number
from causalclip.languages.names import ENGLISH

if TYPE_CHECKING:
    from causalclip.examine.batch import Row

# What needs a look first stands first; what is signed as captured last.
LAST = ("Likely not generated", "Signed as captured")
ORDER = (*(answer for answer in ANSWERS if answer not in LAST), NOT_EXAMINED, *LAST)


def rank(row: Row) -> tuple[int, float, int]:
    """Smaller is higher: by answer, then by score, then as the files came."""
    place = ORDER.index(row.answer) if row.answer in ORDER else len(ORDER)
    return place, -(row.score or 0.0), row.number


def counts(rows: Iterable[Row]) -> str:
    """How many rows have which answer, in the same order: "3 likely generated, 12 inconclusive"."""
    found = Counter(row.answer for row in rows)
    return ", ".join(_("{n} {answer}", n=number(found[name]), answer=_within(name)) for name in ORDER if found[name])


def _within(answer: str) -> str:
    """As it stands after a number; other languages have the number after it."""
    return answer[0].lower() + answer[1:] if current() == ENGLISH else _(answer)
