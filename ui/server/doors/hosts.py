"""The names under which the app may be reached, and which pages may send it something.

A page of somebody else's, open in a visitor's browser, can have its own name resolve to this machine (DNS rebinding):
its requests then carry that name. So names that are not ours are refused. A bare address cannot be rebound.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from causalclip.languages import N_

VARIABLE = "CAUSALCLIP_HOSTS"
OURS = ("localhost", "*.localhost", "*.hf.space")
UNKNOWN = f"This app does not answer under that name. Whoever runs it can add the name to {VARIABLE}."
FOREIGN = N_("This was sent by a page of another site. Open the app itself.")


def allowed_hosts() -> tuple[str, ...]:
    """Patterns of names: our own, and those in CAUSALCLIP_HOSTS (separated by commas; * stands for any text)."""
    more = os.environ.get(VARIABLE, "").lower().split(",")
    return (*OURS, *(name.strip() for name in more if name.strip()))


def is_known(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a Host header is one of the names, or a bare address; its port does not matter."""
    name = _name(f"//{host}")
    return name is not None and (address(name) is not None or any(fnmatchcase(name, pattern) for pattern in allowed))


def is_own_page(origin: str, host: str, site: str, allowed: tuple[str, ...]) -> bool:
    """Whether a request comes from the app's own page, or from no page at all.

    Args:
        origin: the header Origin, "" where there is none.
        host: the header Host.
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
