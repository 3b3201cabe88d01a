// The batch's table (ui/tabs/batch/results.py): sorts when a head is clicked and shows what the pressed chip chooses, and again
// when the table is drawn anew; a click on a row opens it, and one on its photograph judges that (ui/tabs/batch/handover.py).
const key = (cell) => cell.dataset.value ?? cell.textContent;
let column = null, down = false;
let chosen = null;
const filter = () => {
  const chips = [...element.querySelectorAll("[data-chip]")];
  if (!chips.some((chip) => chip.dataset.chip === chosen)) chosen = null;
  chips.forEach((chip) => {
    const pressed = String(chip.dataset.chip === chosen);
    if (chip.getAttribute("aria-pressed") !== pressed) chip.setAttribute("aria-pressed", pressed);
  });
  element.querySelectorAll("tbody tr").forEach((row) => (row.hidden = chosen !== null && !row.dataset.chips.split("|").includes(chosen)));
};
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
// The row that was opened last has the focus again when its result is closed (ui/tabs/batch/tab.py).
let opened = null;
const mark = () => {
  const rows = element.querySelectorAll("tbody tr");
  rows.forEach((row) => row.toggleAttribute("data-opened", row.dataset.number === opened));
};
element.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-chip]");
  if (chip) {
    chosen = chip.dataset.chip === chosen ? null : chip.dataset.chip;
    filter();
  }
  const row = event.target.closest("tr[data-number]");
  if (row && event.target.closest(".cc-photo")) trigger("select", { index: 10 * row.dataset.number });
  else if (row) {
    opened = row.dataset.number;
    mark();
    row.scrollIntoView({ block: "nearest" });
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
