"""Calls on their way to Gradio: checked, counted, and the uploads that they use noted as theirs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import gradio as gr
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json
from starlette.responses import JSONResponse

from ui.server.doors.answers import App, Message, Receive, Scope, Send, client_of, drain, read_body, refuse, with_body
from ui.server.doors.limits import AGENTS, YOURS, Limits, client_in
from ui.server.doors.schema import NOT_JSON, BadCallError, Call, Name, Schema
from ui.server.inline import LONGEST as LONGEST_BY_AGENTS
from ui.server.inline import agent
from ui.server.pages import heard_of
from ui.server.store import STORE, owner_of

LONGEST = 2**20  # bytes of a call: it names its pictures
PATIENCE, STEP = 10.0, 0.25  # seconds that a page's call waits for room among its own, and between two looks
HELD = 8  # calls of one address that wait so


class Cancel(BaseModel):
    """What ends a call."""

    model_config = ConfigDict(strict=True)
    session_hash: Name | None = None
    fn_index: int | None = None
    event_id: Name

    def names(self, event: Any, address: str) -> bool:
        """Whether it is a call of Gradio's queue that was made from that address, with all that Gradio ends it by."""
        own = event is not None and client_in(event) == address
        return own and (event.session_hash, event.fn._id) == (self.session_hash, self.fn_index)


class Calls:
    """Lets calls in to `app`, or answers them with a sentence. waiting: as in Limits."""

    def __init__(self, app: App, *, page: gr.Blocks, waiting: int) -> None:
        self.app, self.page = app, page
        self.schema = Schema(page)
        self.limits = Limits(page, waiting=waiting)
        self._held: Counter[str] = Counter()  # calls that wait for room, by address

    async def call(self, scope: Scope, receive: Receive, send: Send, *, name: str | None, queued: bool) -> None:
        """A call of the function of that name, or of the one whose number is in the body."""
        body = await read_body(receive, send, limit=LONGEST)
        if body is None:
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
            await self._pass(scope, receive, _told(send), call)
            return
        with self.limits.entering(call, address) as entered:

            async def answer(message: Message) -> None:
                entered()  # Gradio's queue has it by now: nothing is held while an answer is sent
                await send(message)

            await self._pass(scope, receive, answer, call)

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The end of a call. Who names somebody else's, or one that is over, is answered the same, and ends nothing."""
        body = await read_body(receive, send, limit=LONGEST)
        if body is None:
            return
        try:
            cancel = Cancel.model_validate_json(body)
        except ValidationError:
            await refuse(send, 422, NOT_JSON)
            return
        if cancel.names(self.page._queue.event_ids_to_events.get(cancel.event_id), client_of(scope)):
            await self.app(*with_body(scope, receive, cancel.model_dump_json().encode()), send)
        else:
            await JSONResponse({"success": True})(scope, receive, send)

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
        """Notes the uploads as the session's, or as those of a call that is all there is."""
        if call.session is not None and call.session != self.limits.inner_session:
            STORE.claim(call.session, call.files)
            heard_of(call.session)
        else:
            STORE.hold(call.files)
        await self.app(scope, receive, send)

    async def agent(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A call by an agent."""
        address = client_of(scope)
        if self.limits.agents[address] >= AGENTS:
            await drain(receive)
            await refuse(send, 429, YOURS)
            return
        self.limits.agents[address] += 1
        agent.set(owner_of(address))
        try:
            body = await read_body(receive, send, limit=LONGEST_BY_AGENTS)
            if body is None:
                return
            if scope["method"] == "POST" and not _is_json(body):
                await refuse(send, 400, "This is no call: send JSON-RPC.")
            else:
                await self.app(*with_body(scope, receive, body), send)
        finally:
            self.limits.agents -= Counter({address: 1})


def _is_json(body: bytes) -> bool:
    """Whether it is JSON that is not nested too deep; what is, ends in an error of the MCP server."""
    try:
        from_json(body, cache_strings="none")
    except ValueError:
        return False
    return True


def _told(send: Send) -> Send:
    """Has Gradio's answer to a call that is not queued say whose fault an error is: one that comes with a sentence is
    the caller's, and no error of the server."""
    start: list[Message] = []

    async def send_told(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 500:
            start.append(message)
            return
        if start:
            first = start.pop()
            await send({**first, "status": 422 if _sentence(message.get("body", b"")) else 500})
        await send(message)

    return send_told


def _sentence(body: bytes) -> str | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer.get("error") if isinstance(answer, dict) else None
