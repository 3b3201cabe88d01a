"""Who may ask /api/v1: who has its token where one is asked for, and of other origins those that are paired."""

from __future__ import annotations

import hmac
import os
import re
from typing import Any

import gradio.routes
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Scope

from ui.server.doors.answers import Refused, header
from ui.server.doors.hosts import is_known, is_listed
from ui.server.pairing import PAIRINGS, is_extension

ROOT, PAIR, OPENAPI = "/api/v1/", "/api/v1/pair", "/api/v1/openapi.json"
SHARE = "/share"  # what a phone's own menu sends; no page can say so
VARIABLE = "CAUSALCLIP_TOKEN"
WHO = "A token is needed: send the header Authorization: Bearer TOKEN. Whoever runs this app has it."
UNPAIRED = "This extension is not paired with the app, or no longer. Pair it: the app's page shows a code."
READABLE: Any = {  # by extensions, and by pages at names that the host has listed; without cookies
    "allow_methods": ("GET", "POST"),
    "allow_headers": ("Authorization", "Content-Type", "Accept", "X-Gradio-User"),
    "allow_private_network": True,  # an extension's own machine is one
}
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


def check_token(scope: Scope, origin: str) -> bool:
    """Raises Refused where a program or an extension may not ask; returns whether it is an extension.

    origin: of somebody else's page or extension; "" for the app's own page and for programs.
    """
    token = os.environ.get(VARIABLE, "")
    found = _BEARER.fullmatch(header(scope, "authorization"))
    given, extension = found[1] if found else "", is_extension(origin)
    if not (
        scope["path"] in (PAIR, OPENAPI)
        or (token and hmac.compare_digest(given.encode(), token.encode()))
        or (given and PAIRINGS.accepts(given, origin))
        or not (token or extension)
    ):
        raise Refused(401, UNPAIRED if extension else WHO, headers={"WWW-Authenticate": "Bearer"})
    return extension


def is_shared(scope: Scope) -> bool:
    """Whether it is a picture that the browser's own menu sends."""
    return scope["path"] == SHARE and header(scope, "sec-fetch-site") == "none"


def readable(app: ASGIApp, scope: Scope, hosts: tuple[str, ...]) -> ASGIApp:
    """The app with answers that an origin other than its own may read, if this one may; it is also told beforehand."""
    origin = header(scope, "origin")
    if scope["path"].startswith(ROOT):  # where a token is asked for it is that which counts: a preflight has none yet
        known = scope["path"] == PAIR or bool(os.environ.get(VARIABLE)) or PAIRINGS.knows(origin)
        reads = is_extension(origin) and known
    else:
        reads = is_listed(origin, hosts)
    return CORSMiddleware(app, [origin], **READABLE) if reads and is_known(header(scope, "host"), hosts) else app


def answer_for_origins() -> None:
    """Has the door alone say which origins may read: Gradio's own answer lets any, where the host is no local one."""
    gradio.routes.CustomCORSMiddleware = lambda app, **_: app  # type: ignore[misc, assignment]
