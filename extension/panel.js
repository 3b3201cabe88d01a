// What the panel shows: each step, the answer, and what to do where a picture is out of reach. Text is never read as HTML.
import { HOME, keep, settings } from "./app.js";

const api = globalThis.browser ?? chrome;
const MEANING = {
  "likely generated":
    "It carries traces like those of image generators; that does not say who made it, or whether what it shows happened.",
  inconclusive: "Its traces point neither way: treat this as no answer.",
  "likely not generated":
    "Few traces of image generators were found; it may still be edited, staged, or from a generator that leaves other traces.",
};
const UNSTABLE = "Re-saving it changes the answer, so treat this as no answer.";
const UNCHECKED = "Testing 8 re-saved copies…";
const WHY = {  // there is no answer, by the kind of picture
  drawing:
    "It looks like a drawing, a painting or a rendering. The detector knows photographs, and generated pictures that look like photographs; on anything else its score would mean nothing.",
  page:
    "It looks like a screenshot, a chart, a scan, a meme or a collage. The detector knows photographs, and generated pictures that look like photographs; on anything else its score would mean nothing.",
  blank:
    "There is no picture in it that could be judged: it is one colour, or even noise. The detector would give such a file a score all the same, and it would mean nothing.",
};
const SHOWN = {
  reading: () => [text("h1", "Reading the picture")],
  choose: ({ place, found }) => choices(place, found),
  "out of reach": (state) => outOfReach(state),
  asking: ({ small }) => [text("h1", "Looking at the picture"), ...picture(small)],
  failed: (state) => failed(state),
  answered: (state) => answered(state),
};
const said = document.querySelector("#said");
const form = document.querySelector("form");

function text(tag, words, properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: words, ...properties });
}

function button(words, onclick, properties = {}) {
  return text("button", words, { type: "button", onclick, ...properties });
}

const work = (name, given) => api.runtime.sendMessage({ work: name, given });
const picture = (src) => (src ? [Object.assign(new Image(), { src, alt: "The picture that was read" })] : []);

function choices(place, found) {
  if (!found.length) {
    const page = button("Check what is seen, as a screenshot", () => work("screenshot", { ...place, rect: null }));
    return [text("h1", "No picture was found here"), text("p", "The browser may not let extensions look at this page."), page];
  }
  const grid = text("div", "", { className: "choices" });
  for (const { url, rect } of found) {
    const one = button("", () => work("check", { ...place, url, rect }), { title: url.slice(0, 200) });
    one.append(Object.assign(new Image(), { src: url, alt: `Check ${url.slice(0, 80)}` }));
    grid.append(one);
  }
  return [text("h1", "Which picture?"), grid];
}

function outOfReach({ place, host }) {
  const allow = button(`Let the extension read from ${host}`, async () => {
    if (await api.permissions.request({ origins: [`${host}/*`] })) await work("check", place);
  });
  const shot = button("Check a screenshot of it instead", () => work("screenshot", place));
  return [
    text("h1", "The picture is on another host"),
    text("p", "The browser keeps it from this page's extensions. A screenshot has lost much of what is looked for."),
    ...(host ? [allow] : []),
    shot,
  ];
}

function failed({ error, claims, small, place }) {
  if (!claims) return [text("h1", "No answer"), ...picture(small), text("p", error)];
  const claimed = claims.headline.source !== "pixels";
  const card = text("section", "", { className: claimed ? claims.headline.tone : "" });
  const lines = claimed ? [claims.answer, word(claims.headline), claims.headline.pixels] : ["No answer", error];
  lines.forEach((line, i) => card.append(text(i ? "p" : "h1", line)));
  return [...picture(small), card, facts(claims, place)];
}

// What the headline rests on, where that is not the pixels.
function word({ source, proved, claimed }) {
  return { signature: proved, file: claimed, mark: claimed }[source];
}

