"""The one gate before Gradio: which requests are let in, how large, and what every answer says.

Gradio brings routes that nobody needs here, and some that fetch whatever address they are given, so
what is open is listed; everything else is closed, also what a later Gradio may add.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causalclip.images.formats import MAX_BYTES, too_many_bytes
from causalclip.languages import N_, _
from ui.server.bodies import Bodies
from ui.server.calls import Call, Calls
from ui.server.senders import (
    Refused,
    Sessions,
    allowed_hosts,
    client_of,
    header,
    is_extension,
    is_known,
    is_on_space,
    is_own_page,
    new_cookie,
    visitor_of,
)
from ui.server.uploads import MAX_FILES, MAX_REQUEST_BYTES, UPLOAD, is_upload, use
from ui.server.values import SESSION

FILE, API = "/gradio_api/file=", "/api/v1/"
INFO = "/gradio_api/info"
EXAMINE, OPENAPI = f"{API}examine", f"{API}openapi.json"
CALL, FORM = 2**19, MAX_BYTES + 2**16  # bytes of a body: a call, and a picture with its form
MAX_ADDRESS = 4096  # bytes of an address: names of sessions and files
LOOKING, SENDING = {"GET", "HEAD"}, {"POST"}
ROUTES = tuple(  # methods, path, and bytes of a body
    (methods, re.compile(path, re.ASCII), most)
    for methods, path, most in (
        (LOOKING, r"/", 0),
        (LOOKING, r"/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|healthz)/?", 0),
        (LOOKING, r"/(static|assets|svelte)/.{1,200}", 0),
        (LOOKING, r"/gradio_api/(info|theme\.css|app_id|startup-events)/?", 0),
        (LOOKING, r"/gradio_api/(file=.+|upload_progress)", 0),
        (LOOKING, rf"/gradio_api/heartbeat/(?P<session>{SESSION})", 0),
        (LOOKING, r"/gradio_api/queue/data", 0),
        (LOOKING, r"/gradio_api/call/[^/]+/(?P<event>[^/]+)/?", 0),
        (SENDING, r"/gradio_api/(queue/join|run/predict/?|call/(?P<name>[^/]+)/?)", CALL),
        (SENDING, UPLOAD, MAX_REQUEST_BYTES),
        (SENDING, EXAMINE, FORM),
        (LOOKING, OPENAPI, 0),
    )
)
# Where another site's page must not even ask: each takes work, or gives an answer to somebody.
CALLS = "/gradio_api/call/"
ANSWERS = CALLS, "/gradio_api/queue/data"  # streams of answers
OF_A_PAGE = "/gradio_api/heartbeat/", "/gradio_api/queue/", CALLS
_EVENT = re.compile(rb'"event_id" *: *"(\w{1,100})"')  # in Gradio's answer to a program's call
CLOSED = "There is nothing here."
UNKNOWN = (
    "This app does not answer under that name. Whoever runs it can add the name to "
    "CAUSALCLIP_HOSTS."
)
FOREIGN = N_("This was sent by a page of another site. Open the app itself.")
NO_PAGE = "This page is not open here any more. Open it again."
TOO_LONG = "This is too long. Upload the picture, and send its path."
TOO_MUCH = N_("At most {files} files and {mb} MB can be sent at once.")
BY_POST = "Send the picture as a form, with POST. /api/v1/openapi.json describes it."
FRAMES_OF_SPACES = "https://huggingface.co https://*.hf.space"
# Gradio's page holds scripts and styles, so those are not forbidden. But no script loads anything
# from elsewhere, or sends it there. What visitors made runs nothing.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' data: blob:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",  # a page of another site shows no picture
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
}
NO_FRAMES = {"X-Frame-Options": "SAMEORIGIN", "Cross-Origin-Opener-Policy": "same-origin"}
ON_SPACES = {"Content-Security-Policy": f"{POLICY} {FRAMES_OF_SPACES}"}
# What Gradio would believe, from anybody, of where the app is; and parts of a file.
UNREAD = {b"x-forwarded-host", b"x-gradio-server", b"forwarded", b"range"}
READ_ON_SPACES = {b"x-forwarded-host"}


class Gate:
    """Lets a request in to `app`, or answers it with a sentence.

    Args:
        page: whose functions are called.
        check_api: raises Refused for a request that may not ask /api/v1; it gets the scope, and the
            Origin of an extension or "".
        on_leave: on_leave(session) ends what a session has asked for, as nobody reads its answers
            any more.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        page: gr.Blocks,
        check_api: Callable[[Scope, str], None],
        on_leave: Callable[[str], None],
    ) -> None:
        self.app = app
        self.check_api = check_api
        self.on_leave = on_leave
        self.calls = Calls(page)
        self.sessions = Sessions()
        self.bodies = Bodies()
        self.hosts = allowed_hosts()
        self.headers = HEADERS | (ON_SPACES if is_on_space() else NO_FRAMES)
        self.unread = UNREAD - (READ_ON_SPACES if is_on_space() else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":  # the page needs no WebSocket
            return
        answer = _Answer(scope, send, self.headers, self.sessions)
        try:
            await self._let_in(scope, receive, answer)
        except Refused as refused:
            if not answer.started:
                await _refusal(refused, scope)(scope, receive, answer)
        except ClientDisconnect:
            return  # nobody is there to be told

    async def _let_in(self, scope: Scope, receive: Receive, send: _Answer) -> None:
        """Pass a request on to the app as far as its sender may ask; raise Refused."""
        # 1. Who asks, and for what.
        self._check_sender(scope)
        max_bytes, names = _route(scope)
        sender = client_of(scope)
        scope = {
            **scope,
            "client": (sender, 0),
            "headers": [pair for pair in scope["headers"] if pair[0] not in self.unread],
        }
        # By itself Gradio tells everybody to send pictures to the host that the first one asked by.
        if scope["path"].rstrip("/") == INFO:
            scope["query_string"] = b"page="
        # 2. A session belongs to whoever named it first.
        session_names = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])
        # So does the answer to a program's call, whose number was told to its sender.
        for session in filter(None, (names.get("session"), names.get("event"), *session_names)):
            self._check_session(scope, session)
        # 3. Of a call, only what its function takes goes on.
        listener = names.get("event") or (session_names[-1:] or [""])[0]
        if listener and scope["path"].startswith(ANSWERS):
            receive = self._notice_leaving(receive, send, listener)
        too_long = partial(_too_long, scope["path"])
        with self.bodies.limit(receive, sender, max_bytes, too_long) as receive:
            if max_bytes == CALL:
                scope, receive = await self._read_call(scope, receive, names.get("name") or "")
            if scope["path"] == "/" and scope["method"] == "HEAD":  # Gradio asks whether it runs
                await Response(media_type="text/html")(scope, receive, send)
                return
            await self.app(scope, receive, send)

    async def _read_call(self, scope: Scope, receive: Receive, name: str) -> tuple[Scope, Receive]:
        """Return the request with what its function takes as its body; raise Refused."""
        body = await Request(scope, receive).body()
        # Not in the event loop, where all others would wait for it.
        call = await run_in_threadpool(self.calls.read, body, name)
        if call.session_hash:
            self._check_session(scope, call.session_hash)
            await run_in_threadpool(use, call.session_hash, call.files())
        if name:  # each call of a program is a session of its own, by its number
            call.session_hash = None
        return _with_body(scope, receive, call)

    def _check_sender(self, scope: Scope) -> None:
        """Raise Refused for a name that is not ours, and for what another site's page may not
        ask."""
        host, origin = header(scope, "host"), header(scope, "origin")
        if not is_known(host, self.hosts):
            raise Refused(421, UNKNOWN)
        is_ours = is_own_page(origin, host, header(scope, "sec-fetch-site"), self.hosts)
        if scope["path"] == EXAMINE:
            extension = origin if is_extension(origin) else ""
            self.check_api(scope, extension)
            is_ours = is_ours or bool(extension)
        only_looks = scope["method"] in LOOKING and not origin
        if not is_ours and (not only_looks or scope["path"].startswith(OF_A_PAGE)):
            raise Refused(403, FOREIGN)

    def _notice_leaving(self, receive: Receive, answer: _Answer, session: str) -> Receive:
        """Return a `receive` that tells of a session whose stream of answers was left before its
        end."""

        async def receive_and_notice() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and not answer.ended:
                self.on_leave(session)
            return message

        return receive_and_notice

    def _check_session(self, scope: Scope, session: str) -> None:
        """Raise Refused for a session that another visitor has named before."""
        if not re.fullmatch(SESSION, session) or not self.sessions.holds(scope, session):
            raise Refused(403, NO_PAGE)


