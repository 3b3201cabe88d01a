"""A call's body is read as far as there is room for it; what is refused gets a sentence."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from ui.server.doors import answers
from ui.server.doors.answers import Refused, read_body


class Sender:
    """Sends pieces of a body and then nothing more, or that it has gone."""

    def __init__(self, *pieces: bytes, whole: bool = True, gone: bool = False) -> None:
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": not whole or i < len(pieces) - 1}
            for i, piece in enumerate(pieces)
        ]
        if gone:
            self._messages.append({"type": "http.disconnect"})

    async def receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def read(self) -> bytes:
        return await read_body({"type": "http", "headers": []}, self.receive, 100)


def read(sender: Sender) -> bytes:
    with ThreadPoolExecutor() as pool:  # browser tests keep a loop running in this thread
        return pool.submit(asyncio.run, sender.read()).result()


def test_a_body_is_read_whole() -> None:
    assert read(Sender(b"a" * 50, b"b" * 50)) == b"a" * 50 + b"b" * 50


@pytest.mark.parametrize(
    ("sender", "error", "sentence"),
    [
        (Sender(b"a" * 101), Refused, answers.TOO_LONG),
        (Sender(b"a" * 101, whole=False), Refused, answers.TOO_LONG),
        (Sender(b"a", whole=False, gone=True), ClientDisconnect, ""),
    ],
)
def test_what_is_no_body_is_told_so(sender: Sender, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        read(sender)
    assert answers._coming.size == 0


def test_all_bodies_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ROOM", 250)
    senders = [Sender(b"a" * 90, whole=False) for _ in range(4)]

    async def together() -> list[Any]:
        tasks = [asyncio.create_task(one.read()) for one in senders]
        await asyncio.wait(tasks, timeout=1)  # those that found room wait for the rest of theirs
        for task in tasks:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with ThreadPoolExecutor() as pool:
        found = pool.submit(asyncio.run, together()).result()
    told = [error for error in found if isinstance(error, Refused)]
    assert [(error.status, error.sentence) for error in told] == [(503, answers.FULL)] * 2
    assert answers._coming.size == 0
    assert read(Sender(b"a" * 90)) == b"a" * 90
