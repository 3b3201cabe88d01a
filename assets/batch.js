// Of the tab Batch (ui/tabs/batch/tab.py): what is dropped or chosen is flattened to its pictures, and given to the field's own
// input in portions that the server takes at once; the next follows when the field lists the last. Until the server has
// them, the page says how many come.
const failed = 2000, settles = 10000, late = 2000;  // ms
const pause = () => new Promise((go) => setTimeout(go, 100));
const said = (text) => (element.querySelector(".cc-done").textContent = text);
const listed = () => document.querySelectorAll("#batch-files tr.file").length;
const field = () => document.querySelector("#batch-files input[type=file]");
const status = () => document.querySelector("#batch-status");
let giving = false;
const lasts = async (met, ms) => {  // whether it is met for so long; false as soon as `met` says that it never will be
  for (let since = Date.now(); ; await pause()) {
    const now = met();
    if (now === undefined) return false;
    if (!now) since = Date.now();
    else if (Date.now() - since >= ms) return true;
  }
};
const give = async (files) => {
  while (!field()) await pause();
  const transfer = new DataTransfer(), before = listed();
  files.forEach((file) => transfer.items.add(file));
  giving = true;
  field().files = transfer.files;
  field().dispatchEvent(new Event("change", { bubbles: true }));
  giving = false;
  // The field is there again, and lists no more than before: the upload has failed.
  return !(await lasts(() => (listed() > before ? undefined : Boolean(field())), failed));
};
const card = (all) => {
  const shown = document.querySelector("#on-its-way [data-card=many] .cc-card").cloneNode(true);
  const title = shown.querySelector("h2").lastChild;
  title.textContent = title.textContent.replace("{n}", all);
  shown.id = "batch-coming";
  shown.classList.add("cc-own");
  document.querySelector("#batch-coming")?.remove();
  status().before(shown);
  setTimeout(() => shown.isConnected && (shown.dataset.say = title.textContent), late);
  const place = shown.querySelector("[data-words]");
  return [shown, (some) => (place.textContent = place.dataset.words.replace("{some}", some).replace("{all}", all))];
};
const send = async (files) => {
  const fit = files.filter(fits), good = fit.filter((file) => !large(file)).slice(0, most);
  const taken = words.taken.replace("{some}", good.length).replace("{all}", files.length);
  const counted = !fit.length ? words.none : good.length < files.length ? taken : "";
  said(`${counted} ${leftOut(files)}`.trim());
  if (!good.length) return;
  const [shown, tell] = card(good.length);
  let there = 0;
  for (const some of portions(good)) {
    tell(there);
    if (!(await give(some))) {
      said(words.lost);
      break;
    }
    there += some.length;
  }
  tell(there);
  const until = Date.now() + settles;  // the server has them: it has its own word next
  while (there && status()?.querySelector(".cc-empty") && Date.now() < until) await pause();
  shown.remove();
};
let sent = Promise.resolve();
const queue = (files) => (sent = sent.then(() => send(files)));
const choose = (options) => () => {
  const input = Object.assign(document.createElement("input"), { type: "file", multiple: true, ...options });
  input.addEventListener("change", () => queue([...input.files]));
  input.click();
};
element.querySelector(".cc-add").addEventListener("click", choose({ accept: endings.join() }));
element.querySelector(".cc-folder").addEventListener("click", choose({ webkitdirectory: true }));
document.addEventListener("change", (event) => {
  if (giving || event.target !== field() || !event.target.files.length) return;
  event.stopImmediatePropagation();
  queue([...event.target.files]);
  event.target.value = "";
}, true);
// The field is small once it has files: anywhere on the tab, more can be dropped.
const onTab = ({ target }) => target.closest?.(".tabitem")?.contains(element);
document.addEventListener("dragover", (event) => onTab(event) && event.preventDefault());
document.addEventListener("drop", async (event) => {
  if (!onTab(event)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  queue((await Promise.all(entries.map(walk))).flat());
}, true);
