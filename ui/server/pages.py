"""Which pages are open: those that keep a connection to the server. What is known of a closed one is forgotten."""

from __future__ import annotations

import datetime
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.server_messages import UnexpectedErrorMessage
from gradio.state_holder import SessionState
from gradio.utils import LRUCache
from starlette.datastructures import QueryParams

from ui.server.lazy import forget_profile
from ui.server.store import STORE, files_in
from ui.server.turns import forget_turns

GONE = 40.0  # seconds after which a page without a connection counts as closed: some come back
LONGEST, MOST = 3600.0, 10_000  # seconds for which closed pages are remembered, and how many
_HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([^/]+)")
_LISTENING, _ANSWER = "/gradio_api/queue/data", re.compile(r"/gradio_api/call/[^/]+/([^/]+)/?")
NOT_FOUND = "404: Not Found"  # in Gradio's words, whose page knows them
_BEGIN = SessionState.__init__
_open: Counter[str] = Counter()
_ended: dict[str, float] = {}  # session -> when it was last heard of; of closed pages, as their runs may still write


def is_open(session: str) -> bool:
    """Whether a page keeps a connection now."""
    return _open[session] > 0


@contextmanager
def connected(scope: MutableMapping[str, Any]) -> Iterator[None]:
    """Counts a request as a page's connection, if it is one, for as long as it lasts."""
    if (session := _session(scope)) is None:
        yield
        return
    _open[session] += 1
    try:
        yield
    finally:
        _open.subtract([session])
        heard_of(session)


def heard_of(session: str) -> None:
    """A session sent something. It may be the last thing, of a page that was closed meanwhile."""
    if not is_open(session):
        _open.pop(session, None)
        _ended[session] = time.monotonic()


def forget_gone(page: gr.Blocks, *, now: float | None = None) -> None:
    """Forgets every session without a connection, again and again: a run of it may still write."""
    now = time.monotonic() if now is None else now
    for session, ended in list(_ended.items()):
        if now - ended > (GONE if is_open(session) or len(_ended) > MOST else LONGEST):
            del _ended[session]
        if now - ended > GONE and not is_open(session):
            forget(page, session)


def forget(page: gr.Blocks, session: str) -> None:
    """Forgets a session in memory and on disk."""
    forget_state(page, session)
    forget_profile(session)
    STORE.close(session)


def forget_state(page: gr.Blocks, session: str) -> None:
    """Drops what is kept of a session in memory: drawings, and what Gradio keeps for it, read or not."""
    page.state_holder.delete_state(session)
    page.state_holder.session_data.pop(session, None)
    page.state_holder.time_last_used.pop(session, None)
    forget_turns(session)
    queue, works = page._queue, list(page._queue.event_ids_to_events.values())
    if not is_open(session) and all(event.session_hash != session for event in works):
        for unread in queue.pending_messages_per_session, queue.pending_event_ids_session:
            unread.pop(session, None)


def forget_idle(page: gr.Blocks, seconds: float) -> None:
    """`forget_state` for all sessions that have not been used for so long."""
    then = datetime.datetime.now() - datetime.timedelta(seconds=seconds)
    for session, used in list(page.state_holder.time_last_used.items()):
        if used < then:
            forget_state(page, session)


def told_lost(page: gr.Blocks, scope: MutableMapping[str, Any]) -> str | None:
    """What one is told who listens for the answers of a session, or of a call, that is not there; None of others.

    Gradio would say the same, and log an error of the server each time.
    """
    queue = page._queue
    if found := _ANSWER.fullmatch(scope["path"]):
        kept = (queue.event_ids_to_events, queue.pending_messages_per_session)
        there = any(found[1] in names for names in (*kept, *queue.pending_event_ids_session.values()))
        return None if there else f"event: error\ndata: {json.dumps(NOT_FOUND)}\n\n"
    session = _session(scope) if scope["path"] == _LISTENING else None
    if session is None or session in queue.pending_messages_per_session:
        return None
    return f"data: {UnexpectedErrorMessage(message=NOT_FOUND, session_not_found=True).model_dump_json()}\n\n"


def files_in_work(page: gr.Blocks) -> Iterator[str]:
    """The paths of files that calls use which wait or run."""
    for event in list(page._queue.event_ids_to_events.values()):
        yield from files_in(event.data.data if event.data else ())


def keep_open_ones(page: gr.Blocks) -> None:
    """Has Gradio, where it remembers too many sessions, drop one whose page is not open: anybody can invent sessions,
    and by itself it drops the one that was used longest ago, and with it what that one is to be told. And has it
    keep no copy of the whole page with each, a quarter of a MB: those are for deep links, which are closed.

    Once the page is served: before, there is nothing that remembers."""
    SessionState.__init__ = _begin  # type: ignore[method-assign, assignment]
    SessionState._update_config = SessionState._update_value_in_config = lambda *_: None  # type: ignore[method-assign, assignment]
    queue = page._queue
    page.state_holder.session_data = _Sessions(queue, {})
    queue.pending_messages_per_session = _Sessions(queue, queue.pending_event_ids_session)


def _begin(state: SessionState, blocks: gr.Blocks) -> None:
    _BEGIN(state, SimpleNamespace(default_config=blocks.default_config, blocks={}))  # type: ignore[arg-type]


class _Sessions(LRUCache[str, Any]):
    """Of sessions what is remembered. more: what goes with one that goes."""

    def __init__(self, queue: Any, more: dict[str, Any]) -> None:
        super().__init__(queue.pending_messages_per_session.max_size)
        self._queue, self._more = queue, more

    def popitem(self, last: bool = True) -> tuple[str, Any]:
        """Gradio's way to make room."""
        wait = {event.session_hash for event in list(self._queue.event_ids_to_events.values())}
        others = list(self)[:-1] or list(self)  # not what has just come
        gone = next((one for one in others if not is_open(one) and one not in wait), others[0])
        self._more.pop(gone, None)
        return gone, self.pop(gone)


def _session(scope: MutableMapping[str, Any]) -> str | None:
    if scope["method"] != "GET":
        return None
    if found := _HEARTBEAT.fullmatch(scope["path"]):
        return found[1]
    if scope["path"] == _LISTENING:  # read as Gradio reads it: of two, the last
        return QueryParams(scope["query_string"]).get("session_hash")
    return None
