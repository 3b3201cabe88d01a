() => {
  // Nothing that was said of another picture stands beside the one that was chosen last, however slow the line is. Every
  // answer carries the number of its request (ui/panel.py), and numbers grow with time. Hidden is what is older than an
  // answer that was there, than the file that was chosen last, or, beside an emptied field, than the newest request. Until
  // the server has heard of a file, the page says itself that it is on its way, or why it is not (ui/scripts.py).
  // By panel: its fields, what is hidden, and where it is answered.
  const panels = {
    check: ["#picture", "#answer, #layer", "#status"],
    compare: ["#compare-a, #compare-b", "#compare-result, #compare-answer", "#compare-answer"],
    mask: ["#mask-picture", "#mask-screen, #mask-worth, #mask-research, #mask-answer", "#mask-answer"],
    "mask-second": ["#mask-second", "#mask-second-answer, #mask-heatmaps", "#mask-second-answer"],
    purify: ["#purify-picture", "#purify-status, #purify-results, #purify-history", "#purify-status"],
  };
  const LATE = 2000;  // ms after which it is also said aloud
  const FAILED = 1000;  // ms for which a field is empty whose upload has failed
  const newest = {};  // by panel: the largest number of an answer
  const chosen = {};  // by panel: when a file was chosen, in which field, and the card about it
  const now = () => performance.timeOrigin + performance.now();  // as requests are numbered
  const isEmpty = (field) => field?.querySelector("input[type=file]") && !field.querySelector("img");

  const show = () => {
    for (const [panel, [fields, hidden, place]] of Object.entries(panels)) {
      const answered = Number(document.querySelector(`#${panel}-answered [data-turn]`)?.dataset.turn ?? 0);
      const asked = window.ccTurns?.[panel] ?? 0, file = chosen[panel];
      newest[panel] = Math.max(newest[panel] ?? 0, answered);
      if (file) {
        file.empty = isEmpty(document.getElementById(file.field)) ? file.empty ?? now() : null;  // since when
        const gone = file.sent && file.empty && (asked > file.at || now() - file.empty > FAILED);
        if (gone || answered >= file.at) {
          file.card.remove();
          delete chosen[panel];
        } else if (!file.card.isConnected) document.querySelector(place)?.before(file.card);
      }
      const emptied = [...document.querySelectorAll(fields)].some(isEmpty) ? asked : 0;
      const stale = answered < Math.max(newest[panel], emptied, chosen[panel]?.at ?? 0);
      document.querySelectorAll(hidden).forEach((piece) => piece.classList.toggle("cc-stale", stale));
    }
  };
  const choose = (field, says) => {
    const panel = Object.keys(panels).find((name) => field?.matches(panels[name][0]));
    if (!panel) return;
    chosen[panel]?.card.remove();
    const card = document.querySelector(`#on-its-way [data-card=${says}] .cc-card`).cloneNode(true), sent = says === "one";
    card.classList.add("cc-own");
    chosen[panel] = { at: now(), field: field.id, card, sent };
    if (sent) setTimeout(() => card.isConnected && (card.dataset.say = card.dataset.late), LATE);
    else {
      delete card.dataset.say;
      card.setAttribute("role", "alert");  // spoken again where the next file is too large as well
    }
    show();
    if (!sent) card.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("change", ({ target }) => {
    if (target instanceof Element && target.matches("input[type=file]") && target.files.length) choose(target.closest(".cc-picture"), "one");
  }, true);
  for (const says of ["large", "none"]) document.addEventListener(`cc-${says}`, ({ target }) => choose(target, says));
  new MutationObserver(show).observe(document.body, { childList: true, subtree: true });
  setInterval(show, 500);
}
