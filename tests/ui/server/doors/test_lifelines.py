"""A page is closed when its last connection has ended."""

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ui.server.doors import lifelines
from ui.server.doors.lifelines import GONE, Lifelines, forget_gone, heard_of


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page is open, and none was."""
    monkeypatch.setattr(lifelines, "_open", Counter())
    monkeypatch.setattr(lifelines, "_ended", {})


def connect(path: str, query: str = "") -> Any:
    """A connection that lasts until the event is set; returns the event and what to wait for."""
    ended = asyncio.Event()

    async def app(*_: Any) -> None:
        await ended.wait()

    async def nothing(*_: Any) -> Any:
        return None

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
    return ended, asyncio.create_task(Lifelines(app)(scope, nothing, nothing))


def test_a_page_is_closed_with_its_last_connection() -> None:
    forgotten: list[str] = []

    async def story() -> None:
        heart, beat = connect("/gradio_api/heartbeat/page")
        await asyncio.sleep(0)
        heard_of("page")
        forget_gone(forgotten.append, now=time.monotonic() + GONE + 1)
        assert not forgotten
        answer, stream = connect("/gradio_api/queue/data", "session_hash=page")
        await asyncio.sleep(0)
        heart.set()
        await beat
        forget_gone(forgotten.append, now=time.monotonic() + GONE + 1)
        assert not forgotten  # it still waits for its answer
        answer.set()
        await stream
        forget_gone(forgotten.append, now=time.monotonic() + GONE - 1)
        assert not forgotten  # it may come back
        forget_gone(forgotten.append, now=time.monotonic() + GONE + 1)

    with ThreadPoolExecutor() as pool:  # browser tests keep a loop running in this thread
        pool.submit(asyncio.run, story()).result()
    assert forgotten == ["page"]
    assert "page" not in lifelines._ended


def test_the_last_request_of_a_closed_page_is_forgotten_too() -> None:
    forgotten: list[str] = []
    heard_of("late")
    forget_gone(forgotten.append, now=time.monotonic() + GONE + 1)
    assert forgotten == ["late"]
