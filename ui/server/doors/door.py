"""The one door: every request passes it once, and either goes on to Gradio or is answered with a sentence."""

from __future__ import annotations

import os
import re

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from ui.server.doors.answers import App, Message, Receive, Scope, Send, drain, header, refuse
from ui.server.doors.calls import Calls
from ui.server.doors.hosts import allowed_hosts
from ui.server.doors.routes import CALL, CANCEL, MCP, UPLOAD, refusal
from ui.server.doors.uploads import upload
from ui.server.pages import connected, told_lost

SPACE = bool(os.environ.get("SPACE_ID"))  # there, the page is shown inside one of Hugging Face's
FRAMES = "'self' https://huggingface.co https://*.hf.space" if SPACE else "'self'"
# Gradio's page holds scripts and styles, so those are not forbidden. But no script loads anything from elsewhere, or
# sends it there.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; connect-src 'self' data: blob:; "
    f"worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {FRAMES}"
)
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"  # what visitors made runs nothing
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",  # a page of another site shows no picture of here
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
} | ({} if SPACE else {"X-Frame-Options": "SAMEORIGIN", "Cross-Origin-Opener-Policy": "same-origin"})
RANGE = re.compile(r"bytes=\d{1,12}-\d{0,12}")
BELIEVED = {b"x-forwarded-host", b"x-gradio-server", b"forwarded"}  # by Gradio, from anybody


class Door:
    """Lets a request in to `app`. page: whose calls are let in. waiting: as in Limits."""

    def __init__(self, app: App, *, page: gr.Blocks, waiting: int) -> None:
        self.app, self.page = app, page
        self.hosts = allowed_hosts()
        self.calls = Calls(app, page=page, waiting=waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":  # the page needs no other kind
            await self._let_in(scope, receive, _with_headers(send, scope["path"]))

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        sends, path = scope["method"] == "POST", scope["path"]
        refused, scope = refusal(scope, self.hosts), _unbelieved(scope)
        if refused:
            if sends:
                await drain(receive)
            await refuse(send, *refused, plain=not sends, headers={"Connection": "close"})
        elif sends and path == UPLOAD:
            await upload(self.app, scope, receive, send)
        elif sends and (call := CALL.fullmatch(path)):
            await self.calls.call(scope, receive, send, name=call[2], queued=bool(call[1] or call[2]))
        elif sends and CANCEL.fullmatch(path):
            await self.calls.cancel(scope, receive, send)
        elif sends and MCP.fullmatch(path):
            await self.calls.agent(scope, receive, send)
        elif scope["method"] == "GET" and (said := told_lost(self.page, scope)):
            await Response(said, media_type="text/event-stream")(scope, receive, send)  # type: ignore[arg-type]
        else:
            with connected(scope):
                await self.app(scope, receive, send)


def _unbelieved(scope: Scope) -> Scope:
    """The request without what Gradio would believe of where the app is, or fail to read: several ranges of a file."""
    dropped = BELIEVED - ({b"x-forwarded-host"} if SPACE else set())
    if not RANGE.fullmatch(header(scope, "range")):
        dropped |= {b"range"}
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0] not in dropped]}


def _with_headers(send: Send, path: str) -> Send:
    policy = FILE_POLICY if path.startswith("/gradio_api/file=") else POLICY

    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update({**HEADERS, "Content-Security-Policy": policy})
        await send(message)

    return send_with
