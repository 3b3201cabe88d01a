"""Where the app may listen: on this machine alone, unless who runs it says that others may reach it as it is.

What is slow, half-open or too many is the proxy's business: the app itself cuts no connection.
"""

from __future__ import annotations

import contextlib
import os

from ui.server.doors.hosts import is_this_machine

VARIABLE = "CAUSALCLIP_EXPOSED"
REFUSED = (
    "The app does not listen on {address}: others could reach it there, and it is not made for slow and many clients. "
    "Put a proxy before it (docs/hosting.md) and name that one in FORWARDED_ALLOW_IPS, or set " + VARIABLE + "=1 if "
    "whoever can reach that address is meant to, such as inside a container of your own."
)
CONNECTIONS = 16_384


def refuse_exposure(address: str | None) -> None:
    """Ends the program with a sentence where others could reach it, and nobody has said that they may.

    On a Space, and where FORWARDED_ALLOW_IPS names a proxy (as in a network of containers), there is one before it.

    Args:
        address: that the app is to listen on; None for what GRADIO_SERVER_NAME says, or else 127.0.0.1.
    """
    address = address or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    proxies = {name.strip() for name in os.environ.get("FORWARDED_ALLOW_IPS", "").split(",")} - {"", "*"}
    named = not all(map(is_this_machine, proxies))
    if not (is_this_machine(address) or named or os.environ.get("SPACE_ID") or os.environ.get(VARIABLE) == "1"):
        raise SystemExit(REFUSED.format(address=address))


def open_many() -> None:
    """Lets this process have as many connections as the system allows it.

    1,024 is usual, and where none is left, nobody gets in and asyncio logs that without end.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on Windows; elsewhere the system may have its own
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
