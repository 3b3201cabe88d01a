"""Files between the browser and this code: an upload comes in untouched, a drawing goes out
lossless.

Also what the tabs share around them: how long a drawing is kept, and how events are queued.

Each field needs a listener on its uploads that does not queue and takes the field: by that call the
server learns at once which page an upload belongs to. Listeners need `preprocess=False`, and get a
payload for `upload_path`. Gradio's own preprocessing opens the upload with Pillow, which refuses
HEIC and whose errors hold the file's name; only causalclip.images.loading may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import gradio as gr
from PIL import Image

from causalclip.images.formats import Box, ImageError, sniff
from causalclip.images.loading import LoadedImage, load_image
from causalclip.images.parts import cut_part
from causalclip.languages import N_, _, number
from causalclip.maps.overlay import shrink
from causalclip.settings import MAX_KEPT
from ui.errors import UNREADABLE
from ui.server.uploads import file_in, is_upload, new_folder
from ui.server.values import NOT_UPLOADED

T = TypeVar("T")
Payload = dict[str, Any] | None  # an upload as Gradio hands it to a listener: its path and name
GONE = N_("The picture is no longer kept. Add it again.")
UNSHOWN = {"HEIC", "TIFF"}
LIFETIME = MAX_KEPT  # seconds that a session's drawing is kept at most
PROMISE = N_("Kept on this server, deleted within an hour.")
# Whatever works with a picture waits in a job (ui/jobs.py), which is fair; Gradio's queue lets all
# of them in.
RUNS: dict[str, Any] = {"concurrency_id": "runs", "concurrency_limit": 64}
# Of an HTML part: a click on one of its buttons, with the button's number.
PICK = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("click", { index: Number(button.dataset.index) });
});"""
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE: dict[str, Any] = {"queue": False, **PRIVATE}


def picture_field(name: str, label: str, **options: Any) -> gr.Image:
    """Return a field for a picture, for uploads alone, whose files assets/upload.js renames before
    they leave the browser.

    A client of the API that sends an address is refused: nothing is fetched.
    """
    as_uploaded: dict[str, Any] = {
        "type": "filepath",
        "image_mode": None,
        "sources": ["upload", "clipboard"],
    }
    look: dict[str, Any] = {
        "elem_classes": "cc-picture",
        "buttons": ["fullscreen"],
        "elem_id": name,
        "label": label,
    }
    placeholder = _("Drop, paste or choose a picture")
    return gr.Image(**as_uploaded, **look, placeholder=placeholder, **options)


def files_input(**options: Any) -> gr.File:
    """Return a field for several files, for uploads alone as `picture_field` is."""
    return gr.File(type="filepath", file_count="multiple", **options)


def selected_item(event: gr.EventData, items: Sequence[T]) -> T:
    """Return the item that was clicked.

    Raises:
        gr.Error: The index is out of range.
    """
    if not 0 <= event.index < len(items):
        raise gr.Error(_("There is no such example."), print_exception=False)
    return items[event.index]


def upload_path(payload: Mapping[str, Any] | None) -> str | None:
    """Return the path of an upload; None for an empty field.

    Raises:
        gr.Error: it is no upload, or has been deleted. Gradio checks that only of payloads that are
            marked as files, and a client need not mark its own.
    """
    if payload is None:
        return None
    if not Path(path := _payload_path(payload)).is_file():
        raise _refusal(_(GONE))
    return path


def sent_path(payload: Mapping[str, Any] | None) -> str:
    """Return the path of the upload that a program has sent; raises as `upload_path` does, and
    without one."""
    path = upload_path(payload)
    if path is None:
        raise _refusal(_("Send a picture."))
    return path


def upload_paths(payload: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None) -> list[str]:
    """Return the paths of all uploads of a `files_input`; raises as `upload_path` does."""
    entries = [payload] if isinstance(payload, Mapping) else payload or []
    return [path for path in map(upload_path, entries) if path]


