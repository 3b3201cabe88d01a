"""The one middleware: which requests are let in, how large each may be, and what every answer says
to browsers.

Gradio brings routes that nobody needs here, and some that fetch whatever address they are given, so
what is open is listed; everything else is closed, also what a later Gradio may add.
"""

from __future__ import annotations

import hmac
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causalclip.languages import N_, _
from ui.server.hosts import HOSTS, allowed_hosts, is_extension, is_known, is_listed, is_own_page
from ui.server.storage import is_upload

TOKEN = "CAUSALCLIP_TOKEN"  # a variable
SPACE = bool(os.environ.get("SPACE_ID"))  # there, the page is shown inside one of Hugging Face's
UPLOAD, FILE, METRICS, SHARE = "/gradio_api/upload", "/gradio_api/file=", "/metrics", "/share"
API, EXAMINE, PAIR, OPENAPI = "/api/v1/", "/api/v1/examine", "/api/v1/pair", "/api/v1/openapi.json"
MCP = "/gradio_api/mcp"
CALL, AGENTS, FORM, FILES = 2**20, 28 * 2**20, 21 * 2**20, 201 * 2**20  # bytes of a body
# each takes a place, or an answer
OF_A_PAGE = "/gradio_api/heartbeat/", "/gradio_api/queue/", "/gradio_api/call/"
LONGEST = 4096  # bytes of an address: names of sessions and files
LOOKING, SENDING = {"GET", "HEAD"}, {"POST"}
# methods, path, what reads the request here ("" nothing), and bytes of its body at most
ROUTES = tuple(
    (methods, re.compile(path, re.ASCII), kind, most)
    for methods, path, kind, most in (
        (LOOKING, r"/", "page", 0),
        (
            LOOKING,
            r"/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/(192|512))?)/?",
            "",
            0,
        ),
        (LOOKING, r"/(static|assets|svelte)/.{1,200}", "", 0),
        (LOOKING, r"/gradio_api/(info|openapi\.json|theme\.css|app_id|startup-events)/?", "", 0),
        (LOOKING, r"/gradio_api/(file=.+|upload_progress)", "", 0),
        (LOOKING, r"/gradio_api/heartbeat/(?P<session>[\w-]{1,100})", "heartbeat", 0),
        (LOOKING, r"/gradio_api/queue/data", "listen", 0),
        (LOOKING, r"/gradio_api/call/[^/]+/(?P<event>[^/]+)/?", "answer", 0),
        (SENDING, r"/gradio_api/(queue/join|run/predict/?|call/(?P<name>[^/]+)/?)", "call", CALL),
        (SENDING, UPLOAD, "", FILES),
        (SENDING | LOOKING | {"DELETE"}, rf"{MCP}/?", "", AGENTS),
        (LOOKING, rf"{MCP}/schema", "", 0),
        (SENDING, r"/api/v1/(examine|pair)", "", FORM),
        (LOOKING, OPENAPI, "", 0),
        (LOOKING, r"/(healthz|metrics)|/icon-\d{3}\.png|/shared/[\w-]{43}", "", 0),
        (SENDING, SHARE, "", FORM),
    )
)
CLOSED = "There is nothing here."
UNKNOWN = f"This app does not answer under that name. Whoever runs it can add the name to {HOSTS}."
FOREIGN = N_("This was sent by a page of another site. Open the app itself.")
TOO_LONG = "This call is too long. Upload the picture, and send its path."
BY_POST = "Send the picture as a form, with POST. /api/v1/openapi.json describes it."
FULL = N_("The queue is full. Please ask again in a minute.")
YOURS = N_("The queue is full of your own requests. Wait for an answer, then ask again.")
WHO = (
    "A token is needed: send the header Authorization: Bearer TOKEN. Whoever runs this app has it."
)
UNPAIRED = (
    "This extension is not paired with the app, or no longer. Pair it: the app's page shows a code."
)
FRAMES = "'self' https://huggingface.co https://*.hf.space" if SPACE else "'self'"
# Gradio's page holds scripts and styles, so those are not forbidden. But no script loads anything
# from elsewhere, or sends it there. What visitors made runs nothing.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: "
    "blob:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri "
    f"'self'; form-action 'self'; frame-ancestors {FRAMES}"
)
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # a page of another site shows no picture of here
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
} | (
    {} if SPACE else {"X-Frame-Options": "SAMEORIGIN", "Cross-Origin-Opener-Policy": "same-origin"}
)
# What Gradio believes, from anybody, of where the app is; and parts of a file, of which it fails to
# read several.
UNREAD = {b"x-forwarded-host", b"x-gradio-server", b"forwarded", b"range"} - (
    {b"x-forwarded-host"} if SPACE else set()
)
READABLE: Any = {  # by extensions, and by pages at names that the host has listed; without cookies
    "allow_methods": ("GET", "POST"),
    "allow_headers": ("Authorization", "Content-Type", "Accept", "X-Gradio-User"),
    "allow_private_network": True,  # an extension's own machine is one
}
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


