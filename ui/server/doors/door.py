"""The one door: every request passes it once, and either goes on to Gradio or is answered with a sentence."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.doors.answers import Refused, client_of
from ui.server.doors.calls import Calls
from ui.server.doors.hosts import allowed_hosts, counted
from ui.server.doors.programs import readable
from ui.server.doors.routes import FILE, find_way
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
# What Gradio believes, from anybody, of where the app is; and parts of a file, of which it fails to read several.
UNREAD = {b"x-forwarded-host", b"x-gradio-server", b"forwarded", b"range"} - ({b"x-forwarded-host"} if SPACE else set())


class Door:
    """Lets a request in to `app`. page: whose calls are let in. waiting: as in Limits."""

    def __init__(self, app: ASGIApp, *, page: gr.Blocks, waiting: int) -> None:
        self.app, self.page, self.hosts = app, page, allowed_hosts()
        calls = Calls(app, page=page, waiting=waiting)
        self.ways: dict[str, Callable[..., Awaitable[None]]]
        self.ways = {"call": calls.call, "cancel": calls.cancel, "agent": calls.agent, "": self._pass}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":  # the page needs no other kind
            scope = {**scope, "client": (counted(client_of(scope)), 0)}
            await readable(self._let_in, scope, self.hosts)(scope, receive, _with_headers(send, scope["path"]))

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            way, named = find_way(scope, self.hosts)
            kept = [pair for pair in scope["headers"] if pair[0] not in UNREAD]
            await self.ways[way]({**scope, "headers": kept}, receive, send, **named)
        except Refused as refused:
            await refused.answer(scope, receive, send)
        except ClientDisconnect:
            return  # nobody is there to be told

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        if said := told_lost(self.page, scope):
            await Response(said, media_type="text/event-stream")(scope, receive, send)
            return
        with connected(scope):
            await self.app(scope, receive, send)


def _with_headers(send: Send, path: str) -> Send:
    policy = FILE_POLICY if path.startswith(FILE) else POLICY

    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update({**HEADERS, "Content-Security-Policy": policy})
        await send(message)

    return send_with
