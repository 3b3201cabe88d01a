"""Calls on their way to Gradio: checked, counted, and the uploads that they use noted as theirs."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter

import gradio as gr

from ui.server import arrivals
from ui.server.doors.answers import App, Message, Receive, Scope, Send, client_of, drain, read_body, refuse, with_body
from ui.server.doors.lifelines import heard_of
from ui.server.doors.limits import AGENTS, YOURS, Limits
from ui.server.doors.schema import BadCallError, Call, Schema

LONGEST = 2**20  # bytes of a call: it names its pictures
LONGEST_BY_AGENTS = 28 * 2**20  # bytes over MCP, where the picture comes along in base64
PATIENCE, STEP = 10.0, 0.25  # seconds that a page's call waits for room among its own, and between two looks
HELD = 8  # calls of one address that wait so
TOO_LONG = "This call is too long. Upload the picture, and send its path."
_CALL = re.compile(r"/gradio_api/(?:(queue/join)|run/predict|call/([^/]+))/?")
_MCP = re.compile(r"/gradio_api/mcp(/.*)?")


class Calls:
    """Lets calls in to `app`, or answers them with a sentence. waiting: as in Limits."""

    def __init__(self, app: App, *, page: gr.Blocks, waiting: int) -> None:
        self.app, self.page = app, page
        self.schema = Schema(page)
        self.limits = Limits(page, waiting=waiting)
        self._held: Counter[str] = Counter()  # calls that wait for room, by address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sends = scope["type"] == "http" and scope["method"] == "POST"
        if sends and (found := _CALL.fullmatch(scope["path"])):
            await self._call(scope, receive, send, name=found[2], queued=bool(found[1] or found[2]))
        elif sends and _MCP.fullmatch(scope["path"]):
            await self._agent(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send, *, name: str | None, queued: bool) -> None:
        body = await read_body(receive, limit=LONGEST)
        if body is None:
            await refuse(send, 413, TOO_LONG)
            return
        try:
            call = self.schema.read(body, name)
        except BadCallError as error:
            await refuse(send, 422, str(error))
            return
        address = client_of(scope)
        refused = await self._refusal(call, address) if queued else None
        if refused:
            await refuse(send, *refused)
            return
        scope, receive = with_body(scope, receive, call.body)
        if not queued:
            await self._pass(scope, receive, send, call)
            return
        with self.limits.entering(call, address) as entered:

            async def answer(message: Message) -> None:
                entered()  # Gradio's queue has it by now: nothing is held while an answer is sent
                await send(message)

            await self._pass(scope, receive, answer, call)

    async def _refusal(self, call: Call, address: str) -> tuple[int, str] | None:
        """Why a call is not let in.

        A page whose person is hasty waits for room: what a newer wish has superseded ends within seconds.
        """
        refused = self.limits.refusal(call, address)
        if not refused or refused[0] != 429 or call.function.api_visibility != "private" or self._held[address] >= HELD:
            return refused
        self._held[address] += 1
        try:
            for _ in range(round(PATIENCE / STEP)):
                await asyncio.sleep(STEP)
                if (refused := self.limits.refusal(call, address)) is None:
                    break
        finally:
            self._held -= Counter({address: 1})
        return refused

    async def _pass(self, scope: Scope, receive: Receive, send: Send, call: Call) -> None:
        """Notes the uploads as the session's; where a call is all there is, as that call's."""
        if call.session is not None and call.session != self.limits.inner_session:
            arrivals.claim(call.session, call.files)
            heard_of(call.session)
            await self.app(scope, receive, send)
            return
        arrivals.hold(call.files)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.body" and call.files and (event := _event(message.get("body", b""))):
                arrivals.hold(call.files, event)
            await send(message)

        await self.app(scope, receive, watched)

    async def _agent(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = client_of(scope)
        if self.limits.agents[address] >= AGENTS:
            await drain(receive)
            await refuse(send, 429, YOURS)
            return
        self.limits.agents[address] += 1
        try:
            body = await read_body(receive, limit=LONGEST_BY_AGENTS)
            if body is None:
                await refuse(send, 413, TOO_LONG)
            else:
                await self.app(*with_body(scope, receive, body), send)
        finally:
            self.limits.agents -= Counter({address: 1})


def _event(body: bytes) -> str | None:
    """The name that Gradio gave to a call."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    event = answer.get("event_id") if isinstance(answer, dict) else None
    return event if isinstance(event, str) else None
