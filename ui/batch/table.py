"""The batch's table, as HTML: a row a picture, sorted in the browser by a click on a column's head.

A component of Gradio's own would need a width for every column, and cannot be read by a screen reader as a table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from causalclip.evidence.headline import tone_of
from causalclip.evidence.words import score_text
from causalclip.examine.batch import COLUMNS
from causalclip.languages import N_, _
from causalclip.report.card import SIGN
from ui.batch.filters import chosen_by
from ui.batch.triage import rank

if TYPE_CHECKING:
    from causalclip.examine.batch import Row

SHOWN = ("number", "name", "answer", "score", "survives", "cautions", "claims")
NOTHING = "\N{EN DASH}"
HEADS = COLUMNS | {"claims": N_("What the file says, or why it was not examined")}
# Sorts when a head is clicked and shows what is chosen in the filters, and again when the table is drawn anew; a click
# on a row opens it.
SCRIPT = """
const key = (cell) => cell.dataset.value ?? cell.textContent;
let column = null, down = false;
const words = WORDS;
const filter = () => {
  const chosen = [...document.querySelectorAll("#batch-filters select")].filter((s) => s.value);
  const rows = [...element.querySelectorAll("tbody tr")];
  const fits = (row) => (s) => row.dataset[s.dataset.filter].split("|").includes(s.value);
  rows.forEach((row) => (row.hidden = !chosen.every(fits(row))));
  const said = document.querySelector("#batch-filters .cc-done");
  const some = rows.filter((row) => !row.hidden).length;
  const text = chosen.length ? words.replace("{some}", some).replace("{all}", rows.length) : "";
  if (said && said.textContent !== text) said.textContent = text;
};
document.addEventListener("change", (event) => event.target.closest?.("#batch-filters") && filter());
const compare = (a, b) => {
  const none = (text) => text === "" || text === "\u2013";
  if (none(a) || none(b)) return none(a) - none(b);  // what has no value stays below
  return (down ? -1 : 1) * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
};
const sort = () => {
  const table = element.querySelector("table");
  if (!table || column === null) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => compare(key(a.cells[column]), key(b.cells[column])));
  if (rows.some((row, i) => row !== body.rows[i])) body.replaceChildren(...rows);
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const order = i === column ? (down ? "descending" : "ascending") : null;
    if (head.getAttribute("aria-sort") === order) return;
    order ? head.setAttribute("aria-sort", order) : head.removeAttribute("aria-sort");
  });
};
// The row that was opened last has the focus again when its result is closed (ui.batch.tab).
let opened = null;
const mark = () => {
  const rows = element.querySelectorAll("tbody tr");
  rows.forEach((row) => row.toggleAttribute("data-opened", row.dataset.number === opened));
};
element.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-number]");
  if (row) {
    opened = row.dataset.number;
    mark();
    trigger("click", { index: Number(opened) });
  }
  const button = event.target.closest("thead button");
  if (!button) return;
  const index = button.closest("th").cellIndex;
  down = index === column ? !down : false;
  column = index;
  sort();
});
new MutationObserver(() => (sort(), filter(), mark())).observe(element, { childList: true, subtree: true });
"""


CAPTION = N_(
    "What needs a look first is on top. A click on a row opens its full result beside the table; one on a column's "
    "head sorts by it."
)


def script() -> str:
    """SCRIPT in the reader's language."""
    return SCRIPT.replace("WORDS", json.dumps(_("{some} of {all} shown")))


def draw_table(rows: Sequence[Row], thumbnails: Mapping[str, str] | None = None, edges: tuple[float, ...] = ()) -> str:
    """The rows so far, what needs a look first on top, with their pictures in small by hash; everything is escaped.

    edges: thresholds that a score is not rounded across.
    """
    if not rows:
        return ""
    heads = "".join(f"<th scope='col'><button type='button'>{_(HEADS[name])}</button></th>" for name in SHOWN)
    body = "".join(_row(row, (thumbnails or {}).get(row.sha256, ""), edges) for row in sorted(rows, key=rank))
    return (
        f"<div class='cc-wide' tabindex='0' role='region' aria-label='{escape(_('Results'))}'>"
        f"<table class='cc-table cc-batch'><caption>{_(CAPTION)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Row, thumbnail: str, edges: tuple[float, ...]) -> str:
    cells, said = [], row.said()
    for name in SHOWN:
        value = {"claims": row.beside, "cautions": row.careful}.get(name, said[name])
        exact = f" data-value='{value}'" if name == "score" and value is not None else ""
        tag = "th scope='row'" if name == "name" else "td"
        cells.append(f"<{tag}{exact}>{_cell(row, name, value, thumbnail, edges)}</{tag[:2]}>")
    opens = f" data-number='{row.number}'" if not row.problem else ""
    data = "".join(f" data-{name}='{escape(value)}'" for name, value in chosen_by(row).items())
    return f"<tr{opens}{data}>{''.join(cells)}</tr>"


def _cell(row: Row, name: str, value: Any, thumbnail: str, edges: tuple[float, ...]) -> str:
    text = NOTHING if value in (None, "") else score_text(value, *edges) if name == "score" else escape(str(value))
    if name == "answer" and not row.problem:
        tone = tone_of(row.answer)
        icon = f"<span aria-hidden='true'>{SIGN[tone]}</span>"
        return f"<span class='cc-answer cc-{tone}'>{icon}\N{NO-BREAK SPACE}{text}</span>"
    if name == "name" and not row.problem:
        image = f"<img alt='' src='{thumbnail}'>" if thumbnail else ""
        return f"<button type='button' class='cc-open'>{image}<span>{text}</span></button>"
    return text
