"""How much one client may have in work at once, so that the next one gets a turn."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gradio as gr

from ui.server.doors.payloads import Call

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

    def refusal(self, call: Call, address: str) -> tuple[int, str] | None:
        """Why a call that wants to be queued is not let in: status and sentence."""
        if call.session is None or call.session != self.inner_session:  # Gradio's own calls for MCP are counted there
            events = list(self.page._queue.event_ids_to_events.values())
            if sum(_address(event) == address for event in events) >= AN_ADDRESS:
                return 429, YOURS
            if call.session and sum(event.session_hash == call.session for event in events) >= A_SESSION:
                return 429, YOURS
        queue = self.page._queue.event_queue_per_concurrency_id.get(call.function.concurrency_id)
        return (503, FULL) if queue and len(queue.queue) >= self.waiting else None

    @property
    def inner_session(self) -> str | None:
        """The session in which Gradio itself calls what MCP asks for."""
        client = getattr(self.page.mcp_server_obj, "_client_instance", None)
        return client.session_hash if client else None


def _address(event: Any) -> str:
    return event.request.client.host if event.request.client else ""
