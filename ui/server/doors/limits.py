"""How much one client may have in work at once, so that the next one gets a turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import gradio as gr
from gradio.queueing import Event
from gradio.route_utils import get_fn
from gradio.server_messages import ProcessCompletedMessage

from ui.server.doors.answers import CLOSED, FULL, YOURS, Refused, client_of, place
from ui.server.pages import is_open

A_SESSION, AN_ADDRESS = 4, 6  # calls that wait or run, and a session's unread answers; of an address, without its pages
PAGES = 16  # calls of all open pages at one address: a newsroom may have one together
PATIENCE, STEP = 10.0, 0.25  # seconds that a page's call waits for room among its own, and between two looks
HELD = 8  # calls of one address that wait so


class Limits:
    """Who has what in work, read from Gradio's own queue, which asks here before it takes a call.

    waiting: calls that may wait for one and the same thing, such as the model.
    """

    def __init__(self, page: gr.Blocks, *, waiting: int) -> None:
        self.page, self.waiting = page, waiting
        self._held: Counter[str] = Counter()  # calls that wait for room, by address
        self._take = page._queue.push
        page._queue.push = self._push  # type: ignore[method-assign]

    async def _push(self, body: Any, request: Any, username: str | None) -> Any:
        function = get_fn(self.page, None, body)
        if function.queue is False:  # no page asks so, and some give long answers
            raise Refused(404, CLOSED)
        await self._find_room(Event(body.session_hash, function, request, username))
        # Gradio's waits for nothing until the call is among those in work, so two do not both get the last place.
        return await self._take(body, request, username)

    async def _find_room(self, event: Event) -> None:
        """Raises Refused where there is none for a call.

        A page whose person is hasty waits for it: what a newer wish has superseded ends within seconds.
        """
        try:
            return self._check(event)
        except Refused as refused:
            deaf = self._unread(event.session_hash) >= A_SESSION  # waiting brings room to those who listen
            if refused.status != 429 or event.fn.api_visibility != "private" or deaf:
                raise
        with place(self._held, client_of(event.request.scope), HELD):
            for _ in range(round(PATIENCE / STEP)):
                await asyncio.sleep(STEP)
                with suppress(Refused):
                    return self._check(event)
        self._check(event)

    def _check(self, event: Event) -> None:
        queue = self.page._queue.event_queue_per_concurrency_id.get(event.concurrency_id)
        works, waits = self.page._queue.event_ids_to_events.values(), queue.queue if queue else []
        if event.session_hash != self.inner_session:  # Gradio's own calls for MCP are counted there
            address, by_page = client_of(event.request.scope), is_open(event.session_hash)
            theirs = [one for one in works if client_of(one.request.scope) == address]  # of this address
            here = sum(is_open(one.session_hash) == by_page for one in theirs)
            mine = sum(one.session_hash == event.session_hash for one in works) + self._unread(event.session_hash)
            if here >= (PAGES if by_page else AN_ADDRESS) or mine >= A_SESSION:
                raise Refused(429, YOURS)
            if sum(one in waits for one in theirs) >= max(1, self.waiting // 2):  # the rest is for others
                raise Refused(503, FULL)
        if len(waits) >= self.waiting:
            raise Refused(503, FULL)

    def _unread(self, session: str) -> int:
        """Answers that wait in memory for somebody to listen."""
        told = self.page._queue.pending_messages_per_session.get(session)
        return sum(isinstance(one, ProcessCompletedMessage) for one in told._queue) if told else 0  # type: ignore[attr-defined]

    @property
    def inner_session(self) -> str | None:
        """The session in which Gradio itself calls what MCP asks for."""
        client = getattr(self.page.mcp_server_obj, "_client_instance", None)
        return client.session_hash if client else None