class Refused(Exception):
    """A request that is not answered; whoever finds out raises it, and the middleware tells the
    sender.

    status: of HTTP. sentence: for the sender; it repeats nothing of what was sent.
    """

    def __init__(
        self, status: int, sentence: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers

    def answer(self, scope: Scope) -> Response:
        """As JSON, unless it is for people's eyes or for Gradio's upload, which shows it raw.

        A call that cannot be answered is 422: Gradio's clients then show the sentence, if it comes
        in their form. What is still coming of the request is dropped by the server, so that its
        sender gets to read this.
        """
        sentence = _(self.sentence)
        form = [
            {
                "__type__": "validate",
                "is_valid": False,
                "parameter_name": "picture",
                "message": sentence,
            }
        ]
        said = {"detail": form if self.status == 422 else sentence, "error": sentence}
        if scope["path"].startswith(API):
            del said["detail"]
        later = {"Retry-After": "30"} if self.status in (429, 503) else {}
        plain = scope["method"] in LOOKING or scope["path"] == UPLOAD
        kind, body = (PlainTextResponse, sentence) if plain else (JSONResponse, said)
        return kind(body, self.status, later | (self.headers or {}))


async def refuse(request: Request, error: Exception) -> Response:
    """For starlette: what an endpoint has refused."""
    assert isinstance(error, Refused)
    return error.answer(request.scope)


class Middleware:
    """Lets a request in to `app`, or answers it with a sentence.

    sessions: a ui.server.sessions.Sessions, which reads the calls, the streams and the page's own
    request. pairings: a ui.pairing.Pairings, which knows the browser extensions that were let in.
    """

    def __init__(self, app: ASGIApp, *, sessions: Any, pairings: Any) -> None:
        self.app, self.sessions, self.pairings, self.hosts = (
            app,
            sessions,
            pairings,
            allowed_hosts(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":  # the page needs no other kind
            scope = {**scope, "client": (self.sessions.client(scope), 0)}
            origin = header(scope, "origin")
            # Read by another origin where that one may; it is also told beforehand.
            app = (
                CORSMiddleware(self._let_in, [origin], **READABLE)
                if self._reads(scope, origin)
                else self._let_in
            )
            await app(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = on_start(send, partial(_with_headers, scope["path"]))
        try:
            kind, most, named = self._route(scope)
            dropped = UNREAD | ({b"accept-encoding"} if scope["path"].startswith(FILE) else set())
            scope = {
                **scope,
                "headers": [pair for pair in scope["headers"] if pair[0] not in dropped],
            }
            if kind:
                async with read_body(scope, receive, most, CALLS) as body:
                    await self.sessions.pass_on(self.app, kind, body, scope, receive, send, **named)
            else:
                await self.app(scope, _limited(receive, most), send)
        except Refused as refused:
            await refused.answer(scope)(scope, receive, send)
        except ClientDisconnect:
            return  # nobody is there to be told

    def _route(self, scope: Scope) -> tuple[str, int, dict[str, str | None]]:
        """What reads a request, bytes of its body at most, and what its address names; raises
        Refused."""
        method, path, query = scope["method"], scope["path"], scope["query_string"]
        if header(scope, "transfer-encoding") and header(scope, "content-length"):
            # For a proxy before us it may be two requests.
            raise Refused(
                400, "This request says twice how long it is.", headers={"Connection": "close"}
            )
        self._check_sender(scope)
        found = [(kind, most, match) for methods, route, kind, most in ROUTES
                 if method in methods and (match := route.fullmatch(path))]  # fmt: skip
        # For who runs the app, on the machine itself, and not through a proxy on it.
        passed_on = any(
            name.startswith((b"x-forwarded", b"forwarded")) for name, _value in scope["headers"]
        )
        hidden = path == METRICS and (passed_on or client_of(scope) not in {"127.0.0.1", "::1"})
        if path == EXAMINE and method in LOOKING:  # what somebody tries first who has read of it
            raise Refused(405, BY_POST, headers={"Allow": "POST"})
        if (
            not found
            or hidden
            or (path.startswith(FILE) and not is_upload(path.removeprefix(FILE)))
        ):
            raise Refused(404, CLOSED)
        if len(path) + len(query) > LONGEST:  # some of it Gradio remembers
            raise Refused(414, "This address is too long.")
        [(kind, most, match)] = found
        if (
            kind == "page"
            and {"page", "deep_link"}
            & parse_qs(query.decode("latin-1"), keep_blank_values=True).keys()
        ):
            # Gradio's own pages, of which there is one: each other is an error of its own
            raise Refused(404, CLOSED)
        length = header(scope, "content-length")
        if most and length.isdecimal() and int(length[:16]) > most and kind:
            raise Refused(413, TOO_LONG)
        return kind, most, match.groupdict()

    def _check_sender(self, scope: Scope) -> None:
        host, origin, site = (header(scope, name) for name in ("host", "origin", "sec-fetch-site"))
        if not is_known(host, self.hosts):
            raise Refused(421, UNKNOWN)
        own = is_own_page(origin, host, site, self.hosts)
        if scope["path"].startswith(API):
            own = self._check_token(scope, "" if own else origin) or own
        # by the browser's own menu; no page can say so
        shared = scope["path"] == SHARE and site == "none"
        looks = scope["method"] in LOOKING and not scope["path"].startswith(OF_A_PAGE)
        if not (own or looks or shared):
            raise Refused(403, FOREIGN)

    def _check_token(self, scope: Scope, origin: str) -> bool:
        """Raises Refused where a program or an extension may not ask /api/v1; returns whether it is
        an extension.

        origin: of somebody else's page or extension; "" for the app's own page and for programs.
        """
        token = os.environ.get(TOKEN, "")
        found = _BEARER.fullmatch(header(scope, "authorization"))
        given, extension = found[1] if found else "", is_extension(origin)
        if not (
            scope["path"] in (PAIR, OPENAPI)
            or (token and hmac.compare_digest(given.encode(), token.encode()))
            or (given and self.pairings.accepts(given, origin))
            or not (token or extension)
        ):
            raise Refused(
                401, UNPAIRED if extension else WHO, headers={"WWW-Authenticate": "Bearer"}
            )
        return extension

    def _reads(self, scope: Scope, origin: str) -> bool:
        # where a token is asked for it is that which counts: a preflight has none
        if scope["path"].startswith(API):
            known = (
                scope["path"] == PAIR or bool(os.environ.get(TOKEN)) or self.pairings.knows(origin)
            )
            reads = is_extension(origin) and known
        else:
            reads = is_listed(origin, self.hosts)
        return reads and is_known(header(scope, "host"), self.hosts)


def header(scope: Scope, name: str) -> str:
    """A header's value, "" without one; a repeated header's values, joined by commas."""
    wanted = name.encode()
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == wanted)


def client_of(scope: Scope) -> str:
    """The address that the request comes from, as the server knows it (behind a proxy, as that one
    says)."""
    return str(scope["client"][0]) if scope.get("client") else ""


class Places:
    """So many at once, of one client and of all."""

    def __init__(self, each: int, all_: int) -> None:
        self.each, self.all, self.taken = each, all_, Counter[str]()

    def take(self, client: str, count: int = 1) -> None:
        """Raises Refused where there are not so many more."""
        if self.taken[client] + count > self.each:
            raise Refused(429, YOURS)
        if self.taken.total() + count > self.all:
            raise Refused(503, FULL)
        self.taken[client] += count

    def free(self, client: str, count: int = 1) -> None:
        """Gives them back."""
        self.taken -= Counter({client: count})

    @contextmanager
    def hold(self, client: str) -> Iterator[None]:
        """One of them, for as long as it lasts; raises as `take` does."""
        self.take(client)
        try:
            yield
        finally:
            self.free(client)


# Bytes of calls in memory, until they are let in: of a page that is not there yet, say.
CALLS = Places(8 * 2**20, 64 * 2**20)


@asynccontextmanager
async def read_body(
    scope: Scope, receive: Receive, most: int, places: Places
) -> AsyncIterator[bytes]:
    """The whole body of a call, whose bytes take places of its sender while it lasts.

    Raises:
        Refused: it is longer than `most` bytes, or there is no place.
        ClientDisconnect: its sender has gone.
    """
    client, body = client_of(scope), bytearray()
    try:
        if most:
            async for piece in Request(scope, _limited(receive, most)).stream():
                places.take(client, len(piece))
                body += piece
        yield bytes(body)
    finally:
        places.free(client, len(body))


def _limited(receive: Receive, most: int) -> Receive:
    """What is read of a body at most, by whatever reads it."""
    come = 0

    async def receive_some() -> Message:
        nonlocal come
        message = await receive()
        come += len(message.get("body", b""))
        if come > most:
            raise Refused(413, TOO_LONG)
        return message

    return receive_some


def on_start(send: Send, change: Callable[[Message], Message]) -> Send:
    """`send`, with status and headers changed."""

    async def send_changed(message: Message) -> None:
        await send(change(message) if message["type"] == "http.response.start" else message)

    return send_changed


def _with_headers(path: str, message: Message) -> Message:
    """Without Gradio's own word on which origins may read: it lets any, where the host is no local
    one."""
    own = HEADERS | {"Content-Security-Policy": POLICY}
    if path.startswith(FILE):  # of a visitor's: gone with the page, also from caches
        own |= {"Content-Security-Policy": FILE_POLICY, "Cache-Control": "no-store"}
    message["headers"] = [
        pair for pair in message["headers"] if not pair[0].lower().startswith(b"access-control-")
    ]
    MutableHeaders(scope=message).update(own)
    return message
