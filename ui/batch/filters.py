"""Which rows are shown: by answer, by what to be careful about, and by whether the answer survives. In the browser."""

from __future__ import annotations

from typing import get_args

from causalclip.examine.cautions import Kind
from causalclip.examine.kind import NAMES
from ui.batch.triage import ORDER

CHOICES: dict[str, tuple[str, tuple[str, ...]]] = {
    "kind": ("Kind of picture", tuple(NAMES)),
    "answer": ("Answer", ORDER),
    "cautions": ("Be careful", get_args(Kind)),
    "survives": ("Survives re-encoding", ("Yes", "Only just", "No")),
}


def filters() -> str:
    """As HTML; ui.batch.table.SCRIPT applies them."""
    fields = "".join(_select(name, *choice) for name, choice in CHOICES.items())
    named = "class='cc-filters' role='group' aria-label='Rows that are shown'"
    return f"<div {named}>{fields}<span class='cc-done' role='status'></span></div>"


def _select(name: str, label: str, values: tuple[str, ...]) -> str:
    options = "".join(f"<option>{value}</option>" for value in values)
    return f"<label>{label} <select data-filter='{name}'><option value=''>all</option>{options}</select></label>"
