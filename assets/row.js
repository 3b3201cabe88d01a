// The row of the batch's table that is open (ui/tabs/batch/tab.py): closed by its button or Escape; its neighbours are those
// that stand beside it in the table as it is sorted and chosen now (assets/table.js).
const ways = { ".cc-previous": "previousElementSibling", ".cc-next": "nextElementSibling" };
const beside = (way) => {
  let row = document.querySelector("#batch-table tr[data-opened]");
  if (!row && way === ways[".cc-next"]) return document.querySelector("#batch-table tr[data-number]:not([hidden])");
  do row = row?.[way];
  while (row && (row.hidden || !row.dataset.number));
  return row;
};
element.addEventListener("click", ({ target }) => {
  if (target.closest(".cc-close")) trigger("click");
  const photo = target.closest(".cc-inside button"), row = document.querySelector("#batch-table tr[data-opened]");
  if (photo && row) trigger("select", { index: 10 * row.dataset.number + Number(photo.dataset.index) });
  for (const [name, way] of Object.entries(ways)) if (target.closest(name)) beside(way)?.click();
});
element.addEventListener("keydown", (event) => event.key === "Escape" && trigger("click"));
// J and K go on and back, wherever the focus is, but for a field that is written into; the first J opens the first picture.
document.addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey, target }) => {
  const way = { j: ways[".cc-next"], k: ways[".cc-previous"] }[key];
  if (!way || ctrlKey || metaKey || altKey || !document.querySelector("#batch-table")?.checkVisibility()) return;
  if (!target.closest?.("input:not([type=radio]), textarea, select")) beside(way)?.click();
});
const show = () => {
  for (const [name, way] of Object.entries(ways)) {
    const button = element.querySelector(name), none = !beside(way);
    if (button && button.disabled !== none) button.disabled = none;
  }
};
new MutationObserver(show).observe(document.querySelector("#batch-panes") ?? element, { childList: true, subtree: true, attributeFilter: ["data-opened", "hidden"] });
