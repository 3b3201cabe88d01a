"""How much one client may have in work at once, so that the next one gets a turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from ui.server.doors.schema import Call

A_SESSION, AN_ADDRESS = 4, 6  # calls that wait or run at once
AGENTS = 3  # calls by one address over MCP
YOURS = "The queue is full of your own requests. Wait for an answer, then ask again."
FULL = "The queue is full. Please ask again in a minute."


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
        if call.session is None or call.session != self.inner_session:  # Gradio's own calls for MCP are counted there
            events = list(self.page._queue.event_ids_to_events.values())
            addresses = [*map(_address, events), *(address for _, address in self._entering)]
            sessions = [*(event.session_hash for event in events), *(other.session for other, _ in self._entering)]
            if addresses.count(address) >= AN_ADDRESS or (call.session and sessions.count(call.session) >= A_SESSION):
                return 429, YOURS
        thing = call.function.concurrency_id
        queue = self.page._queue.event_queue_per_concurrency_id.get(thing)
        waiting = len(queue.queue) if queue else 0
        waiting += sum(other.function.concurrency_id == thing for other, _ in self._entering)
        return (503, FULL) if waiting >= self.waiting else None

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


def _address(event: Any) -> str:
    return event.request.client.host if event.request.client else ""
