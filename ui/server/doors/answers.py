"""What the doors answer with, and how they read what is sent to them. Plain ASGI, whatever stands behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from causalclip.languages import N_, _
from ui.server.store import Sum

UPLOAD = "/gradio_api/upload"
ROOM = 128 * 2**20  # bytes of all calls that are coming
CLOSED = "There is nothing here."
TOO_LONG = "This call is too long. Upload the picture, and send its path."
FULL = N_("The queue is full. Please ask again in a minute.")
YOURS = N_("The queue is full of your own requests. Wait for an answer, then ask again.")
_coming = Sum()


class Refused(Exception):
    """A request that is not answered; whoever finds out raises it, and the door tells the sender.

    status: of HTTP. sentence: for the sender; it repeats nothing of what was sent. said: JSON in place of it.
    """

    def __init__(self, status: int, sentence: str, *, said: Any = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.said, self.headers = status, sentence, said, headers

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As JSON, unless it is for people's eyes or for Gradio's upload, which shows it raw.

        A call that cannot be answered is 422: Gradio's clients then show the sentence, if it comes in their form. What
        is still coming of the request is dropped by the server, so that its sender gets to read this.
        """
        sentence = _(self.sentence)
        form = [{"__type__": "validate", "is_valid": False, "parameter_name": "picture", "message": sentence}]
        said = self.said or {"detail": form if self.status == 422 else sentence, "error": sentence}
        plain = scope["method"] in {"GET", "HEAD"} or scope["path"] == UPLOAD
        kind, body = (PlainTextResponse, sentence) if plain else (JSONResponse, said)
        await kind(body, self.status, self.headers)(scope, receive, send)


def header(scope: Scope, name: str) -> str:
    """A header's value, "" without one; a repeated header's values, joined by commas."""
    wanted = name.encode()
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == wanted)


def client_of(scope: Scope) -> str:
    """The address that the request comes from, as the server knows it (behind a proxy, as that one says)."""
    return str(scope["client"][0]) if scope.get("client") else ""


@contextmanager
def place(taken: Counter[str], address: str, most: int) -> Iterator[None]:
    """One of an address's places, for as long as it lasts; raises Refused where `most` are taken."""
    if taken[address] >= most:
        raise Refused(429, YOURS)
    taken[address] += 1
    try:
        yield
    finally:
        taken -= Counter({address: 1})


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body of a call.

    Raises:
        Refused: it is longer than `limit` bytes, or finds no room beside all that are coming.
        ClientDisconnect: its sender has gone.
    """
    body = bytearray()
    try:
        async for piece in Request(scope, receive).stream():
            body += piece
            _coming.add(0, len(piece))
            if len(body) > limit:
                raise Refused(413, TOO_LONG)
            if _coming.size > ROOM:
                raise Refused(503, FULL)
        return bytes(body)
    finally:
        _coming.add(0, -len(body))


def with_body(scope: Scope, receive: Receive, said: BaseModel | bytes) -> tuple[Scope, Receive]:
    """The request with this JSON, in place of what has been read. Whatever it was called, it is named JSON: of another
    kind, Gradio would send it back."""
    body = said if isinstance(said, bytes) else said.model_dump_json().encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    told = {b"content-length": b"%d" % len(body), b"content-type": b"application/json"}
    kept = [pair for pair in scope["headers"] if pair[0] not in {*told, b"transfer-encoding"}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return {**scope, "headers": [*kept, *told.items()]}, receive_again
