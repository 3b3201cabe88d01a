"""Which rows are shown: by answer, by what to be careful about, and by whether the answer survives. In the browser."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, get_args

from causalclip.evidence.cautions import Kind
from causalclip.evidence.stability import SAID
from causalclip.evidence.words import IMAGE_TYPES
from causalclip.languages import N_, _
from ui.batch.triage import GROUPS, group

if TYPE_CHECKING:
    from causalclip.examine.batch import Row

BETWEEN = "|"  # where a row is several of one filter's choices
CHOICES: dict[str, tuple[str, tuple[str, ...]]] = {
    "kind": (N_("Kind of picture"), tuple(IMAGE_TYPES)),
    "answer": (N_("Answer"), GROUPS),
    "cautions": (N_("Be careful"), get_args(Kind)),
    "survives": (N_("Survives re-encoding"), tuple(SAID.values())),
}


def filters() -> str:
    """As HTML; ui.batch.table.SCRIPT applies them."""
    fields = "".join(_select(name, *choice) for name, choice in CHOICES.items())
    named = f"class='cc-filters' role='group' aria-label='{escape(_('Rows that are shown'), quote=True)}'"
    return f"<div {named}>{fields}<span class='cc-done'></span></div>"


def chosen_by(row: Row) -> dict[str, str]:
    """By the names of CHOICES, what a row is, in keys, whatever language it is shown in."""
    survives = row.survives.partition(":")[0]  # in the reader's language
    return {
        "kind": row.kind,
        "answer": group(row.answer),
        "cautions": BETWEEN.join(row.cautions.split(", ")),
        "survives": next((key for key in SAID.values() if _(key) == survives), ""),
    }


def _select(name: str, label: str, values: tuple[str, ...]) -> str:
    options = "".join(f"<option value='{escape(value)}'>{escape(_(value))}</option>" for value in values)
    every = f"<option value=''>{_('any')}</option>"
    return f"<label>{_(label)} <select data-filter='{name}'>{every}{options}</select></label>"
