"""The types of the values in a call: one for each kind of component.

Gradio takes a file out of any field and at any depth, copies it or fetches it, and without
preprocessing it checks nothing else: a slider takes NaN, a radio button any text. So here each
field has a type by its component, and a value that is not of that type is refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NotRequired
from urllib.parse import unquote

import gradio as gr
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from causalclip.images.zips import MAX_PICTURES
from ui.server.senders import Refused
from ui.server.uploads import MAX_FILES, is_upload

# files that a field takes in one call, by its elem_id; any other takes MAX_FILES
FILES_OF_A_FIELD = {"batch-files": MAX_PICTURES}
MAX_TEXT = 2**14  # characters of a text: Gradio keeps the newest call of each session in memory
STRICT = ConfigDict(strict=True, allow_inf_nan=False)
NOT_FETCHED = "Addresses are not fetched. Upload the file itself."
NOT_UPLOADED = (
    "Send the picture as an uploaded file, not as a path or an address: "
    "gradio_client.handle_file('picture.jpg') does that. Over HTTP, post the file to "
    '/gradio_api/upload first and send {"path": ...} with what that answers.'
)
Bounded = Field(ge=-(2**53), le=2**53)
Number = Annotated[int, Bounded] | Annotated[float, Bounded]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Choice = Text | bool | Number | None
Nothing = Annotated[Any, AfterValidator(lambda _: None)]  # what the server keeps itself
SESSION = "[A-Za-z0-9_-]{1,100}"  # Gradio's own names of sessions have 11 characters
Name = Annotated[str, Field(pattern=f"^{SESSION}$")]
_OWN_ADDRESS = re.compile(r"https?://[^/?#]+/(?:[^?#]*/)?gradio_api/file=(/[^?#]*)")


def _upload_in(value: Any) -> str:
    """Return the path of an upload: a path, or an address in this app; raise Refused for others."""
    own = _OWN_ADDRESS.fullmatch(value) if isinstance(value, str) else None
    path = unquote(own[1]) if own else value
    if not isinstance(path, str) or not is_upload(path):
        is_address = isinstance(path, str) and "://" in path
        raise Refused(422, NOT_FETCHED if is_address else NOT_UPLOADED)
    return path


@with_config(STRICT)
class File(TypedDict):
    """An upload in Gradio's form."""

    path: Annotated[str, BeforeValidator(_upload_in)]
    orig_name: NotRequired[Annotated[str, Field(max_length=255)] | None]
    size: NotRequired[int | None]
    mime_type: NotRequired[Annotated[str, Field(max_length=255)] | None]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def uploads(most: int) -> tuple[Any, str]:
    """Return the type of at most so many uploads, and what is said of another value."""
    files = Annotated[list[Upload], Field(max_length=most), BeforeValidator(_as_list)]
    return files | None, f"takes at most {most} uploaded files in one call"


def _with_mark(file: Any) -> Any:
    """Return a file with the mark by which Gradio knows one."""
    return {**file, "meta": {"_type": "gradio.FileData"}}


Upload = Annotated[File, AfterValidator(_with_mark)]
# components, the type of their values, and what is said of another value
TYPES: tuple[tuple[tuple[type, ...], Any, str], ...] = (
    ((gr.State,), Nothing, "nothing"),
    ((gr.Image, gr.DownloadButton), Upload | None, NOT_UPLOADED),
    ((gr.File,), *uploads(MAX_FILES)),
    ((gr.Textbox, gr.HTML), Text | None, f"takes a text of at most {MAX_TEXT} characters"),
    ((gr.Number, gr.Slider), Number | None, "takes a number"),
    ((gr.Checkbox,), bool | None, "takes true or false"),
    ((gr.Dropdown, gr.Radio), Choice, "takes a choice"),
)
