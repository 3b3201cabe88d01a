"""Files between the browser and this code: an upload comes in untouched, a drawing goes out lossless; the browser's
scripts for many files, and what the page says before they are there.

Each field needs a listener on its uploads that does not queue and takes the field: by that call the server learns at
once which page an upload belongs to. Listeners need `preprocess=False`, and get a payload for `upload_path`. Gradio's
own preprocessing opens the upload with Pillow, which refuses HEIC and whose errors hold the file's name; only
causalclip.images.loading may.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from PIL import Image

from causalclip.images.formats import MAX_BYTES, SMALLER, TOO_LARGE, ImageError, ImageTooLarge, sniff, too_many_bytes
from causalclip.images.loading import LoadedImage
from causalclip.languages import N_, _, number
from causalclip.maps.overlay import shrink
from causalclip.profile import BadProfile
from causalclip.report.card import coming, failure, on_its_way
from ui.server.requests import NOT_UPLOADED
from ui.server.storage import file_in, is_upload, new_folder

T = TypeVar("T")
UNREADABLE = N_("This file could not be read")
GONE = N_("The picture is no longer kept. Add it again.")
UNSHOWN = {"HEIC", "TIFF"}


def picture_input(**options: Any) -> gr.Image:
    """An image field for uploads alone, whose files assets/upload.js renames before they leave the browser.

    A client of the API that sends an address is refused: nothing is fetched.
    """
    return gr.Image(
        type="filepath", image_mode=None, sources=["upload", "clipboard"], elem_classes="cc-picture", **options
    )


def files_input(**options: Any) -> gr.File:
    """A field for several files, for uploads alone as `picture_input` is."""
    return gr.File(type="filepath", file_count="multiple", **options)


def picked(event: gr.EventData, among: Sequence[T]) -> T:
    """The one that was clicked on; raises gr.Error where there is none of that number."""
    if not 0 <= event.index < len(among):
        raise gr.Error(_("There is no such example."), print_exception=False)
    return among[event.index]


def upload_path(payload: Mapping[str, Any] | None) -> str | None:
    """The path of an upload; None for an empty field.

    Raises:
        gr.Error: it is no upload, or has been deleted. Gradio checks that only of payloads that are marked as files,
            and a client need not mark its own.
    """
    if payload is None:
        return None
    if not Path(path := _uploaded(payload)).is_file():
        raise _refusal(_(GONE))
    return path


def upload_paths(payload: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None) -> list[str]:
    """The paths of all uploads of a `files_input`; raises as `upload_path` does."""
    entries = [payload] if isinstance(payload, Mapping) else payload or []
    return [path for path in map(upload_path, entries) if path]


def kept_or_gone(payload: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None) -> tuple[list[str], list[str]]:
    """The paths of the uploads that are kept, and of those that have been deleted; raises gr.Error of what is none."""
    entries = [payload] if isinstance(payload, Mapping) else payload or []
    paths = [_uploaded(entry) for entry in entries if entry]
    gone = [path for path in paths if not Path(path).is_file()]
    return [path for path in paths if path not in gone], gone


def named(path: str) -> str:
    """What is known of a picture before it is read, "" if it is none. Its name never leaves the browser."""
    with suppress(ImageError), open(path, "rb") as file:
        return f"{sniff(file.read(4096))}, {number(max(1, round(Path(path).stat().st_size / 1000)))} kB"
    return ""


def shown_copy(loaded: LoadedImage) -> str | None:
    """The path of a small PNG of a picture whose format browsers do not show; None of another."""
    return save_png(Image.fromarray(shrink(loaded.pixels)), "decoded") if loaded.format in UNSHOWN else None


def save_png(image: Image.Image, name: str, *, few: str = "") -> str:
    """Writes a picture where Gradio serves it, with the fastest compression; returns its path.

    few: as in `new_folder`; the name by default.
    """
    path = file_in(new_folder(few or name), f"{name}.png")
    image.save(path, compress_level=1)
    return str(path)


def _uploaded(payload: Mapping[str, Any]) -> str:
    path = payload.get("path")
    if not isinstance(path, str) or not is_upload(path):
        raise _refusal(NOT_UPLOADED)
    return path


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, title=_(UNREADABLE), print_exception=False)


log = logging.getLogger(__name__)


def explain(error: Exception) -> tuple[str, str]:
    """A title and a sentence for the user.

    What is not the user's doing is logged without its message, which may hold a file's name.
    """
    # here, because they bring PyTorch, which the page need not wait for
    from causalclip.clip.weights import UnknownRuntime
    from causalclip.paths import WeightsMissing

    if isinstance(error, gr.Error):
        return error.title, str(error.message)
    if isinstance(error, ImageTooLarge):
        return _(TOO_LARGE), str(error)
    if isinstance(error, ImageError):
        return _(UNREADABLE), str(error)
    if isinstance(error, UnknownRuntime | BadProfile):
        return _("The app is not set up correctly"), str(error)
    if isinstance(error, WeightsMissing):
        return _("The model's weights are missing"), str(error)
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("A picture was not judged: %s\n%s", type(error).__name__, frames)
    said = _("The picture could not be judged, and that is not its fault. Please try again.")
    return _("Something went wrong here"), said


@contextmanager
def errors_as_sentences(words: Callable[[Exception], tuple[str, str]] = explain) -> Iterator[None]:
    """Errors as Gradio's. words: a title and a sentence for one."""
    try:
        yield
    except gr.Error:
        raise
    except Exception as error:
        title, sentence = words(error)
        raise gr.Error(sentence, title=title, print_exception=False) from None


LEFT_OUT = N_("Left out, with more than {mb} MB: {names}.")
LEFT_UNREADABLE = N_("Left out, of a kind that is not read here: {names}.")
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


def sending_script() -> str:
    """The script."""
    return _FILES.strip().replace("BIGGEST", str(MAX_BYTES))


def sending_words() -> dict[str, str]:
    """What `leftOut` says, in the reader's language."""
    return {
        "large": _(LEFT_OUT, mb=MAX_BYTES >> 20, names="{names}"),
        "unreadable": _(LEFT_UNREADABLE, names="{names}"),
        "smaller": _(SMALLER),
        "unpack": _(UNPACK),
    }


def sending_cards() -> str:
    """What the page itself shows until the server has heard of a file, as HTML: assets/stale.js copies it.

    The size from which a file is refused stands there, too: the field's own refusal is in English, and goes after some
    seconds.
    """
    large, none = failure(_(TOO_LARGE), str(too_many_bytes())), failure(_("No picture was pasted"), _(NO_PICTURE))
    shown = {"one": on_its_way(), "many": coming(), "large": large, "none": none}
    return "".join(f"<div data-card='{name}' data-bytes='{MAX_BYTES}'>{card}</div>" for name, card in shown.items())
