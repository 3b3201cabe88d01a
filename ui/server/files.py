"""Files between the browser and this code: an upload comes in untouched, a drawing goes out lossless.

Listeners on `picture_input` need `preprocess=False`, and get a payload for `upload_path`. Gradio's own preprocessing
opens the upload with Pillow, which refuses HEIC and whose errors hold the file's name; only
causalclip.pictures.loading may.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import gradio as gr
from gradio.data_classes import ImageData
from PIL import Image

from ui.server.sessions import is_upload, new_folder, note_upload

__all__ = ["UNREADABLE", "files_input", "new_folder", "picture_input", "save_png", "upload_path", "upload_paths"]

_OWN_UPLOAD = re.compile(r"https?://[^/?#]+/(?:[^?#]*/)?gradio_api/file=(/[^?#]*)")
UNREADABLE = "This file could not be read"
SEND = (
    "Send the picture as an uploaded file, not as a path or an address: gradio_client.handle_file('picture.jpg') does "
    'that. Over HTTP, post the file to /gradio_api/upload first and send {"path": ...} with what that answers.'
)


def picture_input(**options: Any) -> gr.Image:
    """An image field for uploads alone, whose files assets/upload.js renames before they leave the browser.

    A client of the API that sends an address is refused: nothing is fetched.
    """
    field = gr.Image(
        type="filepath", image_mode=None, sources=["upload", "clipboard"], elem_classes="cc-picture", **options
    )
    field.data_model = _Uploaded
    _refuse_addresses(field)
    return field


class _Uploaded(ImageData):
    """What a client may send: a bare path, or what else is no uploaded file, is answered with what to send instead."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        if not isinstance(obj, Mapping | ImageData):
            raise _refusal(SEND)  # in a validator, Pydantic would make an error of its own out of it
        return super().model_validate(obj, **options)


def files_input(**options: Any) -> gr.File:
    """A field for several files, for uploads alone as `picture_input` is."""
    field = gr.File(type="filepath", file_count="multiple", **options)
    _refuse_addresses(field)
    return field


def _refuse_addresses(field: gr.components.Component) -> None:
    keep = field.async_move_resource_to_block_cache

    async def keep_upload(path: Any) -> str | None:
        uploaded = _OWN_UPLOAD.fullmatch(str(path))
        if uploaded and is_upload(unquote(uploaded[1])):  # how an upload is named over MCP: it is here already
            return unquote(uploaded[1])
        if "://" in str(path):
            raise _refusal("Addresses are not fetched. Upload the file itself.")
        return await keep(path)

    field.async_move_resource_to_block_cache = keep_upload  # type: ignore[method-assign, assignment]


def upload_path(payload: Mapping[str, Any] | None) -> str | None:
    """The path of an upload; None for an empty field.

    Raises:
        gr.Error: it is no upload, or has been deleted. Gradio checks that only of payloads that are marked as files,
            and a client need not mark its own.
    """
    if payload is None:
        return None
    path = payload.get("path")
    if not isinstance(path, str) or not is_upload(path):
        raise _refusal(SEND)
    if not Path(path).is_file():
        raise _refusal("The picture is no longer kept. Add it again.")
    note_upload(path)
    return path


def upload_paths(payload: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None) -> list[str]:
    """The paths of all uploads of a `files_input`; raises as `upload_path` does."""
    entries = [payload] if isinstance(payload, Mapping) else payload or []
    return [path for path in map(upload_path, entries) if path]


def save_png(image: Image.Image, name: str) -> str:
    """Writes a picture where Gradio serves it, with the fastest compression; returns its path."""
    path = new_folder() / f"{name}.png"
    image.save(path, compress_level=1)
    return str(path)


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, title=UNREADABLE, print_exception=False)
