"""The sender of a request: under which name the app was asked, from which page, and which visitor.

A page of somebody else's, open in a visitor's browser, can have its own name resolve to this
machine (DNS rebinding): its requests then carry that name. So names that are not ours are refused;
a bare address cannot be rebound.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from contextvars import ContextVar
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import Scope

from causalclip.languages import N_
from causalclip.settings import read_settings

OWN_NAMES = ("localhost", "*.localhost", "*.hf.space")
EXTENSION = re.compile(r"(chrome|moz)-extension://[\w-]{1,80}", re.ASCII)  # no page's origin
COOKIE = "visitor"
MAX_SESSIONS = 10_000  # whose holders are remembered; the oldest is forgotten first
YOURS = N_("The queue is full of your own requests. Wait for an answer, then ask again.")
FULL = N_("The queue is full. Please ask again in a minute.")
_KEY = secrets.token_bytes(32)
_SIGNED = re.compile(rf"(?:^|[;, ]){COOKIE}=([\w-]{{22}})\.([0-9a-f]{{64}})(?=[;, ]|$)")


class Client(NamedTuple):
    """Who asks: an address, and the session of a page or a program there."""

    address: str = ""
    session: str = ""


asking: ContextVar[Client] = ContextVar("asking", default=Client())  # noqa: B039 - it is a tuple


def current_client() -> Client:
    """Return who has asked for what is being answered."""
    return asking.get()


def current_session() -> str:
    """Return the session whose call is being answered, "" where there is none."""
    return asking.get().session


class Refused(Exception):
    """A request that is not answered; the gate tells the sender why.

    Attributes:
        status: of HTTP.
        sentence: for the sender; it repeats nothing of what was sent.
        headers: of the answer.
    """

    def __init__(
        self, status: int, sentence: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


def header(scope: Scope, name: str) -> str:
    """Return a header's value, "" without one; several of that name are joined by commas."""
    key_bytes = name.encode()
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == key_bytes)


# Names and origins --------------------------------------------------------------------------------


def allowed_hosts() -> tuple[str, ...]:
    """Return patterns of names: our own, and those in CAUSALCLIP_HOSTS, separated by commas."""
    return (*OWN_NAMES, *read_settings().hosts)


def is_on_space() -> bool:
    """Return whether the page is shown inside one of Hugging Face's."""
    return bool(read_settings().space_id)


def is_known(host: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a Host header is one of our names, or a bare address.

    patterns: as `allowed_hosts` returns them.
    """
    # What stands before an @ is not looked up.
    name = None if set(host) & set("@/\\?#") else _name(f"//{host}")
    if name is None:
        return False
    return _address(name) is not None or any(fnmatchcase(name, pattern) for pattern in patterns)


def is_own_page(origin: str, host: str, site: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a request comes from the app's own page, or from no page at all.

    Args:
        origin, host: the headers, "" where there is none.
        site: the header Sec-Fetch-Site, which browsers set and no page can.
        patterns: as `allowed_hosts` returns them.
    """
    if not origin:
        return site not in {"cross-site", "same-site"}
    # Some proxies name the port that the scheme implies.
    here = host.lower().removesuffix(":80").removesuffix(":443")
    if origin in {f"http://{here}", f"https://{here}"}:
        return True
    # A page at a name that the host has listed may send, too. Others' pages are at *.hf.space.
    name = _name(origin)
    listed_patterns = [pattern for pattern in patterns if pattern not in OWN_NAMES]
    return name is not None and any(fnmatchcase(name, pattern) for pattern in listed_patterns)


def is_this_machine(name: str) -> bool:
    """Return whether a name or an address is that of the app's own machine."""
    bare = _address(name)
    return bare.is_loopback if bare else name == "localhost"


def is_extension(origin: str) -> bool:
    """Return whether an Origin header is a browser extension's."""
    return bool(EXTENSION.fullmatch(origin))


def _name(address: str) -> str | None:
    """Return the host's name in an address, in lower case; None without one."""
    try:
        name = urlsplit(address).hostname
    except ValueError:
        return None
    return name.rstrip(".").lower() if name else None


def _address(name: str) -> IPv4Address | IPv6Address | None:
    """Return a bare address; None for a name."""
    try:
        return ip_address(name.strip("[]"))
    except ValueError:
        return None


# Visitors -----------------------------------------------------------------------------------------


def visitor_of(scope: Scope) -> str:
    """Return the visitor in a request's cookie; "" without one that this process has signed."""
    cookie = _SIGNED.search(header(scope, "cookie"))
    return cookie[1] if cookie and hmac.compare_digest(_sign(cookie[1]), cookie[2]) else ""


def new_cookie(scope: Scope) -> bytes:
    """Return a Set-Cookie header for a new browser; it lasts until the browser is closed."""
    visitor = secrets.token_urlsafe(16)
    in_frame = is_on_space()
    inside = "SameSite=None; Secure; Partitioned" if in_frame else "SameSite=Lax"
    secure = "; Secure" if scope.get("scheme") == "https" and not in_frame else ""
    return f"{COOKIE}={visitor}.{_sign(visitor)}; Path=/; HttpOnly; {inside}{secure}".encode()


def _sign(visitor: str) -> str:
    """Return the signature of a visitor, which only this process can make."""
    return hmac.new(_KEY, visitor.encode(), hashlib.sha256).hexdigest()


def client_of(scope: Scope) -> str:
    """Return the sender that a request counts for.

    It is the address; of IPv6, the network of 64 bits that one customer has all of. On a Space
    everybody comes from a few proxies, so there it is the visitor: nobody waits for all others, but
    whoever drops the cookie counts as somebody new (SECURITY.md says so).
    """
    visitor = visitor_of(scope) if is_on_space() else ""
    host = str(scope["client"][0]) if scope.get("client") else ""
    bare = _address(host)
    if isinstance(bare, IPv6Address) and not bare.is_loopback:
        network = ip_network((int(bare), 64), strict=False).network_address
        host = str(bare.ipv4_mapped or network)
    return f"visitor {visitor}" if visitor else host


class Sessions:
    """The holder of each session: whoever named it first, by its cookie or else its address."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}  # session -> visitor or address

    def holds(self, scope: Scope, session: str) -> bool:
        """Return whether the session is the sender's; a new session is from now on."""
        sender = visitor_of(scope) or client_of(scope)
        if session not in self._holders and len(self._holders) >= MAX_SESSIONS:
            del self._holders[next(iter(self._holders))]
        return hmac.compare_digest(self._holders.setdefault(session, sender), sender)
