"""Sessions are issued: a page's by a cookie that we signed and a connection that it holds, a
program's by us.

A call is read once, by the schema of the function that will run, and written anew for Gradio. When
a page's last connection ends, what is known of it is forgotten, in memory and on disk.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
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
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.hosts import counted
from ui.server.middleware import (
    CLOSED,
    FULL,
    SPACE,
    YOURS,
    Places,
    Refused,
    client_of,
    header,
    on_start,
)
from ui.server.queue import Client
from ui.server.requests import Call, Schema
from ui.server.storage import PROGRAM, STORE, files_in

COOKIE = "visitor"
# calls that wait or run: of an address without, and with pages, and of all
A_PROGRAM, AN_ADDRESS, ALL = 6, 16, 64
UNREAD_ANSWERS = 4  # of one page: room comes to those who listen
PAGES = Places(64, 250)  # open at once
# calls of an address without a page, with those that wait for somebody to read their answer
PROGRAMS = 64
UNREAD_UPDATES = 20  # of a page that does not listen: its runs are ended
# seconds that a call waits for its page's connection, which opens meanwhile; between two looks
COMES, STEP = 3.0, 0.25
UNHEARD = 40.0  # seconds that a program's answer is kept
BESIDE = "/gradio_api/run/"  # where the page asks what is not queued
NO_PAGE = "This page is not open here any more. Open it again."
NOT_FOUND = "404: Not Found"  # in Gradio's words, whose page knows them
LOST = {
    "listen": f"data: {UnexpectedErrorMessage(message=NOT_FOUND, session_not_found=True).model_dump_json()}\n\n",  # noqa: E501
    "answer": f'event: error\ndata: "{NOT_FOUND}"\n\n',
}
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
    # a Space's page is in a frame
    inside = "; SameSite=None; Secure; Partitioned" if SPACE else "; SameSite=Lax"
    secure = "; Secure" if scope.get("scheme") == "https" and not SPACE else ""
    return (
        b"set-cookie",
        f"{COOKIE}={visitor}.{_sign(visitor)}; Path=/; HttpOnly{inside}{secure}".encode(),
    )


@dataclass(slots=True)
class _Session:
    """holder: who alone may use it: a page's visitor, or the address of whoever has no cookie.
    connections: that an open page holds; 0 of a program. used: when a program's call was last in
    work."""

    holder: str
    address: str
    connections: int = 0
    used: float = 0.0


class Sessions:
    """Which pages and programs are there, and what each has in work.

    cancel_runs: ends a session's runs. forget_choices: drops what it has chosen. Both are told its
    name.
    """

    def __init__(
        self,
        page: gr.Blocks,
        *,
        cancel_runs: Callable[[str], None] = lambda session: None,
        forget_choices: Callable[[str], None] = lambda session: None,
    ) -> None:
        self.page, self.schema = page, Schema(page)
        self.cancel_runs, self.forget_choices = cancel_runs, forget_choices
        self.queue = page._queue
        # by name: open pages, and programs that are not answered yet
        self._sessions: dict[str, _Session] = {}
        self._coming: Counter[Client] = Counter()  # calls on their way to Gradio's queue
        # by address
        self._beside: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._by_visitor = SPACE and not os.environ.get("FORWARDED_ALLOW_IPS")

    def client(self, scope: Scope) -> str:
        """What a request counts for: its address; on a Space, whose proxy may pass on invented
        ones, its visitor."""
        return f"visitor {visitor_of(scope)}" if self._by_visitor else counted(client_of(scope))

    async def pass_on(
        self,
        app: ASGIApp,
        kind: str,
        body: bytes,
        scope: Scope,
        receive: Receive,
        send: Send,
        **named: str | None,
    ) -> None:
        """A request that the middleware lets in; kind, named: as in its routes. Raises Refused."""
        if kind == "page":
            given = [] if visitor_of(scope) else [issue(scope)]
            await app(
                scope,
                receive,
                on_start(send, lambda start: {**start, "headers": [*start["headers"], *given]}),
            )
        elif kind == "call":
            await self._call(app, self.schema.read(body, named["name"]), scope, receive, send)
        elif kind == "heartbeat":
            with self._hold(str(named["session"]), scope):
                await app(scope, receive, send)
        elif (
            session := await self._listens(scope, named.get("event"))
        ) in self.queue.pending_messages_per_session:
            await app(scope, receive, send)
            if session.startswith(PROGRAM):  # nobody needs its answer twice
                self._sessions.pop(session, None)
                self._forget_state(session)
        else:  # Gradio would say the same, and log an error of the server each time
            await Response(LOST[kind], media_type="text/event-stream")(scope, receive, send)

    # Open pages ---------------------------------------------------------------------------------

    @contextmanager
    def _hold(self, name: str, scope: Scope) -> Iterator[None]:
        """A page is open for as long as its connection lasts; nobody else can hold or end it."""
        address, holder = client_of(scope), visitor_of(scope) or client_of(scope)
        page = self._sessions.get(name) or _Session(holder, address)
        if page.holder != holder or name.startswith(PROGRAM):
            raise Refused(403, NO_PAGE)
        if not page.connections:
            PAGES.take(address)
        self._sessions[name] = page
        page.connections += 1
        try:
            yield
        finally:
            page.connections -= 1
            if not page.connections:
                PAGES.free(address)
                del self._sessions[name]
                self.forget(name)

    async def _find(self, session: str, scope: Scope) -> None:
        """Waits until the sender's page is open; raises Refused where it is not."""
        # of a browser, or Gradio's own
        client = visitor_of(scope) or header(scope, "x-gradio-user")
        until = time.monotonic() + (COMES if client else 0)
        while session not in self._sessions and time.monotonic() < until:
            await asyncio.sleep(STEP)
        page = self._sessions.get(session)
        if page is None or page.holder != (visitor_of(scope) or client_of(scope)):
            raise Refused(403, NO_PAGE)

    async def _listens(self, scope: Scope, event_id: str | None) -> str:
        """The session whose answers a request listens to. event_id: of a program's call, a name
        that nobody can guess; a page names its session, and has to be open."""
        if event_id is None:
            session = QueryParams(scope["query_string"]).get("session_hash") or ""
            await self._find(session, scope)
            return session
        if event := self.queue.event_ids_to_events.get(event_id):
            return str(event.session_hash)
        known = self.queue.pending_event_ids_session.items()
        return next((session for session, ids in known if event_id in ids), "")

    # Calls --------------------------------------------------------------------------------------

    async def _call(
        self, app: ASGIApp, call: Call, scope: Scope, receive: Receive, send: Send
    ) -> None:
        function, beside = self.page.fns[call.fn_index or 0], scope["path"].startswith(BESIDE)
        if beside != (function.queue is False):  # no page asks so, and some give long answers
            raise Refused(404, CLOSED)
        address = client_of(scope)
        if call.session_hash is None:
            self._tidy()
            if (
                sum(
                    one.address == address and not one.connections
                    for one in self._sessions.values()
                )
                >= PROGRAMS
            ):
                raise Refused(429, YOURS)
            call.session_hash = PROGRAM + secrets.token_hex(16)
            self._sessions[call.session_hash] = _Session(address, address, used=time.monotonic())
        else:
            await self._find(call.session_hash, scope)
        STORE.claim(call.session_hash, files_in(call.data))
        client = Client(address, call.session_hash)
        if beside:  # in a thread of its own, which may wait for its place: it waits here
            async with self._beside.setdefault(address, asyncio.Semaphore(AN_ADDRESS)):
                await app(*with_body(scope, receive, call), on_start(send, _as_senders))
            return
        try:
            with self._place(client):
                await app(*with_body(scope, receive, call), send)
        except Refused:
            if client.session.startswith(PROGRAM):
                del self._sessions[client.session]
            raise

    @contextmanager
    def _place(self, client: Client) -> Iterator[None]:
        """A call's place until it is in Gradio's queue, where it is counted; raises Refused where
        there is none."""
        works = [Client(client_of(e.request.scope), e.session_hash) for e in self._events()]
        works += self._coming.elements()
        # a page's calls count after it was closed, too
        program = client.session.startswith(PROGRAM)
        here = sum(
            one.address == client.address and one.session.startswith(PROGRAM) == program
            for one in works
        )
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
        for session in list(self._sessions):
            if self._unread(session) > UNREAD_UPDATES:
                self._forget_state(session)
                self.queue.pending_messages_per_session.pop(session, None)
        working = {event.session_hash for event in self._events()}
        STORE.sweep(lambda session: session in self._sessions or session in working)

    def _tidy(self) -> None:
        """Forgets whatever is no open page's, no call's that runs, and nobody's who may still
        listen."""
        now, working = time.monotonic(), {event.session_hash for event in self._events()}
        for name, session in list(self._sessions.items()):
            if name in working:
                session.used = now
            elif not session.connections and now - session.used > UNHEARD:
                del self._sessions[name]
        for known in self.page.state_holder.session_data, self.queue.pending_messages_per_session:
            for name in [one for one in known if one not in self._sessions and one not in working]:
                self.forget(name)  # a page's choice may have come after it was closed

    def forget(self, session: str) -> None:
        """Forgets a session in memory and on disk."""
        self._forget_state(session)
        self.forget_choices(session)
        STORE.close(lambda one: one == session)

    def _forget_state(self, session: str) -> None:
        """Drops a session's state and undelivered messages, and ends its runs."""
        self.page.state_holder.delete_state(session)
        self.page.state_holder.session_data.pop(session, None)
        self.page.state_holder.time_last_used.pop(session, None)
        self.cancel_runs(session)
        if session not in self._sessions and all(
            event.session_hash != session for event in self._events()
        ):
            self.queue.pending_messages_per_session.pop(session, None)
            self.queue.pending_event_ids_session.pop(session, None)


def with_body(scope: Scope, receive: Receive, said: BaseModel) -> tuple[Scope, Receive]:
    """The request with this JSON, in place of what has been read. Whatever it was called, it is
    named JSON: of another kind, Gradio would send it back."""
    body = said.model_dump_json().encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    told = {b"content-length": b"%d" % len(body), b"content-type": b"application/json"}
    kept = [pair for pair in scope["headers"] if pair[0] not in {*told, b"transfer-encoding"}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return {**scope, "headers": [*kept, *told.items()]}, receive_again


def _as_senders(message: Message) -> Message:
    """Gradio says 500 of every error in a call that is not queued, also where it has a sentence for
    its sender. What is an error of ours is in the log."""
    return {**message, "status": 422} if message["status"] == 500 else message
