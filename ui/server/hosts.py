"""Names and addresses: under which the app may be reached, which pages may send something, who is
one client.

A page of somebody else's, open in a visitor's browser, can have its own name resolve to this
machine (DNS rebinding): its requests then carry that name. So names that are not ours are refused;
a bare address cannot be rebound. Off line, no library of this process reaches another machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

HOSTS = "CAUSALCLIP_HOSTS"  # a variable
OURS = ("localhost", "*.localhost", "*.hf.space")
# an origin that no page of the web can have
EXTENSION = re.compile(r"(chrome|moz)-extension://[\w-]{1,80}", re.ASCII)


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


def counted(client: str) -> str:
    """What a client counts as: its address; of IPv6 the network of 64 bits that one customer has
    all of."""
    bare = address(client)
    if not isinstance(bare, IPv6Address) or bare.is_loopback:
        return client
    return str(bare.ipv4_mapped or ip_network((int(bare), 64), strict=False).network_address)


def allowed_hosts() -> tuple[str, ...]:
    """Patterns of names: our own, and those in CAUSALCLIP_HOSTS (separated by commas; * stands for
    any text)."""
    more = os.environ.get(HOSTS, "").lower().split(",")
    return (*OURS, *(name.strip() for name in more if name.strip()))


def is_known(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a Host header is one of the names, or a bare address, which starlette's own check
    does not let in."""
    # what stands before an @ would not be looked at
    name = None if set(host) & set("@/\\?#") else _name(f"//{host}")
    return name is not None and (
        address(name) is not None or any(fnmatchcase(name, pattern) for pattern in allowed)
    )


def is_own_page(origin: str, host: str, site: str, allowed: tuple[str, ...]) -> bool:
    """Whether a request comes from the app's own page, or from no page at all.

    Args:
        origin, host: the headers, "" where there is none.
        site: the header Sec-Fetch-Site, which browsers set and no page can.
        allowed: as `allowed_hosts` returns them; a page there may send, too.
    """
    if not origin:
        return site not in {"cross-site", "same-site"}
    # some proxies name the port that the scheme implies
    here = host.lower().removesuffix(":80").removesuffix(":443")
    return origin in {f"http://{here}", f"https://{here}"} or is_listed(origin, allowed)


def is_listed(origin: str, allowed: tuple[str, ...]) -> bool:
    """Whether the host has named it: *.hf.space is where strangers' pages are, too, and another
    port is another's."""
    name = _name(origin)
    return name is not None and any(
        fnmatchcase(name, pattern) for pattern in allowed if pattern not in OURS
    )


def _name(address: str) -> str | None:
    try:
        name = urlsplit(address).hostname
    except ValueError:
        return None
    return name.rstrip(".").lower() if name else None


def is_extension(origin: str) -> bool:
    """Whether an Origin header is a browser extension's."""
    return bool(EXTENSION.fullmatch(origin))


# names of this machine; 0.0.0.0 and :: connect to it, too
HERE = {"", "localhost", "0.0.0.0", "::"}
LENDER = "SPACES_ZERO_DEVICE_API_URL"  # a variable of Spaces: who lends a graphics card (ZeroGPU)
_guard = {"installed": 0, "online": 0, "refused": 0}
_reachable: set[str] = set()


class OfflineError(PermissionError):
    """Something wanted to reach another machine; the message names nothing of it."""


def stay_offline() -> None:
    """Has every socket raise OfflineError that would reach another machine, whichever library opens
    it, for good.

    Where Spaces lends a graphics card, the lender is let through: a name, and the addresses that it
    has now.
    """
    if lender := urlsplit(os.environ.get(LENDER, "")).hostname:
        _reachable.add(lender)
        # asked for a card, the package `spaces` says what is wrong
        with contextlib.suppress(OSError):
            _reachable.update(str(found[4][0]) for found in socket.getaddrinfo(lender, None))
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
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(
        arguments[1], tuple
    ):
        host = arguments[1][0]
    else:
        return
    name = host.decode("latin-1") if isinstance(host, bytes) else host
    allowed = _guard["online"] or name is None or name in HERE or name in _reachable
    if allowed or is_this_machine(str(name).partition("%")[0]):
        return
    _guard["refused"] += 1
    raise OfflineError("This app reaches no other machine.")