def _route(scope: Scope) -> tuple[int, dict[str, str | None]]:
    """Return how many bytes a body may have, and the names in the address; raise Refused for a
    request that is not let in."""
    method, path, query = scope["method"], scope["path"], scope["query_string"]
    length = header(scope, "content-length")
    if header(scope, "transfer-encoding") and length:
        # For a proxy before us it may be two requests.
        close = {"Connection": "close"}
        raise Refused(400, "This request says twice how long it is.", headers=close)
    if len(path) + len(query) > MAX_ADDRESS:
        raise Refused(414, "This address is too long.")
    if path == EXAMINE and method in LOOKING:  # what somebody tries first who has read of it
        raise Refused(405, BY_POST, headers={"Allow": "POST"})
    matches = [
        (most, match.groupdict())
        for methods, route, most in ROUTES
        if method in methods and (match := route.fullmatch(path))
    ]
    is_hidden = path.startswith(FILE) and not is_upload(path.removeprefix(FILE))
    if not matches or is_hidden:
        raise Refused(404, CLOSED)
    if path == "/" and {"page", "deep_link"} & parse_qs(query.decode("latin-1")).keys():
        raise Refused(404, CLOSED)  # pages of Gradio's, of which there is one
    [(most, names)] = matches
    if length.isdecimal() and int(length[:16]) > most:
        raise _too_long(path)
    return most, names


