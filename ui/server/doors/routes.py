"""Which requests are let in: to names that are ours, from our own page, by routes that somebody needs.

Gradio brings routes that nobody needs here, and some that fetch whatever address they are given. So what is open is
listed; everything else is closed, also what a later Gradio may add.
"""

from __future__ import annotations

import re

from starlette.types import Scope

from ui.server.doors.answers import CLOSED, UPLOAD, Refused, client_of, header
from ui.server.doors.hosts import FOREIGN, UNKNOWN, is_known, is_own_page
from ui.server.doors.programs import OPENAPI, ROOT, SHARE, check_token, is_shared
from ui.server.store import is_upload

LOOKING, SENDING = {"GET", "HEAD"}, {"POST"}
OPEN = tuple(  # way: what in the door they pass; "" straight on
    (methods, re.compile(path, re.ASCII), way)
    for methods, path, way in (
        (LOOKING, r"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/(192|512))?)/?", ""),
        (LOOKING, r"/(static|assets|svelte)/.{1,200}", ""),
        (LOOKING, r"/gradio_api/(info|openapi\.json|theme\.css|app_id|startup-events)/?", ""),
        (LOOKING, r"/gradio_api/(file=.+|heartbeat/[\w-]+|upload_progress|queue/data|call/[^/]+/[^/]+)", ""),
        (SENDING, UPLOAD, ""),
        (SENDING, r"/gradio_api/(queue/join|run/predict/?|call/(?P<name>[^/]+)/?)", "call"),  # Gradio's api_open is off
        (SENDING, r"/gradio_api/(cancel|reset/?)", "cancel"),
        (SENDING, r"/gradio_api/mcp(/|/schema)?", "agent"),
        (LOOKING | {"DELETE"}, r"/gradio_api/mcp(/|/schema)?", ""),
        (SENDING, r"/api/v1/(examine|pair)", ""),
        (LOOKING, OPENAPI, ""),
        (LOOKING, r"/(healthz|metrics)", ""),
        (LOOKING, r"/icon-\d{3}\.png|/shared/[\w-]{43}", ""),
        (SENDING, SHARE, ""),
    )
)
FILE = "/gradio_api/file="
METRICS = "/metrics"
EXAMINE = "/api/v1/examine"
BY_POST = "Send the picture as a form, with POST. /api/v1/openapi.json describes it."
LONGEST = 4096  # bytes of an address: names of sessions and files
TOO_LONG = "This address is too long."
TWO_LENGTHS = "This request says twice how long it is."


def find_way(scope: Scope, hosts: tuple[str, ...]) -> tuple[str, dict[str, str | None]]:
    """The way of a request, and what its address names; raises Refused where it is not let in.

    hosts: as `allowed_hosts` returns them.
    """
    method, path = scope["method"], scope["path"]
    if header(scope, "transfer-encoding") and header(scope, "content-length"):
        raise Refused(400, TWO_LENGTHS, headers={"Connection": "close"})  # for a proxy before us it may be two
    _check_sender(scope, hosts)
    found = [(way, match) for methods, route, way in OPEN if method in methods and (match := route.fullmatch(path))]
    # For who runs the app, on the machine itself, and not through a proxy on it.
    passed_on = any(name.startswith((b"x-forwarded", b"forwarded")) for name, _ in scope["headers"])
    hidden = path == METRICS and (passed_on or client_of(scope) not in {"127.0.0.1", "::1"})
    if path == EXAMINE and method in LOOKING:  # what somebody tries first who has read of it
        raise Refused(405, BY_POST, headers={"Allow": "POST"})
    if not found or hidden or (path.startswith(FILE) and not is_upload(path.removeprefix(FILE))):
        raise Refused(404, CLOSED)
    if len(path) + len(scope["query_string"]) > LONGEST:  # some of it Gradio remembers
        raise Refused(414, TOO_LONG)
    [(way, match)] = found
    return way, match.groupdict()


def _check_sender(scope: Scope, hosts: tuple[str, ...]) -> None:
    host, origin, site = (header(scope, name) for name in ("host", "origin", "sec-fetch-site"))
    if not is_known(host, hosts):
        raise Refused(421, UNKNOWN)
    own = is_own_page(origin, host, site, hosts)
    if scope["path"].startswith(ROOT):
        own = check_token(scope, "" if own else origin) or own
    if not (own or scope["method"] in LOOKING or is_shared(scope)):
        raise Refused(403, FOREIGN)
