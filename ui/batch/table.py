"""The batch's table, as HTML: a row a picture; assets/table.js sorts and filters it in the browser.

A component of Gradio's own would need a width for every column, and cannot be read by a screen reader as a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from causalclip.batch import COLUMNS, NOT_EXAMINED
from causalclip.evidence.cautions import Kind
from causalclip.evidence.headline import ANSWERS, BUT_A_PART, CLAIMED, SIGNED, tone_of
from causalclip.evidence.regions import REGION_ANSWERS
from causalclip.evidence.stability import SAID
from causalclip.evidence.words import IMAGE_TYPES, NO_ANSWER_TITLE, score_text
from causalclip.languages import N_, _, in_turn, ngettext
from causalclip.report.templates import render
from ui.settings import script

if TYPE_CHECKING:
    from causalclip.batch import BatchRow

SHOWN = ("number", "name", "answer", "score", "survives", "cautions", "claims")
NOTHING = "\N{EN DASH}"
HEADS = COLUMNS | {"claims": N_("What the file says, or why it was not examined")}
# What needs a look first stands first; what is signed as captured last.
LAST = ("Likely not generated", "Signed as captured")
A_PART = REGION_ANSWERS["found"]  # these are counted and filtered together, whatever is said of the whole
ORDER = (*(answer for answer in ANSWERS if answer not in LAST), NOT_EXAMINED, *LAST)


def group(answer: str) -> str:
    """What an answer is counted and filtered as: itself, or that one part differs."""
    return A_PART if answer in BUT_A_PART.values() else answer


GROUPS = tuple(dict.fromkeys(map(group, ORDER)))
MARKED = N_("Marked")
BETWEEN = "|"  # where a row is several of one filter's choices
CHOICES: dict[str, tuple[str, tuple[str, ...]]] = {
    "kind": (N_("Kind of picture"), tuple(IMAGE_TYPES)),
    "answer": (N_("Answer"), GROUPS),
    "cautions": (N_("Be careful"), get_args(Kind)),
    "survives": (N_("Survives re-encoding"), tuple(SAID.values())),
    "marks": (N_("Marks"), (MARKED,)),
}


def table_script() -> str:
    """In the reader's language."""
    return script("table", words={"shown": _("{some} of {all} shown")})


def draw_table(
    rows: Sequence[BatchRow], thumbnails: Mapping[str, str] | None = None, edges: tuple[float, ...] = ()
) -> str:
    """The rows so far, what needs a look first on top, with their pictures in small by hash; everything is escaped.

    edges: thresholds that a score is not rounded across.
    """
    if not rows:
        return ""
    shown = [_shown(row, (thumbnails or {}).get(row.sha256, ""), edges) for row in sorted(rows, key=rank)]
    return render("table", template="batch.html", heads=[_(HEADS[name]) for name in SHOWN], rows=shown)


def _shown(row: BatchRow, thumbnail: str, edges: tuple[float, ...]) -> dict[str, Any]:
    """A row as the template draws it; without a number it cannot be opened."""
    values = row.said() | {"claims": row.beside, "cautions": row.careful}
    if row.score is not None:
        values["score"] = score_text(row.score, *edges)
    return {
        "number": None if row.problem else row.number,
        "score": row.score,
        "tone": tone_of(row.answer),
        "thumbnail": thumbnail,
        "data": chosen_by(row),
        "cells": {name: NOTHING if values[name] in (None, "") else values[name] for name in SHOWN},
    }


def filters() -> str:
    """Which rows are shown, as HTML."""
    return render("filters", template="batch.html", choices=CHOICES)


def chosen_by(row: BatchRow) -> dict[str, str]:
    """By the names of CHOICES, what a row is, in keys, whatever language it is shown in."""
    survives = row.survives.partition(":")[0]  # in the reader's language
    return {
        "kind": row.kind,
        "answer": group(row.answer),
        "cautions": BETWEEN.join(row.cautions.split(", ")),
        "survives": next((key for key in SAID.values() if _(key) == survives), ""),
        "marks": MARKED if row.marked else "",
    }


def rank(row: BatchRow) -> tuple[int, float, int]:
    """Smaller is higher: by answer, then by score, then as the files came."""
    place = ORDER.index(row.answer) if row.answer in ORDER else len(ORDER)
    return place, -(row.score or 0.0), row.number


def counts(rows: Iterable[BatchRow]) -> str:
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
        CLAIMED["marked"]: ngettext("{n} with a generator's mark", "{n} with a generator's mark", n),
        CLAIMED["edited"]: ngettext(
            "{n} that says it was edited with generative AI", "{n} that say they were edited with generative AI", n
        ),
        CLAIMED["may be"]: ngettext("{n} labelled “may be generated”", "{n} labelled “may be generated”", n),
        CLAIMED["is suspected"]: ngettext(
            "{n} labelled “suspected to be generated”", "{n} labelled “suspected to be generated”", n
        ),
        A_PART: ngettext("{n} with one part that differs", "{n} with one part that differs", n),
        "Likely generated": ngettext("{n} likely generated", "{n} likely generated", n),
        "Inconclusive": ngettext("{n} inconclusive", "{n} inconclusive", n),
        "Likely not generated": ngettext("{n} likely not generated", "{n} likely not generated", n),
        NO_ANSWER_TITLE: ngettext("{n} without an answer", "{n} without an answer", n),
        NOT_EXAMINED: ngettext("{n} not examined", "{n} not examined", n),
    }
    return said[answer]
