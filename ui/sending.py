"""Files on their way to the server: what the browser's scripts do with many, and what the page says before they are
there.
"""

from __future__ import annotations

from causalclip.images.formats import MAX_BYTES, SMALLER, TOO_LARGE, too_many_bytes
from causalclip.languages import N_, _
from causalclip.report.card import coming, failure, on_its_way

LEFT_OUT = N_("Left out, with more than {mb} MB: {names}.")
UNREADABLE = N_("Left out, of a kind that is not read here: {names}.")
NO_PICTURE = N_(
    "There is none in the clipboard, or the browser does not let this page read it. Copy a picture, or choose its file."
)
UNPACK = N_("Unpack the zip, and choose its folder.")

# For a script that has said what `endings`, `portion` (files), `bytes` and `words` are: which files are pictures, which
# of them are too large and what is said of these, in what portions the others go to the server, and what lies in a
# folder that was dropped.
_FILES = """
const biggest = BIGGEST, shownNames = 5;
const fits = (file) => endings.some((ending) => file.name.toLowerCase().endsWith(ending)) && !file.name.startsWith(".");
const large = (file) => file.size > biggest;
const naming = (said, some) => {
  const names = [...some.slice(0, shownNames).map((file) => file.name), ...(some.length > shownNames ? ["..."] : [])];
  return some.length ? [said.replace("{names}", () => names.join(", "))] : [];
};
const leftOut = (files) => {
  const others = files.filter((file) => !fits(file) && !file.name.startsWith("."));  // not .DS_Store and the like
  const some = files.filter((file) => fits(file) && large(file));
  const zip = (file) => file.name.toLowerCase().endsWith(".zip");
  const advice = [...(some.every(zip) ? [] : [words.smaller]), ...(some.some(zip) ? [words.unpack] : [])];
  return [...naming(words.unreadable, others), ...naming(words.large, some), ...advice].join(" ");
};
const portions = (files) => files.reduce((all, file) => {
  const last = all[all.length - 1];
  const full = !last || last.length === portion || last.reduce((sum, f) => sum + f.size, file.size) > bytes;
  full ? all.push([file]) : last.push(file);
  return all;
}, []);
const walk = async (entry) => {
  if (entry.isFile) return [await new Promise((take, fail) => entry.file(take, fail))];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((take, fail) => reader.readEntries(take, fail));
    if (!some.length) return found;
    for (const inner of some) found.push(...(await walk(inner)));
  }
};
"""


def files() -> str:
    """The script."""
    return _FILES.strip().replace("BIGGEST", str(MAX_BYTES))


def words() -> dict[str, str]:
    """What `leftOut` says, in the reader's language."""
    return {
        "large": _(LEFT_OUT, mb=MAX_BYTES >> 20, names="{names}"),
        "unreadable": _(UNREADABLE, names="{names}"),
        "smaller": _(SMALLER),
        "unpack": _(UNPACK),
    }


def cards() -> str:
    """What the page itself shows until the server has heard of a file, as HTML: assets/stale.js copies it.

    The size from which a file is refused stands there, too: the field's own refusal is in English, and goes after some
    seconds.
    """
    large, none = failure(_(TOO_LARGE), str(too_many_bytes())), failure(_("No picture was pasted"), _(NO_PICTURE))
    shown = {"one": on_its_way(), "many": coming(), "large": large, "none": none}
    return "".join(f"<div data-card='{name}' data-bytes='{MAX_BYTES}'>{card}</div>" for name, card in shown.items())
