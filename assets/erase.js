() => {
  // Erase in Mask: cells under the brush are taken out of the sum, which is the score.
  const panel = (target) => target instanceof Element && target.closest(".cc-erase");
  const told = new WeakMap();
  const data = (erase) => {
    if (!told.has(erase)) told.set(erase, JSON.parse(erase.dataset.erase));
    return told.get(erase);
  };
  const score = (logit) => 1 / (1 + Math.exp(-logit));
  const say = (erase) => {
    const { cells, logit, low, high, point, says, turns, bands } = data(erase);
    const gone = [...erase.querySelectorAll("i")].flatMap((cell, i) => (cell.classList.contains("cc-gone") ? [i] : []));
    const band = (p) => (p >= high ? "high" : p <= low ? "low" : "middle");
    const left = score(logit - gone.reduce((sum, i) => sum + cells[i], 0)), before = score(logit);
    const words = { score: left.toFixed(2), before: before.toFixed(2), band: bands[band(left)] };
    const said = says.replace(/\{(\w+)\}/g, (_, name) => (name === "band" ? words.band : words[name].replace(".", point)));
    erase.parentElement.querySelector(".cc-erase-said").textContent = band(left) === band(before) ? said : `${said} ${turns}`;
    const field = erase.closest(".cc-erase-room")?.querySelector(".cc-erase-cells textarea, .cc-erase-cells input");
    if (!field) return;
    field.value = gone.join(",");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const brush = (event) => {
    const erase = panel(event.target);
    if (!erase || !(event.buttons & 1)) return;
    event.preventDefault();
    const grid = erase.querySelector(".cc-erase-grid"), { left, top, width, height } = grid.getBoundingClientRect();
    const { columns, cells } = data(erase), rows = cells.length / columns, across = width / columns, down = height / rows;
    const x = (event.clientX - left) / across, y = (event.clientY - top) / down, reach = 1.2;
    [...grid.children].forEach((cell, i) => {
      const near = Math.hypot((i % columns) + 0.5 - x, Math.floor(i / columns) + 0.5 - y) < reach;
      if (near) cell.classList.add("cc-gone");
    });
    say(erase);
  };
  // The server does not know which cells are erased, so that it could not take them back.
  const again = (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[id$=-erase-again]")) return;
    const erase = event.target.closest(".cc-erase-room").querySelector(".cc-erase");
    erase.querySelectorAll(".cc-gone").forEach((cell) => cell.classList.remove("cc-gone"));
    erase.parentElement.querySelector(".cc-erase-said").textContent = data(erase).hint;
  };
  document.addEventListener("click", again);
  document.addEventListener("pointerdown", brush);
  document.addEventListener("pointermove", brush);
}
