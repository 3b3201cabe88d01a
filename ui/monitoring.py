"""For who runs the app: how it is, and what may be logged. Nothing here is about a picture or a
person.

Of an error its kind and its place are logged, never its message, which may hold a name or a
content.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import gradio as gr
from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ui.server.storage import STORE

LATE = 60.0  # seconds by which a deletion may be late before the app counts as unwell


def routes(page: gr.Blocks, ready: Callable[[], bool]) -> list[Route]:
    """`/healthz` for everybody and `/metrics` for the machine itself (the middleware keeps it so).

    ready: whether the models are loaded.
    """
    disable_created_metrics()
    registry, waiting = CollectorRegistry(), page._queue.event_ids_to_events
    read: Callable[[], float]
    for name, words, read in (
        ("ready", "1 once the models are loaded", ready),
        ("queue_length", "calls that wait or run", lambda: len(waiting)),
        ("sessions", "sessions that are remembered", lambda: len(page.state_holder.session_data)),
        (
            "uploads",
            "uploads that are kept, and places of those that are coming",
            lambda: STORE.kept()[0],
        ),
        ("uploads_bytes", "bytes of them", lambda: STORE.kept()[1]),
        (
            "deletion_lateness_seconds",
            "by how much the latest deletion is or was late",
            STORE.lateness,
        ),
    ):
        Gauge(f"causalclip_{name}", words, registry=registry).set_function(read)

    def healthz(_: Request) -> Response:
        late, loaded = round(STORE.lateness(), 1), ready()
        said = {
            "models_loaded": loaded,
            "queue_length": len(waiting),
            "deletion_lateness_seconds": late,
        }
        well = loaded and late <= LATE
        return JSONResponse({"ready": well, **said}, status_code=200 if well else 503)

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return [Route("/healthz", healthz), Route("/metrics", metrics)]


OURS = ("ui", "causalclip", "purifier", "__main__")  # what these log is written with care
# They warn of each request that cannot be read, which anybody can send at any rate; its sender is
# told.
BY_STRANGERS = (
    "uvicorn.error",
    "mcp.server.lowlevel.server",
    "mcp.server.streamable_http",
    "mcp.server.transport_security",
    "root",
)
log = logging.getLogger(__name__)


def drop_messages() -> None:
    """Has every exception, whoever prints or logs it, told by its type and the lines that it came
    through.

    Its message may hold a file's name, its path, or all of it. For the whole process; before the
    server starts.
    """
    traceback.TracebackException.format_exception_only = _type_only  # type: ignore[method-assign, assignment]
    logging.captureWarnings(True)
    logging.setLogRecordFactory(_record)
    for name in BY_STRANGERS:
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.ERROR)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda e: _log_uncaught(e.exc_type, e.exc_value, e.exc_traceback)


def _type_only(error: Any, **_: Any) -> Iterator[str]:
    """In place of "type: message", with notes and, for syntax errors, the text."""
    kind = getattr(error, "exc_type_str", None) or getattr(error.exc_type, "__qualname__", "None")
    yield f"{kind}\n"


def _record(
    name: str | None, level: int, place: str, line: int, message: Any, *rest: Any, **more: Any
) -> logging.LogRecord:
    """A record whose message is kept if it is ours; of others', the place says what happened."""
    args, exc_info, *others = rest
    if (name or "").split(".")[0] not in OURS:
        kind = exc_info[0].__name__ if exc_info and exc_info[0] else "Something"
        message, args = f"{kind} was logged at {place}:{line}; its message is not kept", ()
    record = logging.LogRecord(
        str(name), level, place, line, message, args, exc_info, *others, **more
    )
    if record.exc_info and record.exc_info[1]:
        # in place of a formatter's
        record.exc_text = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    return record


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, frames: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.error("Uncaught: %s\n%s", kind.__name__, "".join(traceback.format_tb(frames)))