def _too_long(path: str) -> Refused:
    if path == UPLOAD:
        return Refused(413, _(TOO_MUCH, files=MAX_FILES, mb=MAX_REQUEST_BYTES >> 20))
    return Refused(413, str(too_many_bytes()) if path == EXAMINE else TOO_LONG)


def _with_body(scope: Scope, receive: Receive, call: Call) -> tuple[Scope, Receive]:
    """Return the request with this call as its body, in place of the one that has been read."""
    body = call.model_dump_json().encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    own_headers = {b"content-length": b"%d" % len(body), b"content-type": b"application/json"}
    other_headers = [
        pair for pair in scope["headers"] if pair[0] not in {*own_headers, b"transfer-encoding"}
    ]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return {**scope, "headers": [*other_headers, *own_headers.items()]}, receive_again


class _Answer:
    """Sends an answer with our headers; a new browser gets its cookie with the page.

    The number of a program's call belongs to whoever has made it from then on.
    """

    def __init__(
        self, scope: Scope, send: Send, headers: dict[str, str], sessions: Sessions
    ) -> None:
        self._scope = scope
        self._send = send
        self._sessions = sessions
        self._headers = headers
        self.started = self.ended = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": list(message["headers"])}
            path = self._scope["path"]
            MutableHeaders(scope=message).update(self._headers)
            if path.startswith(FILE):  # of a visitor's: gone with the page, also from caches
                own = {"Content-Security-Policy": FILE_POLICY, "Cache-Control": "no-store"}
                MutableHeaders(scope=message).update(own)
            if path == "/" and not visitor_of(self._scope):
                message["headers"].append((b"set-cookie", new_cookie(self._scope)))
            if path.startswith("/gradio_api/run/") and message["status"] == 500:
                message["status"] = 422  # Gradio says 500 where it has a sentence, too
        elif self._scope["method"] == "POST" and self._scope["path"].startswith(CALLS):
            number = _EVENT.search(message.get("body", b""))
            if number:
                self._sessions.holds(self._scope, number[1].decode())
        await self._send(message)
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)


def _refusal(refusal: Refused, scope: Scope) -> Response:
    """Return a refusal as JSON, or as a text for people's eyes and for Gradio's upload, which shows
    it raw.

    A call that cannot be answered is 422: Gradio's clients then show the sentence, if it comes in
    their form.
    """
    sentence = _(refusal.sentence)
    headers = {"Retry-After": "30"} if refusal.status in (429, 503) else {}
    headers |= refusal.headers
    if scope["method"] in LOOKING or scope["path"] == UPLOAD:
        return PlainTextResponse(sentence, refusal.status, headers)
    content: dict[str, Any] = {"error": sentence}
    if not scope["path"].startswith(API):
        form = {"__type__": "validate", "is_valid": False, "parameter_name": "picture"}
        content["detail"] = [form | {"message": sentence}] if refusal.status == 422 else sentence
    return JSONResponse(content, refusal.status, headers)


async def refuse(request: Request, error: Exception) -> Response:
    """Answer a request that one of our endpoints has refused, as Starlette's exception handler."""
    assert isinstance(error, Refused)
    return _refusal(error, request.scope)
