"""What may be logged: what kind of error it was and where, never its message, which may hold a name or a content."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

OURS = ("ui", "causalclip", "purifier", "__main__")  # what these log is written with care
# They warn of each request that cannot be read, which anybody can send at any rate; its sender is told.
BY_STRANGERS = (
    "uvicorn.error",
    "mcp.server.lowlevel.server",
    "mcp.server.streamable_http",
    "mcp.server.transport_security",
    "root",
)
log = logging.getLogger(__name__)


def drop_messages() -> None:
    """Has every exception, whoever prints or logs it, told by its type and the lines that it came through.

    Its message may hold a file's name, its path, or all of it. For the whole process; before the server starts.
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
    record = logging.LogRecord(str(name), level, place, line, message, args, exc_info, *others, **more)
    if record.exc_info and record.exc_info[1]:
        record.exc_text = "".join(traceback.format_exception(record.exc_info[1])).rstrip()  # in place of a formatter's
    return record


def _log_uncaught(kind: type[BaseException], error: BaseException | None, frames: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.error("Uncaught: %s\n%s", kind.__name__, "".join(traceback.format_tb(frames)))
