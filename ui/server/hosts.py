"""Names and addresses: under which the app may be reached, which pages may send it something, who counts as one client.

A page of somebody else's, open in a visitor's browser, can have its own name resolve to this machine (DNS rebinding):
its requests then carry that name. So names that are not ours are refused; a bare address cannot be rebound.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

HOSTS = "CAUSALCLIP_HOSTS"  # a variable
OURS = ("localhost", "*.localhost", "*.hf.space")
EXTENSION = re.compile(r"(chrome|moz)-extension://[\w-]{1,80}", re.ASCII)  # an origin that no page of the web can have


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
    """What a client counts as: its address; of IPv6 the network of 64 bits that one customer has all of."""
    bare = address(client)
    if not isinstance(bare, IPv6Address) or bare.is_loopback:
        return client
    return str(bare.ipv4_mapped or ip_network((int(bare), 64), strict=False).network_address)


def allowed_hosts() -> tuple[str, ...]:
    """Patterns of names: our own, and those in CAUSALCLIP_HOSTS (separated by commas; * stands for any text)."""
    more = os.environ.get(HOSTS, "").lower().split(",")
    return (*OURS, *(name.strip() for name in more if name.strip()))


def is_known(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a Host header is one of the names, or a bare address, which starlette's own check does not let in."""
    name = None if set(host) & set("@/\\?#") else _name(f"//{host}")  # what stands before an @ would not be looked at
    return name is not None and (address(name) is not None or any(fnmatchcase(name, pattern) for pattern in allowed))


def is_own_page(origin: str, host: str, site: str, allowed: tuple[str, ...]) -> bool:
    """Whether a request comes from the app's own page, or from no page at all.

    Args:
        origin, host: the headers, "" where there is none.
        site: the header Sec-Fetch-Site, which browsers set and no page can.
        allowed: as `allowed_hosts` returns them; a page there may send, too.
    """
    if not origin:
        return site not in {"cross-site", "same-site"}
    here = host.lower().removesuffix(":80").removesuffix(":443")  # some proxies name the port that the scheme implies
    return origin in {f"http://{here}", f"https://{here}"} or is_listed(origin, allowed)


def is_listed(origin: str, allowed: tuple[str, ...]) -> bool:
    """Whether the host has named it: *.hf.space is where strangers' pages are, too, and another port is another's."""
    name = _name(origin)
    return name is not None and any(fnmatchcase(name, pattern) for pattern in allowed if pattern not in OURS)


def _name(address: str) -> str | None:
    try:
        name = urlsplit(address).hostname
    except ValueError:
        return None
    return name.rstrip(".").lower() if name else None


def is_extension(origin: str) -> bool:
    """Whether an Origin header is a browser extension's."""
    return bool(EXTENSION.fullmatch(origin))
