() => {
  // The answer in Check: its map lies over the picture, and chips open what is behind it. All of it in the browser.
  const find = (name) => document.querySelector(name);
  const within = (target, name) => target instanceof Element && target.closest(name);
  const layer = () => find("#layer .cc-layer");

  // As the picture is drawn: within its field, at whatever size.
  const place = () => {
    const shown = layer(), picture = find("#picture img");
    if (!shown || !picture?.naturalWidth) return;
    const box = picture.getBoundingClientRect(), from = find("#stage").getBoundingClientRect();
    const scale = Math.min(box.width / picture.naturalWidth, box.height / picture.naturalHeight);
    const width = scale * picture.naturalWidth, height = scale * picture.naturalHeight;
    const sides = { left: box.left - from.left + (box.width - width) / 2, top: box.top - from.top + (box.height - height) / 2, width, height };
    for (const [name, value] of Object.entries(sides)) {
      const text = `${Math.round(10 * value) / 10}px`;
      if (shown.style[name] !== text) shown.style[name] = text;
    }
    shown.classList.add("cc-placed");
  };
  const sizes = new ResizeObserver(place);
  document.addEventListener("load", ({ target }) => within(target, "#picture") && place(), true);
  window.addEventListener("resize", place);

  // What a place says: of 3 x 3, under the pointer or the finger, or by arrow keys.
  const PLACES = 3, KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const clamp = (value) => Math.min(PLACES - 1, Math.max(0, Math.floor(value)));
  const read = (shown, column, row) => {
    const cell = shown.querySelector(".cc-cell"), side = 100 / PLACES;
    Object.assign(cell.style, { left: `${side * column}%`, top: `${side * row}%`, width: `${side}%`, height: `${side}%` });
    cell.hidden = false;
    shown.dataset.at = PLACES * row + column;
    find("#layer .cc-readout").textContent = JSON.parse(shown.dataset.parts)[PLACES * row + column];
  };
  const leave = () => {
    const said = find("#layer .cc-readout");
    if (!said) return;
    said.textContent = said.dataset.hint;
    find("#layer .cc-cell").hidden = true;
  };
  const over = ({ target, clientX, clientY }) => {
    const shown = within(target, ".cc-layer[data-parts]");
    if (!shown) return;
    const { left, top, width, height } = shown.getBoundingClientRect();
    read(shown, clamp((PLACES * (clientX - left)) / width), clamp((PLACES * (clientY - top)) / height));
  };
  document.addEventListener("pointermove", over);
  document.addEventListener("pointerdown", over);
  document.addEventListener("pointerout", ({ target, pointerType }) => pointerType === "mouse" && within(target, ".cc-layer") && leave());
  document.addEventListener("focusout", ({ target }) => within(target, ".cc-layer") && leave());
  document.addEventListener("keydown", (event) => {
    const step = KEYS[event.key], shown = step && within(event.target, ".cc-layer[data-parts]");
    if (!shown) return;
    event.preventDefault();
    const at = Number(shown.dataset.at ?? 4);
    read(shown, clamp((at % PLACES) + step[0]), clamp(Math.floor(at / PLACES) + step[1]));
  });

  // From the photograph in colour (0) by the map (50) to its colours alone (100), and the picture without it while a button
  // is held.
  document.addEventListener("input", ({ target }) => {
    if (!within(target, ".cc-opacity")) return;
    layer().style.setProperty("--cc-shown", Math.min(1, target.value / 50));
    layer().style.setProperty("--cc-alone", Math.max(0, target.value / 50 - 1));
  });
  const hold = (on) => layer()?.classList.toggle("cc-without", on);
  document.addEventListener("pointerdown", ({ target }) => within(target, ".cc-hold") && hold(true));
  document.addEventListener("keydown", ({ target, key }) => within(target, ".cc-hold") && [" ", "Enter"].includes(key) && hold(true));
  for (const end of ["pointerup", "pointercancel", "keyup", "blur"]) window.addEventListener(end, () => hold(false));
  document.addEventListener("contextmenu", (event) => within(event.target, ".cc-hold") && event.preventDefault());  // a finger that rests

  // A chip opens its panel, and closes the one that is open, which stays open while another answer is on its way.
  const sync = () => {
    const answer = find("#answer"), chips = document.querySelectorAll("#chips .cc-chip");
    const names = [...chips].map((chip) => chip.dataset.panel);
    if (names.length && !names.includes(answer.dataset.open)) delete answer.dataset.open;
    for (const chip of chips) {
      const open = String(chip.dataset.panel === answer.dataset.open);
      if (chip.getAttribute("aria-expanded") !== open) chip.setAttribute("aria-expanded", open);
    }
  };
  document.addEventListener("click", ({ target }) => {
    const chip = within(target, "#chips .cc-chip");
    if (!chip) return;
    const { dataset } = find("#answer");
    dataset.open = dataset.open === chip.dataset.panel ? "" : chip.dataset.panel;
    sync();
  });
  new MutationObserver(() => {
    sync();
    const picture = find("#picture img");
    if (picture) sizes.observe(picture);
    place();
  }).observe(document.body, { childList: true, subtree: true });
}
