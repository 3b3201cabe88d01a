"""The batch's table, as HTML: a row a picture, sorted in the browser by a click on a column's head.

A component of Gradio's own would need a width for every column, and cannot be read by a screen reader as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from causalclip.examine.batch import COLUMNS

if TYPE_CHECKING:
    from causalclip.examine.batch import Row

SHOWN = ("number", "name", "answer", "score", "survives", "cautions", "claims")
HEADS = COLUMNS | {"claims": "What the file says, or why it was not examined"}
# Sorts when a head is clicked, and again when the table is drawn anew with another row.
SORT = """
const key = (cell) => cell.dataset.value ?? cell.textContent;
let column = null, down = false;
const compare = (a, b) => {
  if (a === "" || b === "") return (a === "") - (b === "");  // what has no value stays below
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
element.addEventListener("click", (event) => {
  const button = event.target.closest("th button");
  if (!button) return;
  const index = button.closest("th").cellIndex;
  down = index === column ? !down : false;
  column = index;
  sort();
});
new MutationObserver(sort).observe(element, { childList: true, subtree: true });
"""


def draw_table(rows: Sequence[Row]) -> str:
    """The rows so far; everything in them is escaped."""
    if not rows:
        return ""
    heads = "".join(f"<th scope='col'><button type='button'>{HEADS[name]}</button></th>" for name in SHOWN)
    body = "".join(_row(row) for row in rows)
    return (
        "<div class='cc-wide' tabindex='0' role='region' aria-label='Results'><table class='cc-table cc-batch'>"
        "<caption>Results. A click on a column's head sorts by it.</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Row) -> str:
    cells = []
    for name in SHOWN:
        value = row.problem if name == "claims" and row.problem else getattr(row, name)
        exact = f" data-value='{value}'" if name == "score" and value is not None else ""
        text = "" if value is None else f"{value:.2f}" if name == "score" else str(value)
        tag = "th scope='row'" if name == "name" else "td"
        cells.append(f"<{tag}{exact}>{escape(text)}</{tag[:2]}>")
    return f"<tr>{''.join(cells)}</tr>"
