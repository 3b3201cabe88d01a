"""Tables, shares and the names of the test sets."""

from collections.abc import Iterable
from typing import Any

Report = dict[str, Any]
SETS = {
    "broad": "many generators",
    "alike": "real and generated pictures of the same things",
    "fresh": "the same kinds of things, from newer sites",
    "sites": "owners drawn by lot from those of November 2026",
    "edits": "photographs, some with an edited part",
    "all": "all of `test`",
}


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def percent(share: float) -> str:
    """Whole percent; a share that is not 0 or 1 is not shown as if it were."""
    text = f"{100 * share:.0f} %"
    return "under 1 %" if text == "0 %" and share > 0 else "over 99 %" if text == "100 %" and share < 1 else text


def percents(shares: Iterable[float]) -> str:
    """The lowest and the highest share."""
    low, high = min(values := list(shares)), max(values)
    ends = f"{100 * low:.0f}", f"{100 * high:.0f}"
    return percent(low or high) if ends[0] == ends[1] else f"{' to '.join(ends)} %"


def ordered(sets: Iterable[str]) -> list[str]:
    """Known sets in the order of SETS, then those without a name here; all of them together last."""
    known = [name for name in SETS if name != "all"]
    return sorted(sets, key=lambda n: (n == "all", known.index(n) if n in known else len(known), n))


def named(name: str) -> str:
    """A set, with what it is where that is known."""
    if name == "all":
        return SETS["all"]
    return f"`{name}`: {SETS[name]}" if name in SETS else f"`{name}`"


def short(name: str) -> str:
    """A set as the head of a column."""
    return "all" if name == "all" else f"`{name}`"
