"""Agents' calls: a picture that comes along as a data URL becomes an upload like any other, and answers are JSON."""

from __future__ import annotations

import base64
import binascii
import json
from functools import partial
from io import BytesIO
from typing import Any

from gradio import mcp, processing_utils
from gradio.mcp import GradioMCPServer
from gradio_client import Client
from gradio_client.utils import is_file_obj_with_meta
from mcp import types

from causalclip.pictures.formats import MAX_BYTES
from ui.server.doors.answers import Refused
from ui.server.doors.calls import LONGEST_BY_AGENTS, agent
from ui.server.doors.uploads import check_room, keep

NOT_BASE64 = "The picture's data URL is not base64. Send data:image/jpeg;base64, and then the file's bytes in base64."
PATIENCE = 120.0  # seconds in which the app may say nothing to its own MCP server
ASKED = {
    types.PingRequest,
    types.ListToolsRequest,
    types.CallToolRequest,
    types.ListPromptsRequest,  # there are none, as an agent is told
    types.ListResourcesRequest,
    types.ListResourceTemplatesRequest,
}
_CREATE = GradioMCPServer.create_mcp_server
_TELL = GradioMCPServer.postprocess_output_data
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
        check_room(owner, 1, len(data))
    except Refused as refused:
        raise InlineError(refused.sentence) from None
    return keep(BytesIO(data), "picture", size=len(data), owner=owner, brief=True)


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
    the agent after five seconds that time has run out. And answer in JSON: by itself it writes as Python does."""
    processing_utils.save_base64_to_cache = keep_inline  # type: ignore[assignment]
    GradioMCPServer.create_mcp_server = _create  # type: ignore[method-assign, assignment]
    GradioMCPServer.postprocess_output_data = _tell  # type: ignore[method-assign, assignment]
    mcp.Client = partial(Client, httpx_kwargs={"timeout": PATIENCE})  # type: ignore[misc, assignment]
    manager = GradioMCPServer.StreamableHTTPSessionManager
    if not isinstance(manager, partial):
        GradioMCPServer.StreamableHTTPSessionManager = partial(manager, max_request_body_size=LONGEST_BY_AGENTS)  # type: ignore[misc, assignment]


def _create(gradios: GradioMCPServer) -> Any:
    """Gradio's server for agents, which answers what is listed here alone: asked for a prompt of any name, it would run
    the last of its tools, and read what it is given as no call of a tool is read."""
    server = _CREATE(gradios)
    server.request_handlers = {kind: answer for kind, answer in server.request_handlers.items() if kind in ASKED}
    return server


def _tell(gradios: GradioMCPServer, data: Any, root_url: str) -> Any:
    """What a tool gives, for an agent: a file as Gradio does, a text as it is, all else as JSON."""
    told = [x if isinstance(x, str) or is_file_obj_with_meta(x) else json.dumps(x, ensure_ascii=False) for x in data]
    return _TELL(gradios, told, root_url)
