"""Logs and the app's health. Nothing here is about a picture or a person.

Of an error its kind and its place are logged, never its message, which may hold a name.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

OURS = ("ui", "causalclip", "purifier", "__main__")  # what these log is written with care
# They warn of each request that cannot be read, which anybody can send at any rate.
BY_STRANGERS = "uvicorn.error", "root"
PERIOD = 60.0  # seconds
log = logging.getLogger(__name__)


def routes(ready: Callable[[], bool]) -> list[Route]:
    """Return `/healthz`. ready: whether the models are loaded."""

    async def healthz(_request: Request) -> Response:
        is_ready = ready()
        return JSONResponse({"ready": is_ready}, status_code=200 if is_ready else 503)

    return [Route("/healthz", healthz)]


def _describe_error(error: BaseException) -> str:
    """Return an error's kind, and the lines that it came through."""
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}".rstrip()


def drop_messages() -> None:
    """Have others' messages, and those of exceptions, left out of what this process logs."""
    logging.captureWarnings(True)
    logging.setLogRecordFactory(_record)
    for name in BY_STRANGERS:
        logging.getLogger(name).addFilter(_Seldom())
    # Whoever sends a form that cannot be read is told so.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, None)
    traceback.print_exc = _log_raised  # Gradio prints the errors of functions by it


class _Seldom(logging.Filter):
    """Lets errors alone through, and those of one place once a minute: anybody can repeat them."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        frames = traceback.extract_tb(error.__traceback__) if error else []
        place = (frames[-1].filename, frames[-1].lineno or 0) if frames else (record.pathname, 0)
        if record.levelno < logging.ERROR or record.created - self._last.get(place, 0.0) < PERIOD:
            return False
        self._last[place] = record.created
        return True


def _record(
    name: str, level: int, place: str, line: int, message: Any, *rest: Any, **more: Any
) -> logging.LogRecord:
    """Make a record whose message is kept if it is ours; of others', the place says enough."""
    args, exc_info, *others = rest
    error = exc_info[1] if exc_info else None
    if (name or "").split(".")[0] not in OURS:
        kind = type(error).__name__ if error else "Something"
        message = f"{kind} was logged at {place}:{line}; its message is not kept"
        args = ()
    record = logging.LogRecord(name, level, place, line, message, args, exc_info, *others, **more)
    if error:
        record.exc_text = _describe_error(error)  # in place of a formatter's
    return record


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, _frames: TracebackType | None
) -> None:
    """Log an error that nothing has caught, without its message; sys.excepthook."""
    if not issubclass(kind, KeyboardInterrupt):
        log.error("Uncaught: %s", _describe_error(error) if error else kind.__name__)


def _log_raised(limit: int | None = None, file: Any = None, chain: bool = True) -> None:
    """Log the error that is being handled, without its message; traceback.print_exc."""
    if error := sys.exc_info()[1]:
        log.error("Raised: %s", _describe_error(error))
