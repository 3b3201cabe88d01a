"""The door of /api/v1: a token where one is asked for, and other origins than the app's own only if they are paired."""

from __future__ import annotations

import hmac
import os
import re
from typing import Any

import gradio.routes
from gradio.route_utils import CustomCORSMiddleware
from starlette.middleware.cors import CORSMiddleware

from ui.server.doors.answers import App, Receive, Scope, Send, drain, header, refuse
from ui.server.doors.hosts import allowed_hosts, counted, is_known, is_own_page
from ui.server.pairing import PAIRINGS, Pairings, is_extension

ROOT, PAIR, OPENAPI = "/api/v1/", "/api/v1/pair", "/api/v1/openapi.json"
SHARE = "/share"  # what a phone's own menu sends; no page can say so
VARIABLE = "CAUSALCLIP_TOKEN"
WHO = "A token is needed: send the header Authorization: Bearer TOKEN. Whoever runs this app has it."
UNPAIRED = "This extension is not paired with the app, or no longer. Pair it: the app's page shows a code."
LET_IN = "paired"  # in a scope: its origin is a paired extension's
READABLE: Any = {  # by extensions; without cookies
    "allow_methods": ("GET", "POST"),
    "allow_headers": ("Authorization", "Content-Type", "Accept"),
    "allow_private_network": True,  # their own machine is one
}
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


class Programs:
    """Lets calls of /api/v1 in to `app`, or answers them with a sentence; everything else passes.

    It is the outermost door: what is behind it knows clients as `counted` has them.
    """

    def __init__(self, app: App, *, pairings: Pairings = PAIRINGS) -> None:
        self.app, self.pairings = app, pairings
        self.hosts = allowed_hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("client"):
            scope = {**scope, "client": (counted(scope["client"][0]), scope["client"][1])}
        if scope["type"] != "http" or not scope["path"].startswith(ROOT):
            shared = scope["type"] == "http" and scope["path"] == SHARE and header(scope, "sec-fetch-site") == "none"
            await self.app({**scope, LET_IN: True} if shared else scope, receive, send)
            return
        host, origin, site = (header(scope, name) for name in ("host", "origin", "sec-fetch-site"))
        own = is_own_page(origin, host, site, self.hosts)
        asks_for_token = bool(os.environ.get(VARIABLE))  # then it is the token that counts: a preflight has none yet
        let_in = is_extension(origin) and (scope["path"] == PAIR or asks_for_token or self.pairings.knows(origin))

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if self._may(scope, "" if own else origin):
                await self.app({**scope, LET_IN: let_in}, receive, send)
            else:
                await drain(receive)
                sentence = UNPAIRED if is_extension(origin) else WHO
                await refuse(send, 401, sentence, headers={"WWW-Authenticate": "Bearer"})

        if not is_known(host, self.hosts):
            await self.app(scope, receive, send)  # the door behind this one tells them
        else:
            await (CORSMiddleware(answer, [origin], **READABLE) if let_in else answer)(scope, receive, send)

    def _may(self, scope: Scope, origin: str) -> bool:
        """origin: of somebody else's page or extension; "" for the app's own page and for programs."""
        token = os.environ.get(VARIABLE, "")
        if scope["path"] in (PAIR, OPENAPI):
            return True
        found = _BEARER.fullmatch(header(scope, "authorization"))
        given = found[1] if found else ""
        if token and hmac.compare_digest(given.encode(), token.encode()):
            return True
        if given and self.pairings.accepts(given, origin):
            return True
        return not token and not is_extension(origin)  # another site's page is refused by Doors


class _OwnCors(CustomCORSMiddleware):
    """Gradio's, which answers what the browser asks before a call, and lets any origin read where the host is no local
    one. Here it does so for our own pages and listed ones alone, and leaves /api/v1 alone."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (scope["path"].startswith(ROOT) or not _is_ours(scope)):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _is_ours(scope: Scope) -> bool:
    return is_own_page(header(scope, "origin"), header(scope, "host"), "", allowed_hosts())


def answer_for_origins() -> None:
    """Has the doors alone say which origins may read: Gradio's own answer lies outside of them."""
    gradio.routes.CustomCORSMiddleware = _OwnCors  # type: ignore[misc]
