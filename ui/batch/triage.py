"""What is looked at first: the order of the rows, and how many there are of each answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from causalclip.evidence.headline import ANSWERS, BUT_A_PART, CLAIMED, SIGNED
from causalclip.evidence.regions import REGION_ANSWERS
from causalclip.evidence.words import NO_ANSWER_TITLE
from causalclip.examine.batch import NOT_EXAMINED
from causalclip.languages import in_turn, ngettext

if TYPE_CHECKING:
    from causalclip.examine.batch import Row

# What needs a look first stands first; what is signed as captured last.
LAST = ("Likely not generated", "Signed as captured")
A_PART = REGION_ANSWERS["found"]  # these are counted and filtered together, whatever is said of the whole
ORDER = (*(answer for answer in ANSWERS if answer not in LAST), NOT_EXAMINED, *LAST)


def rank(row: Row) -> tuple[int, float, int]:
    """Smaller is higher: by answer, then by score, then as the files came."""
    place = ORDER.index(row.answer) if row.answer in ORDER else len(ORDER)
    return place, -(row.score or 0.0), row.number


def group(answer: str) -> str:
    """What an answer is counted and filtered as: itself, or that one part differs."""
    return A_PART if answer in BUT_A_PART.values() else answer


GROUPS = tuple(dict.fromkeys(map(group, ORDER)))


def counts(rows: Iterable[Row]) -> str:
    """How many rows have which answer, in the same order: "3 likely generated, 12 inconclusive"."""
    found = Counter(group(row.answer) for row in rows)
    return in_turn(_counted(name, found[name]) for name in GROUPS if found[name])


def _counted(answer: str, n: int) -> str:
    """So many pictures with an answer."""
    said = {
        SIGNED["generated"]: ngettext("{n} signed as generated", "{n} signed as generated", n),
        SIGNED["part generated"]: ngettext("{n} signed as partly generated", "{n} signed as partly generated", n),
        SIGNED["captured"]: ngettext("{n} signed as captured", "{n} signed as captured", n),
        CLAIMED["generated"]: ngettext(
            "{n} whose file says it was generated", "{n} whose files say they were generated", n
        ),
        CLAIMED["part generated"]: ngettext(
            "{n} whose file says it was partly generated", "{n} whose files say they were partly generated", n
        ),
        A_PART: ngettext("{n} with one part that differs", "{n} with one part that differs", n),
        "Likely generated": ngettext("{n} likely generated", "{n} likely generated", n),
        "Inconclusive": ngettext("{n} inconclusive", "{n} inconclusive", n),
        "Likely not generated": ngettext("{n} likely not generated", "{n} likely not generated", n),
        NO_ANSWER_TITLE: ngettext("{n} without an answer", "{n} without an answer", n),
        NOT_EXAMINED: ngettext("{n} not examined", "{n} not examined", n),
    }
    return said[answer]
