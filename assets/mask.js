() => {
  // The Mask tab: the removal that a slider plays, and its heatmap, whose cells say what is under the pointer or where the
  // arrow keys have gone.
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const FAR = 16;  // cells, with Shift
  const PUSH_UNIT = 1e-4;  // ui/tabs/mask/heatmap.py
  const within = (target, name) => target instanceof Element && target.closest(name);
  const clamp = (value, most) => Math.min(most, Math.max(0, value));
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const read = new WeakMap();
  const row = (cells) => {
    if (!read.has(cells)) {
      const { part, mask, push, second, channel } = JSON.parse(cells.dataset.row);
      read.set(cells, {
        part,
        mask: new Uint8Array(bytes(mask)),
        second: second && new Uint8Array(bytes(second)),
        push: push && new Int16Array(bytes(push)),
        channel: new Uint16Array(bytes(channel)),
      });
    }
    return read.get(cells);
  };
  const say = (grid, at, line) => {
    const rows = [...grid.querySelectorAll(".cc-mask-cells")];
    line = clamp(line, rows.length - 1);
    const cells = rows[line], { part, mask, second, push, channel } = row(cells);
    at = clamp(at, mask.length - 1);
    const written = (value, digits) => value.toFixed(digits).replace(".", grid.dataset.point);
    const signed = (value) => `${value < 0 ? "\u2212" : "+"}${written(Math.abs(value), 4)}`;
    const told = { part, channel: channel[at], mask: written(mask[at] / 255, 2) };
    if (push) told.push = signed(push[at] * PUSH_UNIT);
    if (second) Object.assign(told, { first: told.mask, second: written(second[at] / 255, 2) });
    grid.parentElement.querySelector(".cc-mask-said").textContent =
      grid.dataset.says.replace(/\{(\w+)\}/g, (_, name) => told[name]);
    for (const other of rows) other.querySelector("b").hidden = other !== cells;
    cells.querySelector("b").style.left = `${(100 * (at + 0.5)) / mask.length}%`;
    Object.assign(grid.dataset, { at, line });
  };
  const over = ({ target, clientX }) => {
    const cells = within(target, ".cc-mask-cells");
    if (!cells) return;
    const grid = cells.closest(".cc-mask"), { left, width } = cells.getBoundingClientRect();
    const line = [...grid.querySelectorAll(".cc-mask-cells")].indexOf(cells);
    say(grid, Math.floor((row(cells).mask.length * (clientX - left)) / width), line);
  };
  document.addEventListener("pointermove", over);
  document.addEventListener("pointerdown", over);
  document.addEventListener("keydown", (event) => {
    const step = KEYS[event.key], grid = step && within(event.target, ".cc-mask");
    if (!grid) return;
    event.preventDefault();
    const far = event.shiftKey ? FAR : 1, { at, line } = grid.dataset;
    say(grid, at === undefined ? 0 : Number(at) + far * step[0], at === undefined ? 0 : Number(line) + step[1]);
  });

  // The removal: one frame of the tile at a time, by the slider or played from the start.
  const PACE = 900;  // ms a frame
  let playing;
  const show = (removal, index) => {
    const frames = removal.querySelectorAll("figure");
    frames.forEach((frame, i) => { frame.hidden = i !== index; });
    const slider = removal.querySelector("input[type=range]");
    slider.value = index;
    slider.setAttribute("aria-valuetext", frames[index].querySelector("[data-spoken]").dataset.spoken);
  };
  const stop = () => clearInterval(playing);
  document.addEventListener("input", ({ target }) => {
    const removal = within(target, ".cc-removal");
    if (!removal) return;
    stop();
    show(removal, Number(target.value));
  });
  document.addEventListener("click", ({ target }) => {
    const removal = within(target, ".cc-play") && target.closest(".cc-removal");
    if (!removal) return;
    stop();
    let index = 0;
    show(removal, index);
    playing = setInterval(() => {
      if (!removal.isConnected || index + 1 >= removal.querySelectorAll("figure").length) stop();
      else show(removal, (index += 1));
    }, PACE);
  });
}
