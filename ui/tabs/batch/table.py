"""The table of a batch as HTML: a row a picture, and chips that choose rows.

assets/table.js sorts and filters it in the browser. A component of Gradio's own would need a width
for every column, and cannot be read by a screen reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from causalclip.batch import CHECKING, COLUMNS
from causalclip.examination.answer import Origin, short_name
from causalclip.examination.messages import NO_ANSWER, bar_place, score_text
from causalclip.languages import N_, _, bracketed, in_turn, number
from causalclip.report.templates import render

if TYPE_CHECKING:
    from causalclip.batch import BatchRow

# What needs a look first stands first; what is signed as captured last.
LAST_ORIGINS = Origin.LIKELY_NOT_GENERATED, Origin.SIGNED_CAPTURED
ORDER = (*(origin for origin in Origin if origin not in LAST_ORIGINS), *LAST_ORIGINS)
MARKED = N_("marked")
COLUMN_TITLES = (COLUMNS["name"], COLUMNS["answer"], COLUMNS["score"], N_("Copies"))
TAIL = 12  # characters at the end of a long name that are always shown


def draw_table(
    rows: Sequence[BatchRow],
    thumbnails: Mapping[str, str] | None = None,
    edges: tuple[float, ...] = (),
    crops: Mapping[str, str] | None = None,
) -> str:
    """Return the rows so far as HTML, what needs a look first on top; everything is escaped.

    Args:
        rows: in any order.
        thumbnails: the pictures in small, data addresses by hash.
        edges: the thresholds (low, threshold, high), which a score is not rounded across.
        crops: of the visible marks, data addresses by hash.
    """
    if not rows:
        return ""
    thumbnails, crops = thumbnails or {}, crops or {}
    originals = {row.sha256: row for row in sorted(rows, key=lambda row: -row.number)}
    cells = [
        _row(row, edges)
        | {"thumbnail": thumbnails.get(row.sha256, ""), "crop": crops.get(row.sha256, "")}
        | {"same_as": _same_as(row, originals.get(row.sha256, row))}
        for row in sorted(rows, key=rank)
    ]
    heads = [_(head) for head in COLUMN_TITLES]
    return render("table", template="batch.html", chips=_chips(rows), heads=heads, rows=cells)


def rank(row: BatchRow) -> tuple[int, float, int]:
    """Return a row's place, the smallest first: by answer, then by score, then as the files
    came."""
    return ORDER.index(row.origin), -(row.score or 0.0), row.number


def counts(rows: Iterable[BatchRow]) -> str:
    """Return how many rows have which answer, in the table's order: "likely generated: 3,
    inconclusive: 12"."""
    return in_turn(f"{_(name)}: {number(count)}" for _origin, name, count in _by_answer(rows))


def _chips(rows: Sequence[BatchRow]) -> list[dict[str, Any]]:
    """Return what rows can be chosen by, and how many there are of each."""
    chips = []
    for origin, name, count in _by_answer(rows):
        failed = origin == Origin.NOT_EXAMINED
        tone = "error" if failed else origin.answer.tone
        sign = "\N{BALLOT X}" if failed else origin.sign
        chips.append({"key": name, "n": number(count), "sign": sign, "tone": tone})
    marked_rows = {row.number for row in rows if row.marked}
    alike = ({row.number for row in rows if _brief(row) == chip["key"]} for chip in chips)
    if (
        marked_rows and marked_rows not in alike
    ):  # two chips that choose the same rows are one too many
        chips.append({"key": MARKED, "n": number(len(marked_rows)), "sign": "", "tone": ""})
    return chips


def _by_answer(rows: Iterable[BatchRow]) -> list[tuple[Origin, str, int]]:
    """Return each answer that there is, its brief name, and how many rows have it; in the table's
    order."""
    numbers = Counter(_brief(row) for row in rows)
    origins = {origin.answer.brief: origin for origin in reversed(ORDER)}
    return [
        (origin, name, numbers[name]) for name, origin in reversed(origins.items()) if numbers[name]
    ]


def _row(row: BatchRow, edges: tuple[float, ...]) -> dict[str, Any]:
    """Return what the template draws of a row; without a number it cannot be opened."""
    if row.score is None or len(edges) != 3:
        place = None
    else:
        place = bar_place(row.score, edges[0], edges[-1])
    return {
        "number": row.number if row.sha256 else None,
        "name": row.name,
        "tail": TAIL if len(row.name) > 2 * TAIL else 0,
        "chips": [_brief(row), *([MARKED] if row.marked else [])],
        "marks": row.marks if row.marked else "",
        "tone": row.origin.answer.tone,
        "sign": row.origin.sign,
        "answer": bracketed(_(_brief(row)), _because(row)),
        "problem": row.problem,
        "holds_photo": "inside" in row.cautions.split(", "),
        "claimed": row.origin != Origin.NOT_EXAMINED,
        "score": row.score,
        "said": "" if row.score is None else score_text(row.score, *edges),
        "at": place,
        "dots": row.dots,
        "steadiness": row.steadiness,
        "survives": row.survives,
        "testing": row.survives == CHECKING and row.score is not None,
    }


def _same_as(row: BatchRow, original: BatchRow) -> str:
    """Return that a row's file came before, to the byte; "" of the first such row."""
    if not row.sha256 or row.number == original.number:
        return ""
    return _("The same file as {name}", name=original.name)


def _because(row: BatchRow) -> str:
    """Return who signed, whose mark it is, or the kind of picture that gets no answer; or ""."""
    if row.whose:
        return short_name(row.whose)
    return _(row.image_type) if _brief(row) == NO_ANSWER else ""


def _brief(row: BatchRow) -> str:
    return row.origin.answer.brief
