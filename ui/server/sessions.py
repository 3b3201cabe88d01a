"""Sessions are issued: a page's by a cookie that we signed and a connection that it holds, a program's by us.

A call is read once, by the schema of the function that will run, and written anew for Gradio. When a page's last
connection ends, what is known of it is forgotten, in memory and on disk.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr
from gradio.server_messages import ProcessCompletedMessage, UnexpectedErrorMessage
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.files import PROGRAM, files_in
from ui.server.hosts import counted
from ui.server.middleware import CLOSED, FULL, SPACE, YOURS, Refused, client_of, header
from ui.server.queue import Client
from ui.server.schema import NOT_JSON, Call, Name, Schema
from ui.server.storage import STORE

COOKIE = "visitor"
A_PROGRAM, AN_ADDRESS, ALL = 6, 16, 64  # calls that wait or run: of an address without, and with pages, and of all
UNREAD_ANSWERS = 4  # of one page: room comes to those who listen
PAGES, ALL_PAGES = 64, 250  # open pages: of an address, and of all
PROGRAMS = 64  # calls of an address without a page, with those that wait for somebody to read their answer
UNREAD_UPDATES = 20  # of a page that does not listen: its runs are ended
COMES, STEP = 3.0, 0.25  # seconds that a call waits for its page's connection, which opens meanwhile; between two looks
UNHEARD = 40.0  # seconds that a program's answer is kept
BESIDE = "/gradio_api/run/"  # where the page asks what is not queued
NO_PAGE = "This page is not open here any more. Open it again."
NOT_FOUND = "404: Not Found"  # in Gradio's words, whose page knows them
_KEY = secrets.token_bytes(32)
_SIGNED = re.compile(rf"(?:^|[;, ]){COOKIE}=([\w-]{{22}})\.([0-9a-f]{{64}})(?=[;, ]|$)")


def _sign(visitor: str) -> str:
    return hmac.new(_KEY, visitor.encode(), hashlib.sha256).hexdigest()


def visitor_of(scope: Scope) -> str:
    """Who has our cookie; "" for whoever has none that we signed."""
    found = _SIGNED.search(header(scope, "cookie"))
    return found[1] if found and hmac.compare_digest(_sign(found[1]), found[2]) else ""


def issue(scope: Scope) -> tuple[bytes, bytes]:
    """The header that gives a browser its cookie, until it is closed."""
    visitor = secrets.token_urlsafe(16)
    inside = "; SameSite=None; Secure; Partitioned" if SPACE else "; SameSite=Lax"  # a Space's page is in a frame
    secure = "; Secure" if scope.get("scheme") == "https" and not SPACE else ""
    return b"set-cookie", f"{COOKIE}={visitor}.{_sign(visitor)}; Path=/; HttpOnly{inside}{secure}".encode()


class Cancel(BaseModel):
    """All that Gradio ends a call by."""

    model_config = ConfigDict(strict=True)
    session_hash: Name | None = None
    fn_index: int | None = None
    event_id: Name


@dataclass(slots=True)
class _Page:
    """An open page. holder: its visitor; a program's, without a cookie, is its address. connections: that it holds."""

    holder: str
    address: str
    connections: int = 0


