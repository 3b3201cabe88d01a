() => {
  // The upload field refuses what has no image type, and some systems give HEIC, AVIF and TIFF files none; so everything
  // gets one, and the server says what is wrong with a file that is no picture. Files are also renamed, so that the name
  // that a person gave a picture never leaves the browser.
  const types = { avif: "image/avif", heic: "image/heic", heif: "image/heif", tif: "image/tiff", tiff: "image/tiff" };
  const ENDING = /\.(avif|bmp|gif|hei[cf]|jpe?g|png|tiff?|webp)$/i;  // of another kind it may be all of the name
  const place = ".cc-picture";
  const inputOf = (element) => element && element.querySelector("input[type=file]");

  const plain = (file) => {
    const ending = ENDING.exec(file.name)?.[1].toLowerCase();
    const kind = file.type.startsWith("image/") ? file.type : types[ending] || "image/unknown";
    return new File([file], ending ? `picture.${ending}` : "picture", { type: kind });
  };

  const fill = (input, files) => {
    const transfer = new DataTransfer();
    transfer.items.add(plain(files[0]));
    input.files = transfer.files;
  };

  const offer = (event, files, input) => {
    if (!input || !files || !files.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    fill(input, files);
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const fieldOf = (event) => event.target instanceof Element && event.target.closest(place);
  // What is pasted goes to the first empty field that is in sight.
  const empty = () => [...document.querySelectorAll(place)].filter((e) => e.checkVisibility()).map(inputOf).find(Boolean);
  const most = () => Number(document.querySelector("#on-its-way [data-bytes]").dataset.bytes);
  document.addEventListener("change", (event) => {
    const input = event.target, field = fieldOf(event);
    if (input !== inputOf(field) || !input.files.length) return;
    if (input.files[0].size > most()) {  // refused here, in a sentence of ours (assets/stale.js)
      event.stopImmediatePropagation();
      input.value = "";
      field.dispatchEvent(new Event("cc-large", { bubbles: true }));
    } else fill(input, input.files);
  }, true);
  document.addEventListener("drop", (event) => offer(event, event.dataTransfer.files, inputOf(fieldOf(event))), true);
  // The field's own button would send what it reads past all this, and say nothing where it finds no picture.
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-testid='source-select'] button:last-of-type");
    const field = button && fieldOf(event), input = inputOf(field);
    if (!input) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    try {
      const [item] = (await navigator.clipboard.read()).filter((i) => i.types.some((t) => t.startsWith("image/")));
      const kind = item.types.find((t) => t.startsWith("image/"));
      fill(input, [new File([await item.getType(kind)], `pasted.${kind.slice(6)}`, { type: kind })]);
    } catch {  // there is none, or the browser does not let the page read it
      return field.dispatchEvent(new Event("cc-none", { bubbles: true }));
    }
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, true);
  document.addEventListener("paste", (event) => offer(event, event.clipboardData.files, empty()), true);

  // A phone's camera, and another picture in the place of the one that is there: it goes into the field as a chosen file does.
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element && target.closest(".cc-camera, .cc-another");
    if (!button) return;
    const chosen = Object.assign(document.createElement("input"), { type: "file" });
    if (button.matches(".cc-camera")) {
      chosen.accept = "image/*";
      chosen.setAttribute("capture", "environment");
    }
    chosen.addEventListener("change", () => {
      const input = inputOf(document.querySelector("#picture"));
      if (!input || !chosen.files.length) return;
      fill(input, chosen.files);
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
    chosen.click();
  });

  // A magnifier for the picture in the Check tab, without its map: plus and minus zoom, arrow keys scroll, Escape closes. It
  // opens at a visible mark where there is one.
  const MARK = 0.3;  // of the magnifier's width: how large a mark is at first
  const magnify = (source, words, mark) => {
    const lens = document.createElement("dialog");
    lens.className = "cc-lens";
    lens.setAttribute("aria-label", words.name);
    lens.innerHTML =
      "<div><button type='button' data-by='1.5'></button><button type='button' data-by='0.667'></button>" +
      "<button type='button' data-close></button></div><div tabindex='0' role='region'></div>";
    const said = [`${words.larger} (+)`, `${words.smaller} (-)`, words.close];
    lens.querySelectorAll("button").forEach((button, i) => (button.textContent = said[i]));
    lens.lastElementChild.setAttribute("aria-label", words.scroll);
    const place = lens.lastElementChild;
    const image = Object.assign(new Image(), { src: source, alt: words.name });
    place.append(image);
    let width = 0;
    const zoom = (by) => {
      const x = (place.scrollLeft + place.clientWidth / 2) / width;
      const y = (place.scrollTop + place.clientHeight / 2) / width;
      width = Math.min(12000, Math.max(100, width * by));
      image.style.width = `${width}px`;
      place.scrollTo(x * width - place.clientWidth / 2, y * width - place.clientHeight / 2);
    };
    lens.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (event.target === lens || button?.dataset.close !== undefined) lens.close();
      else if (button) zoom(Number(button.dataset.by));
    });
    lens.addEventListener("keydown", (event) => {
      if (event.key === "+" || event.key === "=") zoom(1.5);
      if (event.key === "-") zoom(1 / 1.5);
    });
    lens.addEventListener("close", () => lens.remove());
    document.body.append(lens);
    lens.showModal();
    width = place.clientWidth;
    image.style.width = `${width}px`;
    place.focus();
    if (!mark) return;
    const [left, top, across, down] = ["left", "top", "width", "height"].map((side) => parseFloat(mark.style[side]) / 100);
    image.decode().then(() => {
      zoom(Math.max(1, MARK / across));
      const height = (width * image.naturalHeight) / image.naturalWidth;
      place.scrollTo((left + across / 2) * width - place.clientWidth / 2, (top + down / 2) * height - place.clientHeight / 2);
    });
  };
  document.addEventListener("click", (event) => {
    // On a phone the examples stand below the answer: what was chosen comes into sight.
    if (event.target instanceof Element && event.target.closest("#examples button")) document.querySelector("#picture").scrollIntoView({ block: "nearest" });
    const button = event.target instanceof Element && event.target.closest(".cc-magnify");
    const picture = button && document.querySelector("#picture img");
    if (picture) magnify(picture.src, button.dataset, document.querySelector("#layer .cc-box"));
  });

  const ANSWERS = "#status, #batch-status, #compare-answer, #reference-status, #mask-answer, #purify-results, #measured";
  // Links within the page. As they are, they would load it anew where its address names a language, and the answer would be
  // gone: Gradio's <base> leaves that out. What is folded there is unfolded first.
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const place = link.getAttribute("href");
    event.preventDefault();
    if (link.matches(".cc-skip")) {  // to the answer of the tab that is open
      const answer = [...document.querySelectorAll(ANSWERS)].find((one) => one.checkVisibility());
      const title = answer?.querySelector("h2[tabindex]") ?? answer;
      if (title) Object.assign(title, { tabIndex: -1 }).focus();
      return;
    }
    if (["#part", "#inquiries"].includes(place)) document.querySelector(`${place} .label-wrap:not(.open)`)?.click();
    if (location.hash === place) history.replaceState(null, "", location.pathname + location.search);
    location.hash = place;  // scrolls there, and Tab goes on from there
  });

  // Days are chosen in the browser's own calendar, in the reader's language.
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches(".cc-day input")) target.type = "date";
  });

  // Buttons that copy: the picture, as PNG, for the pages of reverse search; and the sentence to paste.
  const asPng = async (image) => {
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject()), "image/png"));
  };
  const copies = {
    "cc-copy-picture": () => navigator.clipboard.write([new ClipboardItem({ "image/png": asPng(document.querySelector("#picture img")) })]),
    "cc-copy-text": (button) => navigator.clipboard.writeText(button.closest("section").querySelector("blockquote").textContent),
  };
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element && event.target.closest(".cc-copy-picture, .cc-copy-text");
    if (!button) return;
    const copy = copies[button.classList.contains("cc-copy-text") ? "cc-copy-text" : "cc-copy-picture"];
    const said = button.parentElement.querySelector(".cc-done");
    try {
      await copy(button);
      said.textContent = button.dataset.done;
    } catch {
      said.textContent = button.dataset.failed;
    }
  });

  // What a card says in one sentence is spoken once: the card itself is no live region, as it is written several times.
  // How far something is (data-every) is spoken so many seconds after the last time. What a button has done is spoken, too.
  // All of it goes soon after: who reads to the end of the page would hear it again.
  const SPOKEN = 5000;  // ms
  const speaker = Object.assign(document.createElement("p"), { className: "cc-hidden", role: "status" });
  speaker.id = "spoken";
  document.body.append(speaker);
  let over;
  const spoken = {}, said = {}, at = {};
  const done = new WeakMap();
  const say = (text) => {
    speaker.textContent = text;
    clearTimeout(over);
    over = setTimeout(() => (speaker.textContent = ""), SPOKEN);
  };
  const speak = () => {
    for (const card of document.querySelectorAll("[data-say]")) {
      const place = card.parentElement.closest("[id]")?.id;
      const soon = Date.now() - (at[place] ?? 0) < 1000 * (card.dataset.every ?? 0);
      if (spoken[place] === card.dataset.say || soon || !card.checkVisibility()) continue;
      spoken[place] = card.dataset.say;
      at[place] = Date.now();
      const title = card.querySelector("h2");  // who stands on it has heard it
      const heard = title === document.activeElement ? `${title.lastChild.textContent}. ` : "";
      const rest = heard && card.dataset.say.startsWith(heard) ? card.dataset.say.slice(heard.length) : card.dataset.say;
      say(rest === said[place] ? card.dataset.say : rest);  // where the title alone has changed, that is what is new
      said[place] = rest;
    }
    for (const place of document.querySelectorAll(".cc-done")) {
      if ((done.get(place) ?? "") !== place.textContent && place.textContent) say(place.textContent);
      done.set(place, place.textContent);
    }
  };

  // How long somebody has waited for an answer by now: counted on in each part of the page, though what stands there is
  // written again while they wait, and anew for each of their wishes (ui/panel.py).
  const LONG = 5;  // seconds from which that is said
  const since = new Map();
  const turnOf = (part) => {
    const turns = window.ccTurns ?? {};
    return turns[Object.keys(turns).find((name) => part.id.startsWith(name)) ?? "check"];
  };
  const count = () => {
    const places = new Map([...document.querySelectorAll(".cc-elapsed")].map((e) => [e.closest("[id]"), e]));
    for (const part of [...since.keys()]) if (!places.has(part)) since.delete(part);
    for (const [part, place] of places) {
      const turn = turnOf(part);
      if (!since.has(part) || since.get(part).turn !== turn) since.set(part, { turn, at: Date.now() });
      const n = Math.round((Date.now() - since.get(part).at) / 1000), text = n < LONG ? "" : place.dataset.words.replace("{n}", n);
      if (place.textContent !== text) place.textContent = text;
    }
  };
  setInterval(count, 1000);

  // Who has given a picture, and has not gone elsewhere meanwhile, stands on its answer once that is there.
  let waits = false;
  const arrive = () => {
    const title = document.querySelector("#status .cc-answered h2");
    if (!title) waits ||= Boolean(document.querySelector("#status .cc-waiting:not(.cc-empty), #status .cc-pending"));
    else if (waits) {
      waits = false;
      const at = document.activeElement;
      if (!at || at === document.body || at.closest("#picture, #examples")) title.focus({ preventScroll: true });
    }
  };
  new MutationObserver(() => (arrive(), speak(), count())).observe(document.body, { childList: true, subtree: true });

  // The card is written again once it is known whether its answer is stable. Who stands on a link or a button in it by
  // keyboard keeps that place.
  let held;
  document.addEventListener("focusin", (event) => (held = event.target instanceof Element && event.target.closest("#status, #chips, #steps") && event.target));
  document.addEventListener("focusout", ({ target }) => queueMicrotask(() => held === target && target.isConnected && (held = undefined)));
  new MutationObserver(() => {
    if (!held || held.isConnected || document.activeElement !== document.body) return;
    const { textContent, tagName, dataset } = held;
    const same = (e) => e.tagName === tagName && (tagName === "H2" || (dataset.panel ? e.dataset.panel === dataset.panel : e.textContent === textContent));
    held = undefined;
    [...document.querySelectorAll("#status h2, #chips button, #steps a, #steps button, #steps summary")].find(same)?.focus({ preventScroll: true });
  }).observe(document.body, { childList: true, subtree: true });

  document.documentElement.dataset.renames = "yes";  // from here on, no name of a picture leaves the browser
}