function answered({ found, place, small, mark, checking, unchecked }) {
  const card = text("section", "", { className: found.headline.tone });
  const judged = found.probability !== null;
  const score = judged && `Score ${digits(found)} of 1. From ${found.high.toFixed(2)} on the answer is likely generated, up to ${found.low.toFixed(2)} likely not generated.`;
  card.append(text("h1", found.answer));
  if (mark) card.append(Object.assign(new Image(), { src: mark, alt: "The mark, enlarged" }));
  const seen = found.band === found.band_as_it_is ? MEANING[found.band] : UNSTABLE;
  const survives = unchecked ? `${found.stability.sentence} ${unchecked}` : found.stability?.sentence;
  const standing = found.reference ?? found.archive;  // as apps called it before
  const lines = [word(found.headline) ?? seen, found.headline.agreement, judged ? !checking && survives : WHY[found.kind], standing?.sentence];
  if (judged) lines.push(...(standing?.unlike ?? []), ...(found.cautions ?? []).map((one) => one.sentence));
  else lines.push(found.next_steps?.[0]);
  if (checking) card.append(text("p", UNCHECKED, { className: "checking" }));
  for (const line of [...lines, score].filter(Boolean)) card.append(text("p", line));
  return [...picture(small), card, facts(found, place), button("Keep the whole report", save)];
}

// As many digits as it takes not to contradict the band; never a certainty that no detector has.
function digits({ probability, low, high }) {
  for (const n of [2, 3, 4, 6]) {
    const [p, l, h] = [probability, low, high].map((value) => Number(value.toFixed(n)));
    if ((p >= h) === (probability >= high) && (p <= l) === (probability <= low) && p > 0 && p < 1) return p.toFixed(n);
  }
  return probability < 0.5 ? "under 0.000001" : "over 0.999999";
}

function facts(found, place) {
  const list = document.createElement("dl");
  const read = place.screenshot ? "a screenshot, which has lost much of what is looked for" : place.url.slice(0, 300);
  const rows = {
    "What was read": place.larger ? `${read} (the largest version that the page offers)` : read,
    "Found on": found.found_at || "not sent",
    "The file says": found.provenance?.summary,
    ...(found.provenance?.marks?.length && { Marks: named(found.provenance.marks) }),
    Picture: found.width ? `${found.width} × ${found.height} pixels, ${found.format}` : found.format,
    "SHA-256 of the file": found.sha256,
  };
  for (const [name, value] of Object.entries(rows)) {
    const row = document.createElement("div");
    row.append(text("dt", name), text("dd", value ?? ""));
    list.append(row);
  }
  return list;
}

function named(marks) {
  const words = ({ generator, kind, excerpt }) => `${generator} (${kind})${excerpt ? `: “${excerpt.slice(0, 80)}”` : ""}`;
  return [...new Set(marks.map(words))].join("; ");
}

async function save() {
  const { html, error } = await work("report");
  if (error) return said.append(text("p", error));
  const href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  return Object.assign(document.createElement("a"), { href, download: "causalclip-report.html" }).click();
}

function show(state) {
  const steps = state ? SHOWN[state.step](state) : [text("h1", "Right-click a picture, and choose to check it")];
  if (state?.found && said.dataset.checking === state.found.sha256) refresh(steps);
  else said.replaceChildren(...steps);
  said.dataset.step = state?.step ?? "";
  said.dataset.checking = state?.checking ? state.found.sha256 : "";
  if (state?.setup) document.querySelector("#setup").open = true;
}

// The same answer, now checked: what has not changed stays, with the focus in it, and is not read out again.
function refresh(steps) {
  const shown = [...said.children];
  steps.forEach((step, i) => shown[i].isEqualNode(step) || shown[i].replaceWith(step));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { address, token } = Object.fromEntries(new FormData(form));
  const { error } = await keep(address, token);
  form.querySelector("#kept").textContent = error ?? "Kept. Check a picture.";
  form.elements.token.value = "";
});

api.storage.session.onChanged.addListener(({ state }) => state && show(state.newValue));
const { address, token } = await settings();
form.elements.address.value = address || HOME;
document.querySelector("#setup").open = !token;
show((await api.storage.session.get("state")).state);
