"""Pictures that come along in a call, as agents send them: a data URL becomes an upload like any other."""

from __future__ import annotations

import base64
import binascii
from contextvars import ContextVar
from functools import partial
from typing import Any

from gradio import mcp, processing_utils
from gradio.mcp import GradioMCPServer
from gradio_client import Client

from causalclip.pictures.formats import MAX_BYTES
from ui.server.doors.uploads import QuotaError, check_room
from ui.server.store import PREFIX, STORE, uploads

NOT_BASE64 = "The picture's data URL is not base64. Send data:image/jpeg;base64, and then the file's bytes in base64."
LONGEST = 28 * 2**20  # bytes of a call: the picture comes along in base64
PATIENCE = 120.0  # seconds in which the app may say nothing to its own MCP server
agent: ContextVar[str] = ContextVar("agent", default=f"{PREFIX}agents")  # who calls, as `owner_of` says it
TOO_LARGE = f"The picture is larger than {MAX_BYTES // 2**20} MB."


class InlineError(ValueError):
    """A data URL that cannot be read; the message is a sentence that repeats nothing of it."""


def keep_inline(url: str, *_: Any) -> str:
    """Stores the bytes of a data URL; returns the path.

    Raises:
        InlineError: it is not base64, holds more than 20 MB, or its sender has no room for it.
    """
    data, owner = decode(url), agent.get()
    try:
        check_room(owner, len(data), 1)
    except QuotaError as error:
        raise InlineError(str(error)) from None
    folder = uploads() / STORE.add(owner, len(data), brief=True)
    folder.mkdir(parents=True)
    path = folder / "picture"
    path.write_bytes(data)
    return str(path)


def decode(url: str) -> bytes:
    """The bytes of a data URL; raises as `keep_inline` does."""
    head, comma, body = url.partition(",")
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise InlineError(TOO_LARGE)
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise InlineError(NOT_BASE64) from None
    if not comma or not head.endswith(";base64"):
        raise InlineError(NOT_BASE64)
    return data


def replace_gradios() -> None:
    """Has Gradio's MCP server store pictures so: its own way names the folder by the bytes, and repeats bad ones. And
    take them up to their full size: by itself it stops at 4 MB of base64. And wait for a busy app: by itself it tells
    the agent after five seconds that time has run out."""
    processing_utils.save_base64_to_cache = keep_inline  # type: ignore[assignment]
    mcp.Client = partial(Client, httpx_kwargs={"timeout": PATIENCE})  # type: ignore[misc, assignment]
    manager = GradioMCPServer.StreamableHTTPSessionManager
    if not isinstance(manager, partial):
        GradioMCPServer.StreamableHTTPSessionManager = partial(manager, max_request_body_size=LONGEST)  # type: ignore[misc, assignment]
