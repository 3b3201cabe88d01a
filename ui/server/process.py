"""What holds for the whole process: where it listens, that it reaches no other machine, and what it logs."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import TracebackType
from typing import Any

VARIABLE = "CAUSALCLIP_EXPOSED"
REFUSED = (
    "The app does not listen on {address}: others could reach it there, and it is not made for slow and many clients. "
    "Put a proxy before it (docs/hosting.md) and name that one in FORWARDED_ALLOW_IPS, or set " + VARIABLE + "=1 if "
    "whoever can reach that address is meant to, such as inside a container of your own."
)
CONNECTIONS = 16_384
HERE = {"", "localhost", "0.0.0.0", "::"}  # names of this machine; 0.0.0.0 and :: connect to it, too
OURS = ("ui", "causalclip", "purifier", "__main__")  # what these log is written with care
# They warn of each request that cannot be read, which anybody can send at any rate; its sender is told.
BY_STRANGERS = ("uvicorn.error", "mcp.server.lowlevel.server", "mcp.server.streamable_http", "root")
log = logging.getLogger(__name__)
_guard = {"installed": 0, "online": 0, "refused": 0}


def address(name: str) -> IPv4Address | IPv6Address | None:
    """A bare address, of what may be one."""
    try:
        return ip_address(name.strip("[]"))
    except ValueError:
        return None


def is_this_machine(name: str) -> bool:
    """Whether it is the app's own machine."""
    bare = address(name)
    return bare.is_loopback if bare else name == "localhost"


# Where it listens ---------------------------------------------------------------------------------


def refuse_exposure(listens_on: str | None) -> None:
    """Ends the program with a sentence where others could reach it, and nobody has said that they may.

    On a Space, and where FORWARDED_ALLOW_IPS names a proxy (as in a network of containers), there is one before it.

    Args:
        listens_on: an address; None for what GRADIO_SERVER_NAME says, or else 127.0.0.1.
    """
    listens_on = listens_on or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    proxies = {name.strip() for name in os.environ.get("FORWARDED_ALLOW_IPS", "").split(",")} - {"", "*"}
    named = not all(map(is_this_machine, proxies))
    if not (is_this_machine(listens_on) or named or os.environ.get("SPACE_ID") or os.environ.get(VARIABLE) == "1"):
        raise SystemExit(REFUSED.format(address=listens_on))


def open_many() -> None:
    """Lets this process have as many connections as the system allows it.

    1,024 is usual, and where none is left, nobody gets in and asyncio logs that without end.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on Windows; elsewhere the system may have its own
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


# Off line -----------------------------------------------------------------------------------------


class OfflineError(PermissionError):
    """Something wanted to reach another machine; the message names nothing of it."""


def stay_offline() -> None:
    """Has every socket raise OfflineError that would reach another machine, whichever library opens it, for good."""
    if not _guard["installed"]:
        _guard["installed"] = 1
        sys.addaudithook(_refuse)


@contextlib.contextmanager
def online() -> Iterator[None]:
    """The one exception: while a model is downloaded from the hub at start."""
    _guard["online"] += 1
    try:
        yield
    finally:
        _guard["online"] -= 1


def refused() -> int:
    """How often something wanted to."""
    return _guard["refused"]


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    name = host.decode("latin-1") if isinstance(host, bytes) else host
    if _guard["online"] or name is None or name in HERE or is_this_machine(str(name).partition("%")[0]):
        return
    _guard["refused"] += 1
    raise OfflineError("This app reaches no other machine.")


# Logs ---------------------------------------------------------------------------------------------


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
