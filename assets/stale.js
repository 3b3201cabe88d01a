() => {
  // Nothing that was said of another picture stands beside the one that was chosen last, however slow the line is. Every
  // answer carries the number of its request (ui/panel.py), and numbers grow with time: what belongs to a turn from
  // before a picture was chosen or removed is hidden, whenever it comes in. Until the server has heard of a picture, the
  // page says itself that it is on its way, or that it is too large to go, or that none was pasted.
  // By field: the part of the page whose turns it takes, what is hidden, and where it is answered.
  const parts = {
    "picture": ["check", "#answer, #layer", "#status"],
    "compare-a": ["compare", "#compare-result", "#compare-answer"],
    "compare-b": ["compare", "#compare-result", "#compare-answer"],
    "mask-picture": ["mask", "#mask-screen, #mask-worth, #mask-research, #mask-answer", "#mask-answer"],
    "mask-second": ["mask-second", "#mask-second-answer, #mask-heatmaps", "#mask-second-answer"],
    "purify-picture": ["purify", "#purify-status, #purify-results, #purify-history", "#purify-status"],
  };
  const SPOKEN = 2000;  // ms that it takes longer than usual: then it is also said aloud
  const FAILED = 1000;  // ms for which a field is as empty as before: its upload has failed
  // Field -> since: the least number of a turn about its picture; before: the same of what stood there before; file: one
  // was chosen, which may not arrive; says, card: what the page says itself (ui/fields.py).
  const wishes = new Map();
  const refused = (says) => ["large", "none"].includes(says);
  const now = () => performance.timeOrigin + performance.now();  // as turns are numbered
  const answered = (part) => Number(document.querySelector(`#${part}-answered [data-turn]`)?.dataset.turn ?? 0);
  const empty = (field) => document.querySelector(`#${field} input[type=file]`) && !document.querySelector(`#${field} img`);
  const newest = (part) => Math.max(...[...wishes].filter(([field]) => parts[field][0] === part).map(([, wish]) => wish.since));

  const show = () => {
    for (const [field, wish] of wishes) {
      const [part, hidden, place] = parts[field];
      const stale = answered(part) < newest(part);  // Compare has two fields for one answer
      document.querySelectorAll(hidden).forEach((piece) => piece.classList.toggle("cc-stale", stale));
      if (!stale) wish.card?.remove();
      else if (wish.card && !wish.card.isConnected) document.querySelector(place)?.before(wish.card);
    }
  };
  const wish = (field, since, { says = "one", file = false } = {}) => {
    const last = wishes.get(field);
    if (!parts[field] || last?.since > since) return;  // of two, the newer one counts
    last?.card?.remove();
    const before = (refused(last?.says) ? last.before : last?.since) ?? 0;
    const card = says ? document.querySelector(`#on-its-way [data-card=${says}] .cc-card`).cloneNode(true) : null;
    card?.classList.add("cc-own");
    wishes.set(field, { since, before, file, says, card });
    if (says === "one") setTimeout(() => card.isConnected && (card.dataset.say = card.dataset.late), SPOKEN);
    if (refused(says)) {
      delete card.dataset.say;
      card.setAttribute("role", "alert");  // spoken again where the next file is too large as well
    }
    show();
    if (refused(says)) card.scrollIntoView({ block: "nearest" });
  };
  const drop = () => {
    for (const [field, wish] of wishes) {
      const lost = wish.file && empty(field) && !(window.ccTurns?.[parts[field][0]] >= wish.since);
      if (!lost) wish.lost = null;
      else if (now() - (wish.lost ??= now()) >= FAILED) {
        wish.since = wish.before;
        show();
      }
    }
  };
  document.addEventListener("change", ({ target }) => {
    const field = target instanceof Element && target.matches("input[type=file]") && target.closest(".cc-picture");
    if (field && target.files.length) wish(field.id, now(), { file: true });
  }, true);
  for (const says of ["large", "none"]) document.addEventListener(`cc-${says}`, ({ target }) => wish(target.id, now(), { says }));
  document.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element)) return;
    const at = now();
    if (target.closest("#examples button, #batch-table .cc-photo, #batch-opened .cc-inside button")) wish("picture", at);
    if (target.closest("#purify-examples button, #open-purify")) wish("purify-picture", at);
    if (target.closest("#mask-examples button, #open-mask")) wish("mask-picture", at);
    if (target.closest("#open-compare, #compare-example button")) wish("compare-a", at);
    const field = target.closest(".cc-picture");
    const gone = (tries) => {
      if (!field.querySelector("img")) wish(field.id, at, { says: "" });
      else if (tries) setTimeout(gone, 50, tries - 1);
    };
    if (field?.querySelector("img")) gone(40);
  }, true);  // before the field has taken out what was clicked
  new MutationObserver(() => wishes.size && show()).observe(document.body, { childList: true, subtree: true });
  setInterval(drop, 500);
}
