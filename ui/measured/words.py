"""Names, shares and layout that the measured sections share."""

from __future__ import annotations

from html import escape
from typing import Any

from ui.charts import Axis

Report = dict[str, Any]
SETS = {"broad": "many generators", "alike": "like content", "all": "all"}
SETS_WORDS = (
    "<b>Many generators</b>: real and generated pictures, whatever they show. <b>Like content</b>: real and generated "
    "photographs of the same kinds of thing, from sites whose owners say which is which; this is harder, and nearer to "
    "what a newsroom meets. <b>All</b>: both together."
)
AUC = Axis("AUC", 0.5, 1.0)
HALF = "the line is a coin's 0.5"


def percent(share: float) -> str:
    """Whole percent; a share that is not 0 or 1 is not shown as if it were."""
    text = f"{100 * share:.0f} %"
    return "under 1 %" if text == "0 %" and share > 0 else "over 99 %" if text == "100 %" and share < 1 else text


def sets_of(test: Report) -> list[str]:
    """The sets of a report, those that are known by a name first."""
    return sorted(test["sets"], key=lambda n: list(SETS).index(n) if n in SETS else -1)


def set_name(name: str) -> str:
    return SETS.get(name, escape(name))


def side_by_side(*pieces: str) -> str:
    return f"<div class='cc-beside'>{''.join(pieces)}</div>"
