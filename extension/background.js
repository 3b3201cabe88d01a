// What a click on a menu or on the toolbar's button does: find the picture, read its bytes, ask the app, tell the panel.
import { examine } from "./app.js";
import { crop, enlarge, fromData, inPage, readHere, thumbnail } from "./bytes.js";
import { locate, pictures } from "./page.js";

const api = globalThis.browser ?? chrome;
const MENUS = [
  ["check-picture", "Check this picture", ["image"]],
  ["check-page", "Choose a picture on this page to check", ["page", "link", "frame", "video", "selection"]],
  ["check-screenshot", "Check what is seen, as a screenshot", ["page", "link", "frame", "image", "video"]],
];
const NOWHERE = { x: 0, y: 0, width: 0, height: 0, ratio: 1 };
let turn = {}; // what was chosen last; blob: the picture that was read of it, for its report

api.runtime.onInstalled.addListener(() => {
  api.contextMenus.removeAll(() => {
    for (const [id, title, contexts] of MENUS) api.contextMenus.create({ id, title, contexts });
  });
});

api.contextMenus.onClicked.addListener((info, tab) => {
  openPanel(tab.id);
  const place = { tab: tab.id, frame: info.frameId ?? 0, window: tab.windowId, foundAt: info.pageUrl ?? tab.url ?? "" };
  if (info.menuItemId === "check-picture") return check({ ...place, url: info.srcUrl });
  return info.menuItemId === "check-page" ? choose(place) : screenshot({ ...place, rect: null });
});

api.action.onClicked.addListener((tab) => {
  openPanel(tab.id);
  return choose({ tab: tab.id, frame: 0, window: tab.windowId, foundAt: tab.url ?? "" });
});

api.runtime.onMessage.addListener((message, sender, answer) => {
  const ours = sender.id === api.runtime.id && sender.url?.startsWith(api.runtime.getURL(""));
  if (!ours) return false; // a page's own scripts, or another extension
  const work = { check, choose, screenshot, report }[message.work];
  if (!work) return false;
  work(message.given).then(answer, (error) => answer({ error: String(error.message ?? error) }));
  return true; // the answer comes later
});

// At once, before anything is waited for: the browsers allow it only in the click itself.
function openPanel(tab) {
  const opened = api.sidePanel?.open ? api.sidePanel.open({ tabId: tab }) : api.sidebarAction?.open();
  opened?.catch?.(() => {}); // a click that a test makes is none for the browser
}

const say = (state) => api.storage.session.set({ state: { ...state, at: Date.now() } });

// Tells the panel how this goes on. What is still found out about what was chosen before is told no more.
async function begin(place) {
  const mine = (turn = {});
  const tell = async (state) => turn === mine && say({ place, ...state });
  await tell({ step: "reading" });
  return { mine, tell };
}

// Checks the picture of an address, in the largest version that the page offers.
async function check(place) {
  const begun = await begin(place);
  const found = await inPage(place, locate, [place.url]);
  const offered = found?.offered ?? [];
  for (const url of [...offered, place.url].filter((one, i, all) => one && all.indexOf(one) === i)) {
    const blob = await read(place, url);
    if (blob) return ask(blob, { ...place, url, larger: url !== place.url }, begun);
  }
  const url = place.url ?? "";
  const host = /^https?:/.test(url) ? new URL(url).origin : "";
  return begun.tell({ step: "out of reach", place: { ...place, url, rect: found?.rect ?? null }, host });
}

// The worker, which may reach more than the page, asks only for what the visitor has pointed at: what a page offers
// beside it may be any address.
async function read(place, url) {
  if (url.startsWith("data:")) return fromData(url);
  return (await inPage(place, readHere, [url], fromData)) ?? (url === place.url ? await readInWorker(url) : null);
}

// As the visitor, where the host was allowed; as a stranger, where the host lets all read.
async function readInWorker(url) {
  for (const credentials of ["include", "omit"]) {
    try {
      const answer = await fetch(url, { credentials });
      if (answer.ok) return await answer.blob();
    } catch {
      continue; // another host, which the visitor can allow
    }
  }
  return null;
}

// What can be seen of the page, or of one picture in it.
async function screenshot(place) {
  const begun = await begin(place);
  try {
    const shot = await api.tabs.captureVisibleTab(place.window, { format: "png" });
    // Where it is now: the page may have been scrolled since it was found.
    const rect = place.rect && ((await inPage(place, locate, [place.url]))?.rect ?? NOWHERE);
    const blob = await crop(shot, rect);
    const gone = "The picture cannot be seen now. Scroll to it, and check it again.";
    if (!blob) return begun.tell({ step: "failed", error: gone });
    return ask(blob, { ...place, screenshot: true }, begun);
  } catch (error) {
    return begun.tell({ step: "failed", error: `The browser gave no screenshot: ${error.message}` });
  }
}

async function choose(place) {
  const { tell } = await begin(place);
  return tell({ step: "choose", found: (await inPage(place, pictures, [])) ?? [] });
}

// The verdict as soon as it is there, then whether it survives re-encoding.
async function ask(blob, place, { mine, tell }) {
  if (turn !== mine) return;
  const from = { foundAt: place.foundAt, url: place.screenshot ? "" : place.url };
  Object.assign(mine, { blob, from });
  const asked = examine(blob, from, { check: false });
  const seen = { place, small: await thumbnail(blob) };
  await tell({ step: "asking", ...seen });
  const first = await asked;
  if (first.error) return tell({ step: "failed", ...seen, ...first });
  seen.mark = await markOf(blob, first.found);
  const checking = first.found.probability !== null;
  await tell({ step: "answered", ...seen, ...first, checking });
  if (!checking || turn !== mine) return;
  const whole = await examine(blob, from);
  return tell({ step: "answered", ...seen, ...(whole.error ? { ...first, unchecked: whole.error } : whole) });
}

// The visible mark, enlarged; "" without one.
function markOf(blob, { provenance, width, height }) {
  const marked = provenance.marks.find(({ box }) => box);
  return marked ? enlarge(blob, { box: marked.box, width, height }) : "";
}

async function report() {
  if (!turn.blob) return { error: "The picture is no longer kept. Check it again." };
  return examine(turn.blob, turn.from, { report: true });
}
