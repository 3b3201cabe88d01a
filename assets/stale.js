() => {
  // From the moment that another picture is chosen, or the one that is there is removed, until the page says something of
  // that, what was said of the last one is hidden: over a slow line it would stand beside a picture that it is not about.
  // By field: the part of the page whose turns it takes (ui/server/turns.py), what is hidden, and where it is answered.
  const parts = {
    "picture": ["detect", "#answer", "#status"],
    "explore-a": ["explore-a", "#explore-a-pane", "#explore-a-answer"],
    "explore-b": ["explore-b", "#explore-b-pane", "#explore-b-answer"],
    "purify-picture": ["purify", "#purify-results, #purify-history", "#purify-status"],
  };
  const LONGEST = 10000;  // ms: an answer may be the same, letter by letter
  const stale = new Map();
  const turn = (part) => window.ccTurns?.[part];
  const all = (places) => document.querySelectorAll(places);
  const hide = (field, { taken = true } = {}) => {
    const [part, hidden, answer] = parts[field] ?? [];
    const said = part && document.querySelector(answer);
    if (!said || said.querySelector(".cc-empty")) return;
    stale.set(field, { html: said.innerHTML, turn: taken ? null : turn(part), since: Date.now() });
    all(hidden).forEach((place) => place.classList.add("cc-stale"));
  };
  const show = () => {
    for (const [field, { html, turn: before, since }] of stale) {
      const [part, hidden, answer] = parts[field];
      if (turn(part) === before) {
        stale.get(field).since = Date.now();  // it is still on its way
        continue;
      }
      if (document.querySelector(answer).innerHTML === html && Date.now() - since < LONGEST) continue;
      stale.delete(field);
      all(hidden).forEach((place) => place.classList.remove("cc-stale"));
    }
  };
  document.addEventListener("change", ({ target }) => {
    const field = target instanceof Element && target.matches("input[type=file]") && target.closest(".cc-picture");
    if (field && target.files.length) hide(field.id, { taken: false });
  }, true);
  document.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element)) return;
    if (target.closest("#examples button")) hide("picture");
    if (target.closest("#purify-examples button, #open-purify")) hide("purify-picture");
    if (target.closest("#open-explore")) hide("explore-a");
    const field = target.closest(".cc-picture");
    const gone = (tries) => (field.querySelector("img") ? tries && setTimeout(gone, 50, tries - 1) : hide(field.id));
    if (field?.querySelector("img")) gone(40);
  }, true);  // before the field has taken out what was clicked
  new MutationObserver(() => stale.size && show()).observe(document.body, { childList: true, subtree: true });
  setInterval(() => stale.size && show(), 1000);
}
