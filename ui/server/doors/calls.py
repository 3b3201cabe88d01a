"""Calls on their way to Gradio: read once, written anew, and the uploads that they use noted as theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import ContextVar
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr
from gradio import utils
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.server.doors.answers import Refused, client_of, place, read_body, with_body
from ui.server.doors.limits import A_SESSION, PAGES, Limits
from ui.server.doors.schema import NOT_JSON, Name, Schema
from ui.server.pages import heard_of
from ui.server.store import PREFIX, STORE, files_in, owner_of

LONGEST = 2**20  # bytes of a call: it names its pictures
LONGEST_BY_AGENTS = 28 * 2**20  # their pictures come along, in base64
BESIDE = "/gradio_api/run/"  # where the page asks what is not queued
AGENTS = 3  # calls by one address over MCP
MOST_VALUES = 1000  # of an agent's call: what is long in it is a picture, in one text
agent: ContextVar[str] = ContextVar("agent", default=f"{PREFIX}agents")  # who calls, as `owner_of` says it
_PAYLOAD = utils.error_payload


class Cancel(BaseModel):
    """All that Gradio ends a call by."""

    model_config = ConfigDict(strict=True)
    session_hash: Name | None = None
    fn_index: int | None = None
    event_id: Name


class Calls:
    """Lets calls in to `app`; raises Refused. waiting: as in Limits."""

    def __init__(self, app: ASGIApp, *, page: gr.Blocks, waiting: int) -> None:
        self.app, self.page = app, page
        self.schema = Schema(page)
        self.limits = Limits(page, waiting=waiting)
        self._agents: Counter[str] = Counter()  # calls over MCP, by address
        self._beside: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()
        utils.error_payload = _told

    async def call(self, scope: Scope, receive: Receive, send: Send, name: str | None) -> None:
        """A call of the function of that name, or of the one whose number is in the body."""
        call = self.schema.read(await read_body(scope, receive, LONGEST), name)
        files, session = files_in(call.data), call.session_hash
        if session is not None and session != self.limits.inner_session:
            STORE.claim(session, files)
            heard_of(session)
        else:
            STORE.hold(files)
        if scope["path"].startswith(BESIDE):  # in a thread of their own, which may wait for a gate: they wait here
            async with self._places(session or "", A_SESSION), self._places(client_of(scope), PAGES):
                return await self.app(*with_body(scope, receive, call), send)
        await self.app(*with_body(scope, receive, call), send)

    def _places(self, name: str, most: int) -> asyncio.Semaphore:
        """What a session, or an address, may have in work at once beside the queue."""
        return self._beside.setdefault((name, most), asyncio.Semaphore(most))

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The end of a call. Who names somebody else's, or one that is over, is answered the same, and ends nothing."""
        try:
            cancel = Cancel.model_validate_json(await read_body(scope, receive, LONGEST))
        except ValidationError:
            raise Refused(422, NOT_JSON) from None
        event = self.page._queue.event_ids_to_events.get(cancel.event_id)
        named = event and (event.session_hash, event.fn._id, client_of(event.request.scope))
        if named == (cancel.session_hash, cancel.fn_index, client_of(scope)):
            await self.app(*with_body(scope, receive, cancel), send)
        else:
            await JSONResponse({"success": True})(scope, receive, send)

    async def agent(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A call by an agent."""
        address = client_of(scope)
        with place(self._agents, address, AGENTS):
            agent.set(owner_of(address))
            body = await read_body(scope, receive, LONGEST_BY_AGENTS)
            try:
                if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:  # nine million would take 1.6 GB and 12 s
                    raise ValueError
                from_json(body, cache_strings="none")
            except ValueError:  # also if nested too deep, which would be an error of the MCP server
                raise Refused(400, "This is no call: send JSON-RPC, with 1,000 values at most.") from None
            await self.app(*with_body(scope, receive, body), send)


def _told(error: BaseException | None, show_error: bool) -> dict[str, Any]:
    """What Gradio says of an error in a call that is not queued: one that has a sentence is its sender's, not ours."""
    said = _PAYLOAD(error, show_error)
    if said["error"]:
        raise Refused(422, str(said["error"]), said=said)
    return said
