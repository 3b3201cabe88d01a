"""Which pages are open: those that keep a connection to the server. When the last one of a page ends, it is closed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs

from ui.server.doors.answers import App, Receive, Scope, Send

GONE = 40.0  # seconds after which a page without a connection counts as closed: some come back
_HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([^/]+)")
_open: Counter[str] = Counter()
_ended: dict[str, float] = {}  # session -> when it was last heard of


class Lifelines:
    """Counts a page's connections on their way to `app`."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = _session(scope)
        if session is None:
            await self.app(scope, receive, send)
            return
        _open[session] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            _open[session] -= 1
            if not _open[session]:
                del _open[session]
                _ended[session] = time.monotonic()


def heard_of(session: str) -> None:
    """A session sent something. It may be the last thing, of a page that was closed meanwhile."""
    if not _open[session]:
        _ended[session] = time.monotonic()


def forget_gone(forget: Callable[[str], None], *, now: float | None = None) -> None:
    """Calls `forget` for every session without a connection."""
    now = time.monotonic() if now is None else now
    for session, ended in list(_ended.items()):
        if _open[session] or now - ended > GONE:
            del _ended[session]
            if not _open[session]:
                forget(session)


def _session(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    if found := _HEARTBEAT.fullmatch(scope["path"]):
        return found[1]
    if scope["path"] == "/gradio_api/queue/data":
        return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [None])[0]
    return None
