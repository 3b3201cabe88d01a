"""Agents (MCP): the page's own functions as tools, called as HTTP calls them, without a session
that is kept.

A picture comes along as a data URL, or is named by the address of an upload. One that comes along
is stored for as long as its call takes, and counts for its sender.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from typing import Any
from urllib.parse import quote

import anyio
import gradio as gr
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import StreamableHTTPServerTransport
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from causalclip.images.formats import MAX_BYTES
from causalclip.languages import _
from ui.server.middleware import (
    AGENTS,
    CLOSED,
    FILE,
    MCP,
    Places,
    Refused,
    client_of,
    header,
    read_body,
)
from ui.server.queue import Client, asking
from ui.server.requests import keep, upload_in
from ui.server.storage import PROGRAM, STORE

IN_WORK = Places(3, 12)
BODIES = Places(3 * AGENTS, 128 * 2**20)  # bytes of calls in work
MOST_VALUES = 1000  # of a call: what is long in it is a picture, in one text
# bytes of a call beside its pictures, each with a twentieth for what is escaped in it
ROUND_IT = 64 * 2**10
NO_CALL = (
    "This is no call: send JSON-RPC, with 1,000 values at most, and nothing long in it but "
    "pictures as data URLs."
)
NOT_BASE64 = (
    "The picture's data URL is not base64. Send data:image/jpeg;base64, and then the "
    "file's bytes in base64."
)
TOO_LARGE = f"The picture is larger than {MAX_BYTES // 2**20} MB."
PICTURE = {
    "title": "ImageData",
    "type": "string",
    "description": "",
    "format": "Gradio File Input - a http or https url to a file",
}
UPLOAD_FIRST = (  # for agents with Gradio's tool that uploads
    "If a user passes a file as an input, use the upload_file_to_gradio tool, if present, to "
    "upload the file to the gradio app and create a Gradio File Input. Then use the returned path "
    "as the input to the tool"
)
KINDS: Mapping[type, dict[str, Any]] = {
    gr.Image: PICTURE,
    gr.Number: {"type": "number", "description": ""},
    gr.Checkbox: {"type": "boolean", "description": ""},
    gr.Textbox: {"type": "string", "description": ""},
}
_root: ContextVar[str] = ContextVar("root", default="")  # the app's address, as the agent knows it


class Agents:
    """The endpoint. page: whose public functions are the tools."""

    def __init__(self, page: gr.Blocks) -> None:
        self._functions = {
            str(function.api_name): function for function in page.fns.values() if _is_tool(function)
        }
        self._tools = [_tool(name, function) for name, function in self._functions.items()]
        self._server: Server[Any, Any] = Server(str(page.title))
        self._server.list_tools()(self._list)  # type: ignore[no-untyped-call]
        self._server.call_tool()(self._call)

    @property
    def routes(self) -> list[Route]:
        """For gr.Blocks.launch; the second one is what the page's own description of its tools asks
        for."""
        return [
            Route(f"{MCP}/schema", self._described),
            *(Route(f"{MCP}{end}", self) for end in ("", "/")),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads a call, and answers it in a session that lasts as long."""
        if scope["method"] != "POST":  # nothing is sent later
            raise Refused(405, CLOSED, headers={"Allow": "POST"})
        with IN_WORK.hold(client_of(scope)):
            async with read_body(scope, receive, AGENTS, BODIES) as body:
                try:
                    if (
                        sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES
                    ):  # nine million would take 1.6 GB and 12 s
                        raise ValueError
                    if (
                        len(body)
                        > 1.05 * _length_of_pictures(from_json(body, cache_strings="none"))
                        + ROUND_IT
                    ):
                        # the MCP server repeats what it does not know, fifteen times over
                        raise ValueError
                except (
                    ValueError
                ):  # also if nested too deep, which would be an error of the MCP server
                    raise Refused(400, NO_CALL) from None
                asking.set(Client(client_of(scope)))
                scheme = (
                    "https" if header(scope, "x-forwarded-proto") == "https" else scope["scheme"]
                )
                _root.set(f"{scheme}://{header(scope, 'host')}")
                await self._answer(body, scope, receive, send)

    async def _answer(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again() -> Message:
            return messages.pop() if messages else await receive()

        transport = StreamableHTTPServerTransport(mcp_session_id=None)
        async with transport.connect() as (read, write), anyio.create_task_group() as tasks:
            options = self._server.create_initialization_options()
            tasks.start_soon(lambda: self._server.run(read, write, options, stateless=True))
            try:
                await transport.handle_request(scope, receive_again, send)
            finally:
                with anyio.CancelScope(shield=True):
                    await transport.terminate()
            tasks.cancel_scope.cancel()

    async def _described(self, request: Any) -> Response:
        return JSONResponse(
            [tool.model_dump(exclude_none=True) | {"meta": {}} for tool in self._tools]
        )

    async def _list(self) -> list[types.Tool]:
        return self._tools

    async def _call(self, name: str, arguments: dict[str, Any]) -> Sequence[types.TextContent]:
        if name not in self._functions:
            raise ValueError(f"Unknown tool for this Gradio app: {name[:100]}")
        function = self._functions[name]
        assert function.fn
        with _stored(function, arguments) as values:
            try:
                answers = await run_in_threadpool(function.fn, **values)
            except gr.Error as error:
                raise ValueError(str(error.message)) from None
        return [types.TextContent(type="text", text=_said(answers, function.outputs))]


def _length_of_pictures(call: Any) -> int:
    """Characters of the data URLs among a call's arguments; one that is not ASCII is none, and
    takes four times as much memory."""
    params = call.get("params") if isinstance(call, dict) else None
    given = params.get("arguments") if isinstance(params, dict) else None
    texts = given.values() if isinstance(given, dict) else ()
    return sum(
        len(text)
        for text in texts
        if isinstance(text, str) and text.isascii() and text.startswith("data:")
    )


def _is_tool(function: Any) -> bool:
    """Whether it is public, and takes what an agent can send."""
    if (
        not function.fn
        or function.api_visibility != "public"
        or not isinstance(function.api_name, str)
    ):
        return False
    known = all(isinstance(block, tuple(KINDS)) for block in function.inputs)
    return known and len(inspect.signature(function.fn).parameters) == len(function.inputs)


def _tool(name: str, function: Any) -> types.Tool:
    """As Gradio describes it: what has a default need not be there."""
    properties, required = {}, []
    for field, block in zip(
        inspect.signature(function.fn).parameters, function.inputs, strict=True
    ):
        kind = next(kind for component, kind in KINDS.items() if isinstance(block, component))
        properties[field] = kind | ({"default": block.value} if block.value else {})
        required += [field] if kind is PICTURE else []
    schema = {"type": "object", "properties": properties, "required": required}
    said = f"{' '.join((function.fn.__doc__ or '').split())} {UPLOAD_FIRST}"
    return types.Tool(name=name, description=said, inputSchema=schema)


@contextmanager
def _stored(function: Any, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments as the function takes them. Pictures that came along are deleted at the end."""
    owner, stored = asking.get().address, list[str]()
    values = {}
    try:
        for field, block in zip(
            inspect.signature(function.fn).parameters, function.inputs, strict=True
        ):
            if field not in arguments:
                continue
            values[field] = arguments[field]
            if isinstance(block, gr.Image):
                inline = values[field].startswith("data:")
                values[field] = {
                    "path": keep_inline(values[field], owner) if inline else _named(values[field])
                }
                stored += [values[field]["path"]] * inline
        yield values
    except Refused as refused:
        raise ValueError(_(refused.sentence)) from None
    finally:
        STORE.drop("", stored)


def _named(address: str) -> str:
    path = upload_in(address)
    STORE.claim(PROGRAM, [path])  # until the next sweep, and a while longer
    return path


def keep_inline(url: str, owner: str) -> str:
    """Stores the bytes of a data URL; returns the path. Raises Refused."""
    data = decode(url)
    if said := STORE.lacks(owner, 1, len(data), loose=True):
        raise Refused(413, said)
    return keep(BytesIO(data), "picture", size=len(data), owner=owner, brief=False)


def decode(url: str) -> bytes:
    """The bytes of a data URL; raises Refused with a sentence that repeats nothing of it."""
    head, comma, body = url.partition(",")
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise Refused(413, TOO_LARGE)
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(422, NOT_BASE64) from None
    if not comma or not head.endswith(";base64"):
        raise Refused(422, NOT_BASE64)
    return data


def _said(answers: Any, outputs: Sequence[Any]) -> str:
    """What a tool gives, for an agent: a file as its address, a text as it is, all else as JSON."""
    several = answers if isinstance(answers, tuple) else (answers,)
    given = [
        _file(x) if isinstance(block, gr.Image | gr.File) else x
        for x, block in zip(several, outputs, strict=True)
    ]
    if len(given) > 1:
        return json.dumps(given, ensure_ascii=False)
    if isinstance(outputs[0], gr.Image | gr.File):
        return str(given[0]["url"])
    return given[0] if isinstance(given[0], str) else json.dumps(given[0], ensure_ascii=False)


def _file(path: str) -> dict[str, Any]:
    """A file in Gradio's form."""
    url = f"{_root.get()}{FILE}{quote(path)}"
    return {
        "path": path,
        "url": url,
        "orig_name": path.rpartition("/")[2],
        "meta": {"_type": "gradio.FileData"},
    }
