() => {
  // A part is chosen on the picture itself (ui/tabs/check/crop.py): by dragging, with a mouse or a finger, or by arrow keys.
  // What is chosen goes into the sliders, which do the same by numbers. A finger scrolls the page until choosing begins.
  const NAMES = ["left", "top", "right", "bottom"];
  const WHOLE = [0, 0, 100, 100], MIDDLE = [25, 25, 75, 75];
  const GRASP = 24;  // px around a corner
  const LEAST = 1;  // percent of a side
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const SETTLED = 300;  // ms after the last key
  const range = (name) => document.querySelector(`#part-${name} input[type=range]`);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, Math.round(10 * value) / 10));
  const sides = (crop) => NAMES.map((name) => Number(crop.dataset[name]));
  const whole = (crop) => sides(crop).every((side, i) => side === WHOLE[i]);
  let drag, writing, due;

  const show = (crop, [left, top, right, bottom]) => {
    Object.assign(crop.dataset, { left, top, right, bottom });
    crop.classList.toggle("cc-whole", whole(crop));
    const place = { left, top, width: right - left, height: bottom - top };
    const frame = crop.querySelector(".cc-frame");
    for (const [name, value] of Object.entries(place)) frame.style[name] = `${value}%`;
  };
  const write = (crop) => {
    clearTimeout(due);
    if (!crop.isConnected) return;  // another picture has come meanwhile, or none is there
    document.querySelector("#part-at").textContent = crop.dataset.words.replace(/\{(\w+)\}/g, (_, name) => crop.dataset[name]);
    writing = true;
    sides(crop).forEach((side, i) => {
      const input = range(NAMES[i]);
      if (Number(input.value) === side) return;
      input.value = side;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
    writing = false;
  };
  const choose = (crop, on) => {
    crop.classList.toggle("cc-choosing", on);
    document.querySelector(".cc-choose").setAttribute("aria-pressed", String(on));
    const frame = crop.querySelector(".cc-frame");
    if (on) frame.tabIndex = 0;
    else frame.removeAttribute("tabindex");
  };
  const cropOf = (event) => event.target instanceof Element && event.target.closest(".cc-crop");
  const at = (event, crop) => {
    const { left, top, width, height } = crop.getBoundingClientRect();
    return [clamp((100 * (event.clientX - left)) / width, 0, 100), clamp((100 * (event.clientY - top)) / height, 0, 100)];
  };
  // The corner opposite to the one that is held: it stays where it is.
  const held = (event, crop) => {
    const [left, top, right, bottom] = sides(crop);
    const { left: x, top: y, width, height } = crop.getBoundingClientRect();
    const corners = [[left, top, right, bottom], [right, top, left, bottom], [left, bottom, right, top], [right, bottom, left, top]];
    const far = ([across, down]) => Math.hypot(x + (across * width) / 100 - event.clientX, y + (down * height) / 100 - event.clientY);
    const nearest = corners.sort((a, b) => far(a) - far(b))[0];
    return far(nearest) <= GRASP && nearest.slice(2);
  };

  document.addEventListener("pointerdown", (event) => {
    const crop = cropOf(event);
    if (!crop || event.button || !event.isPrimary || (event.pointerType !== "mouse" && !crop.classList.contains("cc-choosing"))) return;
    event.preventDefault();
    const [x, y] = at(event, crop), before = sides(crop), [left, top, right, bottom] = before;
    const inside = !whole(crop) && x > left && x < right && y > top && y < bottom;
    const anchor = (!whole(crop) && held(event, crop)) || (!inside && [x, y]);
    drag = { id: event.pointerId, crop, before, from: [x, y], anchor };
    crop.setPointerCapture(event.pointerId);
  });
  document.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drag?.id) return;
    const { crop, before, from, anchor } = drag, [x, y] = at(event, crop);
    if (anchor) return show(crop, [Math.min(x, anchor[0]), Math.min(y, anchor[1]), Math.max(x, anchor[0]), Math.max(y, anchor[1])]);
    show(crop, moved(before, x - from[0], y - from[1]));
  });
  const moved = ([left, top, right, bottom], across, down) => {
    const x = clamp(across, -left, 100 - right), y = clamp(down, -top, 100 - bottom);
    return [left + x, top + y, right + x, bottom + y].map((side) => clamp(side, 0, 100));
  };
  const drop = (event) => {
    if (event.pointerId !== drag?.id) return;
    const { crop, before } = drag, [left, top, right, bottom] = sides(crop);
    drag = undefined;
    if (event.type !== "pointerup" || right - left < LEAST || bottom - top < LEAST) return show(crop, before);  // a click is no part
    if (whole(crop) || !crop.isConnected) return;
    choose(crop, true);
    crop.querySelector(".cc-frame").focus({ preventScroll: true });
    write(crop);
  };
  document.addEventListener("pointerup", drop);
  document.addEventListener("pointercancel", drop);

  document.addEventListener("keydown", (event) => {
    if (!(event.target instanceof Element && event.target.matches(".cc-frame")) || event.altKey || event.ctrlKey || event.metaKey) return;
    const crop = cropOf(event), step = KEYS[event.key];
    if (step) {
      const [left, top, right, bottom] = sides(crop);
      const grown = [left, top, clamp(right + step[0], left + LEAST, 100), clamp(bottom + step[1], top + LEAST, 100)];
      show(crop, event.shiftKey ? grown : moved([left, top, right, bottom], ...step));
      clearTimeout(due);
      due = setTimeout(write, SETTLED, crop);
    } else if (event.key === "Enter") {
      write(crop);
      setTimeout(() => document.querySelector("#part-judge").click(), 50);  // once Gradio has the sliders' values
    } else if (event.key === "Escape") {
      write(crop);
      choose(crop, false);
      document.querySelector(".cc-choose").focus();
    } else return;
    event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest(".cc-choose");
    const crop = button && document.querySelector(".cc-crop");
    if (!crop) return;
    const on = button.getAttribute("aria-pressed") !== "true";
    choose(crop, on);
    if (!on) return;
    if (whole(crop)) show(crop, MIDDLE);
    crop.querySelector(".cc-frame").focus();
    write(crop);
  });
  // The answer stands far above, most of all on a phone. Until the person does something, the browser must not keep what
  // comes below it in its place.
  const { style } = document.documentElement;
  document.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element && target.closest("#part-judge, #inside button"))) return;
    style.overflowAnchor = "none";
    document.querySelector("#status").scrollIntoView();
  });
  for (const act of ["wheel", "touchstart", "pointerdown", "keydown"]) document.addEventListener(act, () => (style.overflowAnchor = ""), { passive: true });
  // The sliders are for the keyboard, and stay in sight once one has the focus: nothing moves under a press that follows.
  document.addEventListener("focusin", ({ target }) => {
    const row = target instanceof Element && target.closest("#part-sides");
    if (row) row.dataset.shown = "";
  });
  // They move the frame, too.
  document.addEventListener("input", ({ target }) => {
    if (writing || !(target instanceof Element && NAMES.some((name) => target.closest(`#part-${name}`)))) return;
    setTimeout(() => {
      const crop = document.querySelector(".cc-crop"), [left, top, right, bottom] = NAMES.map((name) => Number(range(name).value));
      if (crop) show(crop, [Math.min(left, right), Math.min(top, bottom), Math.max(left, right), Math.max(top, bottom)]);
    });
  });
  // A picture that comes anew has its frame where the sliders are.
  new MutationObserver(() => {
    for (const crop of document.querySelectorAll(".cc-crop:not([data-framed])")) {
      crop.dataset.framed = "";
      show(crop, sides(crop));
    }
  }).observe(document.body, { childList: true, subtree: true });
}
