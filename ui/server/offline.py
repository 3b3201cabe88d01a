"""Off line: no library of this process reaches another machine."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from ui.server.hosts import is_this_machine

HERE = {"", "localhost", "0.0.0.0", "::"}  # names of this machine; 0.0.0.0 and :: connect to it, too
_guard = {"installed": 0, "online": 0, "refused": 0}


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
