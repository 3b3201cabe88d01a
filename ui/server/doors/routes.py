"""Which requests are let in: to names that are ours, from our own page, by routes that somebody needs.

Gradio brings routes that nobody needs here, and some that fetch whatever address they are given. So what is open is
listed; everything else is closed, also what a later Gradio may add.
"""

from __future__ import annotations

import re

from ui.server.doors.answers import Scope, client_of, header
from ui.server.doors.hosts import FOREIGN, UNKNOWN, is_known, is_own_page
from ui.server.doors.programs import LET_IN, OPENAPI, SHARE
from ui.server.store import is_upload

CLOSED = "There is nothing here."
LOOKING, SENDING = {"GET", "HEAD"}, {"POST"}
OPEN = tuple(
    (methods, re.compile(path))
    for methods, path in (
        (LOOKING, r"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/(192|512))?)/?"),
        (LOOKING, r"/(static|assets|svelte)/.+"),
        (LOOKING, r"/gradio_api/(info|openapi\.json|theme\.css|app_id|startup-events)/?"),
        (LOOKING, r"/gradio_api/(file=.+|heartbeat/[^/]+|upload_progress|queue/data)"),
        (SENDING, r"/gradio_api/(upload|queue/join|cancel|reset/?)"),
        (SENDING, r"/gradio_api/run/predict/?"),  # what is not queued; for the rest, Gradio's api_open is off
        (SENDING, r"/gradio_api/call/[^/]+/?"),
        (LOOKING, r"/gradio_api/call/[^/]+/[^/]+"),
        (LOOKING | SENDING | {"DELETE"}, r"/gradio_api/mcp(/|/schema)?"),
        (SENDING, r"/api/v1/(examine|pair)"),
        (LOOKING, OPENAPI),
        (LOOKING, r"/(healthz|metrics)"),
        (LOOKING, r"/icon-\d{3}\.png|/shared/[\w-]{43}"),
        (SENDING, SHARE),
    )
)
FILE, UPLOAD = "/gradio_api/file=", "/gradio_api/upload"
CALL = re.compile(r"/gradio_api/(?:(queue/join)|run/predict|call/([^/]+))/?")
CANCEL = re.compile(r"/gradio_api/(?:cancel|reset/?)")
MCP = re.compile(r"/gradio_api/mcp(/.*)?")
FOR_THE_HOST = {"/metrics"}  # for who runs the app, on the machine itself
LONGEST = 4096  # bytes of an address: names of sessions and files
TOO_LONG = "This address is too long."
TWO_LENGTHS = "This request says twice how long it is."


def refusal(scope: Scope, hosts: tuple[str, ...]) -> tuple[int, str] | None:
    """Why a request is not let in, as a status and a sentence. hosts: as `allowed_hosts` returns them."""
    host, origin, site = (header(scope, name) for name in ("host", "origin", "sec-fetch-site"))
    method, path = scope["method"], scope["path"]
    if not is_known(host, hosts):
        return 421, UNKNOWN
    if method not in LOOKING and not scope.get(LET_IN) and not is_own_page(origin, host, site, hosts):
        return 403, FOREIGN
    if not any(method in methods and route.fullmatch(path) for methods, route in OPEN):
        return 404, CLOSED
    if path.startswith(FILE) and not is_upload(path.removeprefix(FILE)):
        return 404, CLOSED
    if path in FOR_THE_HOST and not _is_here(scope):
        return 404, CLOSED
    if header(scope, "transfer-encoding") and header(scope, "content-length"):
        return 400, TWO_LENGTHS  # what a proxy before us takes for one request may be two
    if len(path) + len(scope["query_string"]) > LONGEST:  # some of it Gradio remembers
        return 414, TOO_LONG
    return None


def _is_here(scope: Scope) -> bool:
    """Whether the request comes from this machine itself, and not through a proxy on it."""
    passed_on = any(name.startswith(b"x-forwarded") or name == b"forwarded" for name, _ in scope["headers"])
    return client_of(scope) in {"127.0.0.1", "::1"} and not passed_on
