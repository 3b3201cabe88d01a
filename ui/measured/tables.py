"""How a benchmark's JSON is told: sections of words, tables and charts, written as HTML or as Markdown.

Text may have `names` in backticks; what comes from files is escaped where it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Formatter
from typing import Any

from causalclip.evidence.words import wilson

Report = dict[str, Any]
SETS = {
    "broad": "many generators",
    "alike": "like content",
    "fresh": "like content, newer sites",
    "sites": "sites drawn by lot",
    "edits": "edited by generators",
    "all": "all of `test`",
}


@dataclass(frozen=True, slots=True)
class Table:
    """caption: what its rows are, where one section has several tables."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A value, and the ends of its interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A point of every series on every label's line; stacked: shares that add up. line: a value to compare with."""

    axis: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[Point | None]]
    low: float = 0.0
    line: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What one benchmark says, in words, numbers and a picture."""

    words: str
    tables: Sequence[Table] = ()
    chart: Chart | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """title: a reader's question. about: when, on what and by which model it was measured."""

    title: str
    told: Told
    about: str


def percent(share: float) -> str:
    """Whole percent; a share that is not 0 or 1 is not shown as if it were."""
    text = f"{100 * share:.0f} %"
    return "under 1 %" if text == "0 %" and share > 0 else "over 99 %" if text == "100 %" and share < 1 else text


class _Cells(Formatter):
    """`str.format` with two more formats: `%` for a share, and `ci` for a list of a value's ends."""

    def format_field(self, value: Any, spec: str) -> str:
        if spec == "%":
            return percent(value)
        return f"{value[0]:.3f} to {value[1]:.3f}" if spec == "ci" else str(super().format_field(value, spec))


def tabulate(name: str, rows: Mapping[str, Report], columns: Mapping[str, str], caption: str = "") -> Table:
    """A row for each entry, a column for each format; a cell without its number is empty. name: of the first column."""
    cells = _Cells()

    def cell(text: str, row: Report) -> str:
        try:
            return cells.vformat(text, (), row)
        except (KeyError, IndexError):
            return ""

    return Table(
        [name, *columns], [[n, *(cell(text, row) for text in columns.values())] for n, row in rows.items()], caption
    )


def ordered(sets: Iterable[str]) -> list[str]:
    """Sets in the order of SETS, then those without a name here, all of them together last."""
    order = list(SETS)
    return sorted(sets, key=lambda name: (name == "all", order.index(name) if name in order else len(order), name))


def named(name: str) -> str:
    """A set by its name in the data, and what it holds."""
    return SETS["all"] if name == "all" else f"`{name}`: {SETS[name]}" if name in SETS else f"`{name}`"


def shares(rows: Mapping[str, Report], key: str, of: str = "pictures") -> list[Point]:
    """Each row's share with its 95 % interval (Wilson)."""
    return [Point(row[key], *wilson(row[key] * row[of], row[of])) for row in rows.values()]


def by_set(name: str, rows: Mapping[str, Report]) -> Table:
    """A column for each test set, with three digits."""
    sets = ordered({s for row in rows.values() for s in row})
    return tabulate(name, rows, {f"`{s}`": f"{{{s}:.3f}}" for s in sets})


def chart_by_set(axis: str, rows: Mapping[str, Report], *, low: float = 0.5, line: float | None = None) -> Chart:
    """A series for each test set but all of them together."""
    sets = [s for s in ordered({s for row in rows.values() for s in row}) if s != "all"]
    points = {SETS.get(s, s): [Point(row[s]) if s in row else None for row in rows.values()] for s in sets}
    return Chart(axis, list(rows), points, low, line)


def markdown(table: Table) -> str:
    rows = [list(table.head), ["---"] * len(table.head), *([_plain(cell) for cell in row] for row in table.rows)]
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    return f"{table.caption[:1].upper()}{table.caption[1:]}:\n\n{body}" if table.caption else body


def html(table: Table) -> str:
    """With the first column as each row's header."""
    head = "".join(f"<th scope='col'>{marked(name)}</th>" for name in table.head)
    body = "".join(
        f"<tr><th scope='row'>{marked(row[0])}</th>{''.join(f'<td>{marked(cell)}</td>' for cell in row[1:])}</tr>"
        for row in table.rows
    )
    caption = f"<caption>{marked(table.caption)}</caption>" if table.caption else ""
    return f"<table class='cc-table cc-measures'>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def marked(text: str) -> str:
    """Text as HTML, with names in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
