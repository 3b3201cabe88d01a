"""The bytes of requests that arrive: one request, one sender and all have their bound
(SECURITY.md's promise 6)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from ui.server import bodies
from ui.server.bodies import Bodies
from ui.server.senders import Refused

TOO_LONG = partial(Refused, 413, "too long")


def arriving(
    held: ExitStack, arrived: Bodies, sender: str, *sizes: int, max_bytes: int = 1000
) -> int:
    """Return the status that a body in pieces of these sizes gets, while it waits for an answer."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(left.pop(0)), "more_body": True}

    async def read() -> int:
        for _ in sizes:
            await limited()
        return 200

    left = list(sizes)
    limited = held.enter_context(arrived.limit(receive, sender, max_bytes, TOO_LONG))
    try:
        with ThreadPoolExecutor(1) as pool:  # a browser's test may have left a loop here
            return pool.submit(asyncio.run, read()).result()
    except Refused as refused:
        return refused.status


@pytest.fixture(autouse=True)
def small_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_ARRIVING_OF_ONE", 1000)
    monkeypatch.setattr(bodies, "MAX_ARRIVING", 1500)


def test_a_body_without_a_length_is_cut_off_at_its_limit() -> None:
    with ExitStack() as held:
        assert arriving(held, Bodies(), "a", 300, 300, max_bytes=600) == 200
        assert arriving(held, Bodies(), "a", 300, 301, max_bytes=600) == 413


def test_one_sender_and_all_have_their_room_until_they_are_answered() -> None:
    arrived = Bodies()
    with ExitStack() as held:
        assert arriving(held, arrived, "a", 600) == 200
        assert arriving(held, arrived, "b", 600) == 200
        with ExitStack() as more:
            assert arriving(more, arrived, "a", 500) == 429
        with ExitStack() as more:
            assert arriving(more, arrived, "c", 500) == 503
    with ExitStack() as held:
        assert [arriving(held, arrived, name, 700) for name in "ab"] == [200, 200]
