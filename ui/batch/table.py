"""The batch's table, as HTML: a row a picture, and chips that choose rows; assets/table.js sorts and filters it in the
browser. A component of Gradio's own would need a width for every column, and cannot be read by a screen reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from causalclip.batch import CHECKING, COLUMNS, NOT_EXAMINED
from causalclip.evidence.headline import ANSWERS, BRIEF, tone_of
from causalclip.evidence.words import SIGN, score_text
from causalclip.images.formats import shortened
from causalclip.languages import N_, _, in_turn, number
from causalclip.report.card import render
from ui.settings import script

if TYPE_CHECKING:
    from causalclip.batch import BatchRow

# What needs a look first stands first; what is signed as captured last.
LAST = ("Likely not generated", "Signed as captured")
ORDER = (*(answer for answer in ANSWERS if answer not in LAST), NOT_EXAMINED, *LAST)
FAILED, MARKED = N_("failed"), N_("marked")
HEADS = (COLUMNS["name"], COLUMNS["answer"], COLUMNS["score"], N_("Copies"))
LONGEST = 28  # characters of a name


def table_script() -> str:
    """In the reader's language."""
    return script("table")


def draw_table(
    rows: Sequence[BatchRow], thumbnails: Mapping[str, str] | None = None, edges: tuple[float, ...] = ()
) -> str:
    """The rows so far, what needs a look first on top, with their pictures in small by hash; everything is escaped.

    edges: the thresholds (low, threshold, high), which a score is not rounded across.
    """
    if not rows:
        return ""
    shown = [_shown(row, (thumbnails or {}).get(row.sha256, ""), edges) for row in sorted(rows, key=rank)]
    heads = [_(head) for head in HEADS]
    return render("table", template="batch.html", chips=_chips(rows), heads=heads, rows=shown)


def _chips(rows: Iterable[BatchRow]) -> list[dict[str, Any]]:
    """What rows can be chosen by, and how many there are of each."""
    rows = list(rows)
    found: list[tuple[str, int, str, str]] = [
        (name, n, *(("\N{BALLOT X}", "error") if name == FAILED else (SIGN[tone_of(answer)], tone_of(answer))))
        for answer, name, n in _grouped(rows)
    ]
    marked = sum(row.marked for row in rows)
    found += [(MARKED, marked, "", "")] if marked else []
    return [{"key": name, "n": number(n), "sign": sign, "tone": tone} for name, n, sign, tone in found]


def _grouped(rows: Iterable[BatchRow]) -> list[tuple[str, str, int]]:
    """Of what is there: an answer, in brief, and how many there are; in the order of the table."""
    found = Counter(brief(row) for row in rows)
    first = {BRIEF.get(answer, FAILED): answer for answer in reversed(ORDER)}
    return [(answer, name, found[name]) for name, answer in reversed(first.items()) if found[name]]


def brief(row: BatchRow) -> str:
    """A row's answer, as short as in a line of the command line."""
    return BRIEF.get(row.answer, FAILED)


def _shown(row: BatchRow, thumbnail: str, edges: tuple[float, ...]) -> dict[str, Any]:
    """A row as the template draws it; without a number it cannot be opened."""
    return {
        "number": None if row.problem else row.number,
        "name": row.name,
        "short": shortened(row.name, LONGEST),
        "chips": [brief(row), *([MARKED] if row.marked else [])],
        "thumbnail": thumbnail,
        "tone": tone_of(row.answer),
        "answer": brief(row),
        "problem": row.problem,
        "score": row.score,
        "said": "" if row.score is None else score_text(row.score, *edges),
        "at": None if row.score is None or len(edges) < 3 else place(row.score, edges[0], edges[-1]),
        "copies": row.copies,
        "testing": row.survives == CHECKING and row.score is not None,
    }


def place(score: float, low: float, high: float) -> float:
    """Where a score lies on a bar whose three bands are equally wide, in %."""
    if score <= low:
        return 100 / 3 * score / low
    return 100 / 3 * (1 + (score - low) / (high - low)) if score < high else 100 / 3 * (2 + (score - high) / (1 - high))


def rank(row: BatchRow) -> tuple[int, float, int]:
    """Smaller is higher: by answer, then by score, then as the files came."""
    place = ORDER.index(row.answer) if row.answer in ORDER else len(ORDER)
    return place, -(row.score or 0.0), row.number


def counts(rows: Iterable[BatchRow]) -> str:
    """How many rows have which answer, in the same order: "likely generated: 3, inconclusive: 12"."""
    return in_turn(f"{_(name)}: {number(n)}" for _answer, name, n in _grouped(rows))
