// Of the tab "Your pictures" (ui/tabs/reference/tab.py): files go to the hidden field of their kind, a portion at a time, and
// the next when those have been judged; #reference-status says how many portions and files have been.
const patience = 600000;  // ms
const said = element.querySelector(".cc-said"), bar = element.querySelector("progress");
const nothing = { judged: "0", portions: "0" };
const status = () => document.querySelector("#reference-status [data-judged]")?.dataset ?? nothing;
const input = (kind) => document.querySelector(`#reference-${kind}-files input[type=file]`);
const fill = (text, values) => text.replace(/{(\w+)}/g, (_, name) => values[name]);
let halted = false, sending = false;
const until = async (met) => {
  let judged = status().judged, since = Date.now();
  while (!met() && !halted && Date.now() - since < patience) {
    await new Promise((go) => setTimeout(go, 100));
    if (status().judged !== judged) [judged, since] = [status().judged, Date.now()];
  }
  return met();
};
const give = async (kind, files) => {
  if (!(await until(() => input(kind)))) return false;
  const transfer = new DataTransfer(), before = status().portions;
  files.forEach((file) => transfer.items.add(file));
  input(kind).files = transfer.files;
  input(kind).dispatchEvent(new Event("change", { bubbles: true }));
  await until(() => status().portions !== before || "halt" in status());
  halted ||= "halt" in status();
  return status().portions !== before;
};
const send = async (kind, files) => {
  if (sending) return;
  const before = Number(status().judged), fit = files.filter(fits), left = leftOut(files);
  const good = fit.filter((file) => !large(file)).slice(0, Math.max(0, most - before));
  if (!good.length) return void (said.textContent = before >= most ? words.full : left || words.none);
  [sending, halted, bar.hidden, bar.max, bar.value] = [true, false, false, good.length, 0];
  const began = Date.now();
  const tell = () => {
    const done = (bar.value = Number(status().judged) - before);
    const rest = (Date.now() - began) / done * (good.length - done);
    const about = done && rest > 60000 ? ` ${fill(words.left, { n: Math.ceil(rest / 60000) })}` : "";
    said.textContent = `${fill(words.done, { done, total: good.length })}${about} ${left}`;
  };
  const ticks = setInterval(tell, 500);
  let whole = true;
  for (const some of portions(good)) if (whole && !halted) whole = await give(kind, some);
  clearInterval(ticks);
  tell();
  if (!whole && !halted) said.textContent = words.lost;
  [sending, bar.hidden] = [false, true];
};
for (const button of element.querySelectorAll("button[data-kind]")) button.addEventListener("click", () => {
  const options = "folder" in button.dataset ? { webkitdirectory: true } : { accept: endings.join() };
  const chosen = Object.assign(document.createElement("input"), { type: "file", multiple: true, ...options });
  chosen.addEventListener("change", () => send(button.dataset.kind, [...chosen.files]));
  chosen.click();
});
for (const place of element.querySelectorAll("fieldset")) {
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    send(place.dataset.kind, (await Promise.all(entries.map(walk))).flat());
  });
}
document.addEventListener("click", (event) => event.target.closest?.("#reference-stop") && (halted = true));
