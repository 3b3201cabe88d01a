// The batch's table (ui/batch/table.py): sorts when a head is clicked and shows what is chosen in the filters, and again
// when the table is drawn anew; a click on a row opens it.
const key = (cell) => cell.dataset.value ?? cell.textContent;
let column = null, down = false;
const filter = () => {
  const chosen = [...document.querySelectorAll("#batch-filters select")].filter((s) => s.value);
  const rows = [...element.querySelectorAll("tbody tr")];
  const fits = (row) => (s) => row.dataset[s.dataset.filter].split("|").includes(s.value);
  rows.forEach((row) => (row.hidden = !chosen.every(fits(row))));
  const said = document.querySelector("#batch-filters .cc-done");
  const some = rows.filter((row) => !row.hidden).length;
  const text = chosen.length ? words.shown.replace("{some}", some).replace("{all}", rows.length) : "";
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
// The row that was opened last has the focus again when its result is closed (ui/batch/tab.py).
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
