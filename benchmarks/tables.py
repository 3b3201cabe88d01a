"""How a benchmark's JSON is told: sections of words and tables, written as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from causalclip.measured import Measurement

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
class Told:
    """What one benchmark says, in words and numbers."""

    words: str
    tables: Sequence[Table] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """title: a reader's question. about: when, on what and by which model it was measured."""

    title: str
    told: Told
    about: str


def bounded(number: Measurement) -> str:
    """Write a number with three digits, and its 95 % interval where it has one."""
    if number.interval is None:
        return f"{number.value:.3f}"
    low, high = number.interval
    return f"{number.value:.3f} ({low:.3f} to {high:.3f})"


def mean_text(cell: Report, name: str, digits: int) -> str:
    """Write a mean of a report's cell, with its 95 % interval where the cell has one."""
    ends = cell.get(f"{name}_interval", ())
    mean, *bounds = (f"{value:.{digits}f}" for value in (cell[name], *ends))
    return f"{mean} ({' to '.join(bounds)})" if bounds else mean


def percent(share: float) -> str:
    """Write a share in whole percent; one that is not 0 or 1 is not shown as if it were."""
    text = f"{100 * share:.0f} %"
    return (
        "under 1 %"
        if text == "0 %" and share > 0
        else "over 99 %"
        if text == "100 %" and share < 1
        else text
    )


class _Cells(Formatter):
    """`str.format` with two more formats: `%` for a share, and `ci` for a list of a value's
    ends."""

    def format_field(self, value: Any, spec: str) -> str:
        if spec == "%":
            return percent(value)
        return (
            f"{value[0]:.3f} to {value[1]:.3f}"
            if spec == "ci"
            else str(super().format_field(value, spec))
        )


def tabulate(
    name: str, rows: Mapping[str, Report], columns: Mapping[str, str], caption: str = ""
) -> Table:
    """A row for each entry, a column for each format; a cell without its number is empty. name: of
    the first column."""
    cells = _Cells()

    def cell(text: str, row: Report) -> str:
        try:
            return cells.vformat(text, (), row)
        except (KeyError, IndexError):
            return ""

    return Table(
        [name, *columns],
        [[n, *(cell(text, row) for text in columns.values())] for n, row in rows.items()],
        caption,
    )


def ordered(sets: Iterable[str]) -> list[str]:
    """Return sets in the order of SETS, then those without a name here, all of them together
    last."""
    order = list(SETS)
    return sorted(
        sets,
        key=lambda name: (name == "all", order.index(name) if name in order else len(order), name),
    )


def named(name: str) -> str:
    """Return a set's name in the data, and what it holds."""
    if name == "all":
        return SETS["all"]
    return f"`{name}`: {SETS[name]}" if name in SETS else f"`{name}`"


def by_set(name: str, rows: Mapping[str, Report]) -> Table:
    """A column for each test set, with three digits."""
    sets = ordered({s for row in rows.values() for s in row})
    return tabulate(name, rows, {f"`{s}`": f"{{{s}:.3f}}" for s in sets})


def markdown(table: Table) -> str:
    head, *lines = (f"| {' | '.join(map(_plain, cells))} |" for cells in (table.head, *table.rows))
    body = "\n".join([head, "|---" * len(table.head) + "|", *lines])
    return f"{table.caption[:1].upper()}{table.caption[1:]}:\n\n{body}" if table.caption else body


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
