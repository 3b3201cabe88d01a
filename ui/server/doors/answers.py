"""What the doors answer with, and how they read what is sent to them. Plain ASGI, whatever stands behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse

from causalclip.languages import N_, _

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DRAINED = 2**26  # bytes of a refused request that are read and dropped, so that its sender gets to read the answer
PATIENCE = 5.0  # seconds that this may take
ROOM = 128 * 2**20  # bytes of all calls that are coming
TOO_LONG = "This call is too long. Upload the picture, and send its path."
FULL = N_("The queue is full. Please ask again in a minute.")


def header(scope: Scope, name: str) -> str:
    """A header's value, "" without one; a repeated header's values, joined by commas."""
    wanted = name.encode()
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == wanted)


def client_of(scope: Scope) -> str:
    """The address that the request comes from, as the server knows it (behind a proxy, as that one says)."""
    return str(scope["client"][0]) if scope.get("client") else ""


async def refuse(
    send: Send, status: int, sentence: str, *, plain: bool = False, headers: Mapping[str, str] | None = None
) -> None:
    """Answers with a sentence; as JSON, unless it is for people's eyes or for Gradio's upload, which shows it raw.

    A call that cannot be answered is 422: Gradio's clients then show the sentence, if it comes in their form.
    """
    sentence = _(sentence)
    form = [{"__type__": "validate", "is_valid": False, "parameter_name": "picture", "message": sentence}]
    said = {"detail": form if status == 422 else sentence, "error": sentence}
    answer = PlainTextResponse(sentence, status, headers) if plain else JSONResponse(said, status, headers)
    await answer({"type": "http"}, None, send)  # type: ignore[arg-type]


async def drain(receive: Receive) -> None:
    """Reads what is left of a refused request, or as much as is reasonable."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_drop(receive, DRAINED), PATIENCE)


@dataclass(slots=True)
class _Coming:
    size: int = 0


_coming = _Coming()


async def read_body(receive: Receive, send: Send, *, limit: int) -> bytes | None:
    """The whole body of a call. None where its sender has gone, or was told that it is longer than `limit` bytes, or
    finds no room beside all that are coming."""
    body, more, refused = bytearray(), True, None
    try:
        while more and not refused:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += (piece := message.get("body", b""))
            _coming.size += len(piece)
            more = message.get("more_body", False)
            refused = (413, TOO_LONG) if len(body) > limit else (503, FULL) if _coming.size > ROOM else None
    finally:
        _coming.size -= len(body)
    if not refused:
        return bytes(body)
    if more:
        await drain(receive)
    await refuse(send, *refused)
    return None


async def _drop(receive: Receive, most: int) -> None:
    more = True
    while more and most > 0:
        message = await receive()
        most -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)


def with_body(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    """The request with this body, in place of the one that has been read."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    kept = [pair for pair in scope["headers"] if pair[0] not in {b"content-length", b"transfer-encoding"}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return {**scope, "headers": [*kept, (b"content-length", b"%d" % len(body))]}, receive_again
