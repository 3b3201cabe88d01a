"""A call's body is read as far as there is room for it; what is refused gets a sentence."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ui.server.doors import answers
from ui.server.doors.answers import Message, read_body


class Sender:
    """Sends pieces of a body and then nothing more, or that it has gone; keeps what it is answered."""

    def __init__(self, *pieces: bytes, whole: bool = True, gone: bool = False) -> None:
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": not whole or i < len(pieces) - 1}
            for i, piece in enumerate(pieces)
        ]
        if gone:
            self._messages.append({"type": "http.disconnect"})
        self.told: list[Message] = []

    async def receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def send(self, message: Message) -> None:
        self.told.append(message)

    @property
    def answer(self) -> tuple[int, str] | None:
        return (self.told[0]["status"], json.loads(self.told[1]["body"])["error"]) if self.told else None


def read(sender: Sender, *, limit: int = 100) -> bytes | None:
    def story() -> Any:
        return asyncio.run(read_body(sender.receive, sender.send, limit=limit))

    with ThreadPoolExecutor() as pool:  # browser tests keep a loop running in this thread
        return pool.submit(story).result()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "PATIENCE", 0.2)


def test_a_body_is_read_whole() -> None:
    assert read(Sender(b"a" * 50, b"b" * 50)) == b"a" * 50 + b"b" * 50


@pytest.mark.parametrize(
    ("sender", "answer"),
    [
        (Sender(b"a" * 101), (413, answers.TOO_LONG)),
        (Sender(b"a" * 101, whole=False), (413, answers.TOO_LONG)),
        (Sender(b"a", whole=False, gone=True), None),
    ],
)
def test_what_is_no_body_is_told_so(sender: Sender, answer: tuple[int, str] | None) -> None:
    assert read(sender) is None
    assert sender.answer == answer
    assert answers._coming.size == 0


def test_all_bodies_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ROOM", 250)
    senders = [Sender(b"a" * 90, whole=False) for _ in range(4)]

    async def together() -> None:
        tasks = [asyncio.create_task(read_body(one.receive, one.send, limit=100)) for one in senders]
        await asyncio.wait(tasks, timeout=1)  # those that found room wait for the rest of theirs
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, together()).result()
    assert [sender.answer for sender in senders].count((503, answers.FULL)) == 2
    assert answers._coming.size == 0
    assert read(Sender(b"a" * 90)) == b"a" * 90
