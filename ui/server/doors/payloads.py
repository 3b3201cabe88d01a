"""What a call sends for a picture: checked before Gradio does, whose refusals repeat what was sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import gradio as gr

from ui.server.sessions import is_upload

LONGEST_NAME = 100  # characters of a session's name; Gradio's own have 11
NOT_JSON = "This is no call: send JSON with the values in a list, data."
NO_FUNCTION = "There is no such function. /gradio_api/info lists them."
NOT_FETCHED = "Addresses are not fetched. Upload the file itself."
NOT_UPLOADED = (
    "Send the picture as an uploaded file, not as a path or an address: gradio_client.handle_file('picture.jpg') does "
    'that. Over HTTP, post the file to /gradio_api/upload first and send {"path": ...} with what that answers.'
)
_OWN = re.compile(r"https?://[^/?#]+/(?:[^?#]*/)?gradio_api/file=(/[^?#]*)")


class BadCallError(ValueError):
    """A call that cannot be answered; the message is the sentence for its sender, and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it was sent. session: None if it names none. files: paths of the uploads that it uses."""

    function: Any
    session: str | None
    files: tuple[str, ...]


def read_call(body: bytes, name: str | None, page: gr.Blocks) -> Call:
    """Reads a call of a function by its `name`, or by the number in the body.

    Raises:
        BadCallError: it is malformed, or uses a file that was not uploaded.
    """
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise BadCallError(NOT_JSON) from None
    if not isinstance(sent, dict):
        raise BadCallError(NOT_JSON)
    session, values = sent.get("session_hash"), sent.get("data")
    if session is not None and not (isinstance(session, str) and len(session) <= LONGEST_NAME):
        raise BadCallError(f"A session's name is a text of at most {LONGEST_NAME} characters.")
    function = _function(page, name, sent.get("fn_index"))
    return Call(function, session, tuple(_uploads(function, values)))


def upload_in(path: Any) -> str:
    """The path of an upload, which may be spelt as its address here: so it is named over MCP.

    Raises:
        BadCallError: it is none.
    """
    own = _OWN.fullmatch(path) if isinstance(path, str) else None
    place = unquote(own[1]) if own else path
    if not isinstance(place, str) or not is_upload(place):
        raise BadCallError(NOT_FETCHED if isinstance(place, str) and "://" in place else NOT_UPLOADED)
    return place


def _function(page: gr.Blocks, name: str | None, number: Any) -> Any:
    for key, function in page.fns.items():
        if (key == number and type(number) is int) or (number is None and name and function.api_name == name):
            return function
    raise BadCallError(NO_FUNCTION)


def _uploads(function: Any, values: Any) -> Iterable[str]:
    inputs = list(function.inputs)
    if not isinstance(values, list):
        raise BadCallError(NOT_JSON)
    if len(values) != len(inputs) and not function.cancels:
        inputs = [block for block in inputs if not block.skip_api]
        if len(values) != len(inputs):
            raise BadCallError(f"This function takes {len(inputs)} values, not {len(values)}.")
    for block, value in zip(inputs, values, strict=False):
        if isinstance(block, (gr.Image, gr.File)):
            yield from _files(value, many=isinstance(block, gr.File))


def _files(value: Any, *, many: bool) -> Iterable[str]:
    """The uploads of one field: none, one, or where it takes `many` a list of them."""
    if value is None:
        return
    for entry in value if many and isinstance(value, list) else [value]:
        if not isinstance(entry, dict):
            raise BadCallError(NOT_UPLOADED)
        yield upload_in(entry.get("path"))
