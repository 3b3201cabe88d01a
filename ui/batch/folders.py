"""Folders and many files on their way into the field: the browser opens a folder, and sends a few files at a time."""

from __future__ import annotations

import json

from causalclip.languages import _
from causalclip.pictures.archives import MAX_PICTURES
from causalclip.pictures.formats import ENDINGS
from ui import sending
from ui.server.doors.uploads import A_REQUEST, FILES

# What is dropped or chosen is flattened to its pictures, and given to the field's own input in portions that the server
# takes at once; the next follows when the field lists the last.
SCRIPT = """
const endings = ENDINGS, most = MOST, portion = PORTION, bytes = BYTES, words = WORDS;
SENDING
const said = (text) => (element.querySelector(".cc-done").textContent = text);
const listed = () => document.querySelectorAll("#batch-files tr.file").length;
const until = async (met) => {
  for (let i = 0; i < 1200 && !met(); i++) await new Promise((go) => setTimeout(go, 100));
  return met();
};
const field = () => document.querySelector("#batch-files input[type=file]");
const send = async (files) => {
  const good = files.filter(fits).slice(0, most);
  if (!good.length) return said(words.none);
  said(words.taken.replace("{some}", good.length).replace("{all}", files.length));
  for (const some of portions(good)) {
    if (!(await until(field))) return said(words.full);
    const transfer = new DataTransfer(), before = listed();
    some.forEach((file) => transfer.items.add(file));
    field().files = transfer.files;
    field().dispatchEvent(new Event("change", { bubbles: true }));
    if (!(await until(() => listed() > before))) return said(words.lost);
  }
};
element.querySelector("button").addEventListener("click", () => {
  const input = Object.assign(document.createElement("input"), { type: "file", webkitdirectory: true, multiple: true });
  input.addEventListener("change", () => send([...input.files]));
  input.click();
});
document.addEventListener("drop", async (event) => {
  if (!event.target.closest?.("#batch-files")) return;
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length <= portion && entries.every((entry) => entry.isFile)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  send((await Promise.all(entries.map(walk))).flat());
}, true);
"""


def button() -> str:
    """As HTML, with room for what became of the choice."""
    choose = f"<button type='button' class='cc-do'>{_('Choose a folder')}</button>"
    return f"{choose} <span class='cc-done'></span>"


def script() -> str:
    """With the limits of this server, and in the reader's language."""
    words = {
        "none": _("There is no picture in it."),
        "taken": _("{some} of {all} files are taken."),
        "full": _("The field takes no more files. Clear it and try again."),
        "lost": _("Some of the files did not arrive. Add them again."),
    }
    limits = {
        "ENDINGS": str([*ENDINGS, ".zip"]),
        "MOST": str(MAX_PICTURES),
        "PORTION": str(FILES),
        "BYTES": str(A_REQUEST * 3 // 4),
        "WORDS": json.dumps(words),
    }
    text = SCRIPT.replace("SENDING", sending.FILES.strip(), 1)
    for name, value in limits.items():
        text = text.replace(f"= {name}", f"= {value}")
    return text