class Sessions:
    """Which pages and programs are there, and what each has in work.

    cancel_runs: ends a session's runs. forget_choices: drops what it has chosen. Both are told its name.
    """

    def __init__(
        self,
        page: gr.Blocks,
        *,
        cancel_runs: Callable[[str], None] | None = None,
        forget_choices: Callable[[str], None] | None = None,
    ) -> None:
        self.page, self.schema = page, Schema(page)
        self.cancel_runs, self.forget_choices = cancel_runs, forget_choices
        self.queue = page._queue
        self._pages: dict[str, _Page] = {}  # session -> an open page
        self._programs: dict[str, tuple[str, float]] = {}  # session -> address, and when it was last in work
        self._coming: Counter[Client] = Counter()  # calls on their way to Gradio's queue
        self._beside: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()  # by address
        self._by_visitor = SPACE and not os.environ.get("FORWARDED_ALLOW_IPS")

    def client(self, scope: Scope) -> str:
        """What a request counts for: its address; on a Space, whose proxy may pass on invented ones, its visitor."""
        return f"visitor {visitor_of(scope)}" if self._by_visitor else counted(client_of(scope))

    async def pass_on(
        self, app: ASGIApp, kind: str, body: bytes, scope: Scope, receive: Receive, send: Send, **named: str | None
    ) -> None:
        """A request that the middleware lets in; kind, named: as in its routes. Raises Refused."""
        if kind == "page":
            await app(scope, receive, send if visitor_of(scope) else _with_cookie(scope, send))
        elif kind == "call":
            await self._call(app, self.schema.read(body, named["name"]), scope, receive, send)
        elif kind == "cancel":
            await self._cancel(app, body, scope, receive, send)
        elif kind == "answer":
            await self._answer(app, str(named["event"]), scope, receive, send)
        elif kind == "listen":
            session = QueryParams(scope["query_string"]).get("session_hash") or ""
            await self._find(session, scope)
            if session in self.queue.pending_messages_per_session:
                await app(scope, receive, send)
            else:  # Gradio would say the same, and log an error of the server each time
                lost = UnexpectedErrorMessage(message=NOT_FOUND, session_not_found=True).model_dump_json()
                await Response(f"data: {lost}\n\n", media_type="text/event-stream")(scope, receive, send)
        else:
            with self._hold(str(named["session"]), scope):
                await app(scope, receive, send)

    # Open pages ---------------------------------------------------------------------------------

    def is_open(self, session: str) -> bool:
        """Whether a page keeps a connection now."""
        return session in self._pages

    @contextmanager
    def _hold(self, session: str, scope: Scope) -> Iterator[None]:
        """A page is open for as long as its connection lasts; nobody else can hold or end it."""
        address, holder = client_of(scope), visitor_of(scope) or client_of(scope)
        page = self._pages.get(session) or _Page(holder, address)
        if page.holder != holder or session.startswith(PROGRAM):
            raise Refused(403, NO_PAGE)
        if session not in self._pages:
            if sum(one.address == address for one in self._pages.values()) >= PAGES:
                raise Refused(429, YOURS)
            if len(self._pages) >= ALL_PAGES:
                raise Refused(503, FULL)
        self._pages[session] = page
        page.connections += 1
        try:
            yield
        finally:
            page.connections -= 1
            if not page.connections:
                del self._pages[session]
                self.forget(session)

    async def _find(self, session: str, scope: Scope) -> None:
        """Waits until the sender's page is open; raises Refused where it is not."""
        client = visitor_of(scope) or header(scope, "x-gradio-user")  # of a browser, or Gradio's own
        until = time.monotonic() + (COMES if client else 0)
        while session not in self._pages and time.monotonic() < until:
            await asyncio.sleep(STEP)
        page = self._pages.get(session)
        if page is None or page.holder != (visitor_of(scope) or client_of(scope)):
            raise Refused(403, NO_PAGE)

    # Calls --------------------------------------------------------------------------------------

    async def _call(self, app: ASGIApp, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        function, beside = self.page.fns[call.fn_index or 0], scope["path"].startswith(BESIDE)
        if beside != (function.queue is False):  # no page asks so, and some give long answers
            raise Refused(404, CLOSED)
        address = client_of(scope)
        if call.session_hash is None:
            self._tidy()
            if sum(one == address for one, _used in self._programs.values()) >= PROGRAMS:
                raise Refused(429, YOURS)
            call.session_hash = PROGRAM + secrets.token_hex(16)
            self._programs[call.session_hash] = address, time.monotonic()
            STORE.hold(files_in(call.data))
        else:
            await self._find(call.session_hash, scope)
            STORE.claim(call.session_hash, files_in(call.data))
        client = Client(address, call.session_hash)
        if beside:  # in a thread of its own, which may wait for its place: it waits here
            async with self._beside.setdefault(address, asyncio.Semaphore(AN_ADDRESS)):
                await app(*with_body(scope, receive, call), _as_sentence(send))
            return
        try:
            with self._place(client):
                await app(*with_body(scope, receive, call), send)
        except Refused:
            self._programs.pop(client.session, None)
            raise

    @contextmanager
    def _place(self, client: Client) -> Iterator[None]:
        """A call's place until it is in Gradio's queue, where it is counted; raises Refused where there is none."""
        works = [Client(client_of(e.request.scope), e.session_hash) for e in self._events()]
        works += self._coming.elements()
        program = client.session.startswith(PROGRAM)  # a page's calls count after it was closed, too
        here = sum(one.address == client.address and one.session.startswith(PROGRAM) == program for one in works)
        deaf = self._unread(client.session, ProcessCompletedMessage) >= UNREAD_ANSWERS
        if deaf or here >= (A_PROGRAM if program else AN_ADDRESS):
            raise Refused(429, YOURS)
        if len(works) >= ALL:
            raise Refused(503, FULL)
        self._coming[client] += 1
        try:
            yield
        finally:
            self._coming -= Counter({client: 1})

    def _events(self) -> list[Any]:
        """The calls that wait or run."""
        return list(self.queue.event_ids_to_events.values())

    def _unread(self, session: str, kind: type = object) -> int:
        """Messages that wait in memory for somebody to listen."""
        told = self.queue.pending_messages_per_session.get(session)
        return sum(isinstance(one, kind) for one in list(told._queue)) if told else 0  # type: ignore[attr-defined]

    async def _cancel(self, app: ASGIApp, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """The end of a call. Who names somebody else's, or one that is over, is answered the same, and ends nothing."""
        try:
            cancel = Cancel.model_validate_json(body)
        except ValidationError:
            raise Refused(422, NOT_JSON) from None
        event = self.queue.event_ids_to_events.get(cancel.event_id)
        named = event and (event.session_hash, event.fn._id, client_of(event.request.scope))
        if named == (cancel.session_hash, cancel.fn_index, client_of(scope)):
            await app(*with_body(scope, receive, cancel), send)
        else:
            await JSONResponse({"success": True})(scope, receive, send)

    async def _answer(self, app: ASGIApp, event_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """What a program's call comes to; its name is issued, and cannot be guessed. Nobody needs it twice."""
        event = self.queue.event_ids_to_events.get(event_id)
        ids = self.queue.pending_event_ids_session.items()
        session = event.session_hash if event else next((name for name, some in ids if event_id in some), "")
        if session not in self.queue.pending_messages_per_session:
            said = f"event: error\ndata: {json.dumps(NOT_FOUND)}\n\n"
            await Response(said, media_type="text/event-stream")(scope, receive, send)
            return
        await app(scope, receive, send)
        if self._programs.pop(session, None):
            self._forget_state(session)

    # Chores -------------------------------------------------------------------------------------

    def tidy(self, *, idle: float) -> None:
        """What has to be done again and again: a run may write of a page that was closed.

        idle: seconds after which what is kept of an unused page in memory goes.
        """
        self._tidy()
        then = datetime.datetime.now() - datetime.timedelta(seconds=idle)
        for session, used in list(self.page.state_holder.time_last_used.items()):
            if used < then:
                self._forget_state(session)
        for session in list(self._pages):
            if self._unread(session) > UNREAD_UPDATES:
                self._forget_state(session)
                self.queue.pending_messages_per_session.pop(session, None)
        works = self._events()
        STORE.hold(path for event in works for path in files_in(event.data.data if event.data else ()))
        STORE.sweep({*self._pages, *(event.session_hash for event in works)})

    def _tidy(self) -> None:
        """Forgets whatever is no open page's, no call's that runs, and nobody's who may still listen."""
        now, working = time.monotonic(), {event.session_hash for event in self._events()}
        for session, (address, used) in list(self._programs.items()):
            if session in working:
                self._programs[session] = address, now
            elif now - used > UNHEARD:
                del self._programs[session]
        kept = {*self._pages, *self._programs, *working}
        queue = self.queue
        for known in self.page.state_holder.session_data, queue.pending_messages_per_session:
            for session in [one for one in known if one not in kept]:
                self.forget(session)  # a page's choice may have come after it was closed

    def forget(self, session: str) -> None:
        """Forgets a session in memory and on disk."""
        self._forget_state(session)
        if self.forget_choices:
            self.forget_choices(session)
        STORE.close(session)

    def _forget_state(self, session: str) -> None:
        """Drops a session's state and undelivered messages, and ends its runs."""
        self.page.state_holder.delete_state(session)
        self.page.state_holder.session_data.pop(session, None)
        self.page.state_holder.time_last_used.pop(session, None)
        if self.cancel_runs:
            self.cancel_runs(session)
        if not self.is_open(session) and all(event.session_hash != session for event in self._events()):
            self.queue.pending_messages_per_session.pop(session, None)
            self.queue.pending_event_ids_session.pop(session, None)


def with_body(scope: Scope, receive: Receive, said: BaseModel) -> tuple[Scope, Receive]:
    """The request with this JSON, in place of what has been read. Whatever it was called, it is named JSON: of another
    kind, Gradio would send it back."""
    body = said.model_dump_json().encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    told = {b"content-length": b"%d" % len(body), b"content-type": b"application/json"}
    kept = [pair for pair in scope["headers"] if pair[0] not in {*told, b"transfer-encoding"}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return {**scope, "headers": [*kept, *told.items()]}, receive_again


def _with_cookie(scope: Scope, send: Send) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], issue(scope)]}
        await send(message)

    return send_with


def _as_sentence(send: Send) -> Send:
    """What Gradio says of an error in a call that is not queued: one that has a sentence is its sender's, not ours."""
    start: Message = {}
    body = bytearray()

    async def send_later(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 500:
            start.update(message)
        elif start:
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                status = 422 if b'"error":null' not in body.replace(b" ", b"") and body.startswith(b"{") else 500
                await send({**start, "status": status})
                await send({"type": "http.response.body", "body": bytes(body)})
        else:
            await send(message)

    return send_later
