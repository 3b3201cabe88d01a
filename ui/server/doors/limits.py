"""How much one client may have in work at once, so that the next one gets a turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from causalclip.languages import N_
from ui.server.doors.answers import FULL
from ui.server.doors.schema import Call
from ui.server.pages import is_open

A_SESSION, AN_ADDRESS = 4, 6  # calls that wait or run at once; of an address, those that no open page has made
PAGES = 16  # calls of all open pages at one address: a newsroom may have one together
AGENTS = 3  # calls by one address over MCP
YOURS = N_("The queue is full of your own requests. Wait for an answer, then ask again.")


class Limits:
    """Who has what in work, read from Gradio's own queue.

    waiting: calls that may wait for one and the same thing, such as the model.
    """

    def __init__(self, page: gr.Blocks, *, waiting: int) -> None:
        self.page, self.waiting = page, waiting
        self.agents: Counter[str] = Counter()
        self._entering: list[tuple[Call, str]] = []  # let in, and not in Gradio's queue yet

    def refusal(self, call: Call, address: str) -> tuple[int, str] | None:
        """Why a call that wants to be queued is not let in: status and sentence."""
        events: list[Any] = list(self.page._queue.event_ids_to_events.values())
        works: list[tuple[str, str | None]] = [(client_in(event), event.session_hash) for event in events]
        works += [(other, entering.session) for entering, other in self._entering]
        thing = call.function.concurrency_id
        queue = self.page._queue.event_queue_per_concurrency_id.get(thing)
        waits = [client_in(event) for event in list(queue.queue)] if queue else []
        waits += [other for entering, other in self._entering if entering.function.concurrency_id == thing]
        if call.session is None or call.session != self.inner_session:  # Gradio's own calls for MCP are counted there
            by_page = is_open(call.session or "")
            here = sum(other == address and is_open(session or "") == by_page for other, session in works)
            mine = sum(session == call.session for _, session in works) if call.session else 0
            if here >= (PAGES if by_page else AN_ADDRESS) or mine >= A_SESSION:
                return 429, YOURS
            if waits.count(address) >= max(1, self.waiting // 2):  # the other half is for others
                return 503, FULL
        return (503, FULL) if len(waits) >= self.waiting else None

    @contextmanager
    def entering(self, call: Call, address: str) -> Iterator[Callable[[], None]]:
        """Keeps the call's place until what is yielded is called, or to the end: two do not both get the last one."""
        entry = call, address
        self._entering.append(entry)

        def entered() -> None:
            self._entering[:] = [other for other in self._entering if other is not entry]

        try:
            yield entered
        finally:
            entered()

    @property
    def inner_session(self) -> str | None:
        """The session in which Gradio itself calls what MCP asks for."""
        client = getattr(self.page.mcp_server_obj, "_client_instance", None)
        return client.session_hash if client else None


def client_in(event: Any) -> str:
    """The address that a call of Gradio's queue was made from."""
    return event.request.client.host if event.request.client else ""