def existing_and_missing(
    payload: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None,
) -> tuple[list[str], list[str]]:
    """Return the paths of the uploads that are there, and of those that have been deleted.

    Raises:
        gr.Error: one of them is no upload.
    """
    entries = [payload] if isinstance(payload, Mapping) else payload or []
    paths = [_payload_path(entry) for entry in entries if entry]
    missing = [path for path in paths if not Path(path).is_file()]
    return [path for path in paths if path not in missing], missing


def describe_file(path: str) -> str:
    """Return the format and size of a file, or "" if it is not an image. Its name never leaves the
    browser."""
    with suppress(ImageError), open(path, "rb") as file:
        kilobytes = max(1, round(Path(path).stat().st_size / 1000))
        return f"{sniff(file.read(4096))}, {number(kilobytes)} kB"
    return ""


def shown_copy(image: LoadedImage, source: str) -> str | None:
    """Return the path of a small PNG of a picture whose format browsers do not show; None for a
    format that they show. source: the picture's upload."""
    if image.format not in UNSHOWN:
        return None
    return save_png(Image.fromarray(shrink(image.pixels)), "decoded", source)


def save_png(image: Image.Image, name: str, *sources: str) -> str:
    """Write a picture where Gradio serves it, with the fastest compression; return its path.

    sources: the uploads that it is made of.
    """
    path = file_in(new_folder(*sources), f"{name}.png")
    image.save(path, compress_level=1)
    return str(path)


def _payload_path(payload: Mapping[str, Any]) -> str:
    """Return the path that a payload names; raise gr.Error where it is no upload."""
    path = payload.get("path")
    if not isinstance(path, str) or not is_upload(path):
        raise _refusal(NOT_UPLOADED)
    return path


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, title=_(UNREADABLE), print_exception=False)


def map_output(name: str, *, label: str | None = None, **options: Any) -> gr.Image:
    """Return a place for a map, which is sent without loss."""
    file_options: dict[str, Any] = {
        "format": "png",
        "type": "filepath",
        "interactive": False,
        "elem_classes": "cc-output",
    }
    texts = {"alt_text": label, **options}
    return gr.Image(
        label=label, buttons=["download", "fullscreen"], elem_id=name, **file_options, **texts
    )


class Source(NamedTuple):
    """The content of a field of the page: a picture's file, or a part that was cut out of one.

    Attributes:
        file: that the page shows: of a part, the part alone.
        whole: the file that somebody has given.
        box: left, top, right, bottom of the part, in pixels of the whole; None for a whole picture.
    """

    file: str
    whole: str
    box: Box | None = None

    def has_files(self) -> bool:
        """Return whether both files are there.

        Raises:
            gr.Error: one of them has been deleted.
        """
        return bool(upload_path({"path": self.file}) and upload_path({"path": self.whole}))

    def load(self) -> LoadedImage:
        """Decode the picture or the part; a part has the facts of the whole's file.

        Raises:
            ImageError: the file cannot be decoded.
        """
        image = load_image(self.whole)
        return cut_part(image, self.box) if self.box else image


@dataclass(frozen=True, slots=True)
class Transfer:
    """A button that takes a picture over from another tab.

    Attributes:
        picture: as it is shown there.
        source: a gr.State with the `Source` that was judged, of which `picture` may show a copy.
        tabs: all tabs of the page.
        name: the id of the tab to go to.
    """

    button: gr.Button
    picture: gr.Image
    source: gr.State
    tabs: gr.Tabs
    name: str

    @property
    def selection(self) -> Any:
        """The update of `tabs` that opens the tab to go to."""
        return gr.update(selected=self.name)


def add_endpoint(function: Callable[..., Any], inputs: Any, outputs: Any) -> None:
    """Let programs and agents call a function by its name. Files come to it as they are sent."""
    gr.on([], function, inputs, outputs, preprocess=False, api_name=function.__name__, **RUNS)
