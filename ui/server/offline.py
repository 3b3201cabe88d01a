"""No library of this process reaches another machine, whatever it was told."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from causalclip.settings import read_settings
from ui.server.senders import is_this_machine

THIS_MACHINE = {"", "localhost", "0.0.0.0", "::"}  # 0.0.0.0 and :: connect to it, too
_guard = {"installed": 0, "online": 0}
_reachable: set[str] = set()


class OfflineError(PermissionError):
    """Something wanted to reach another machine; the message names nothing of it."""


def stay_offline() -> None:
    """Have every socket that would reach another machine raise OfflineError, for good.

    Where Spaces lends a graphics card, the lender is let through: a name, and the addresses that it
    has now.
    """
    if lender := urlsplit(read_settings().card_lender).hostname:
        _reachable.add(lender)
        # Asked for a card, the package `spaces` says what is wrong.
        with suppress(OSError):
            _reachable.update(str(entry[4][0]) for entry in socket.getaddrinfo(lender, None))
    if not _guard["installed"]:
        _guard["installed"] = 1
        sys.addaudithook(_refuse)


@contextmanager
def online() -> Iterator[None]:
    """Let other machines be reached inside a `with`: at start, a model that the host has named
    comes from the hub."""
    _guard["online"] += 1
    try:
        yield
    finally:
        _guard["online"] -= 1


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise OfflineError where an audit event is a socket's that would reach another machine."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    elif event == "socket.getnameinfo":
        host = arguments[0][0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        if not isinstance(arguments[1], tuple):
            return  # a socket of this machine, named by a path
        host = arguments[1][0]
    else:
        return
    name = host.decode("latin-1") if isinstance(host, bytes) else str(host or "")
    is_allowed = _guard["online"] or name in THIS_MACHINE or name in _reachable
    if is_allowed or is_this_machine(name.partition("%")[0]):
        return
    raise OfflineError("This app reaches no other machine.")
