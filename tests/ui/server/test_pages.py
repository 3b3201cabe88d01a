"""A page is closed when its last connection has ended, and what was known of it is forgotten."""

import asyncio
import datetime
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr
import pytest

from ui.server import pages
from ui.server.pages import GONE, connected, forget_gone, forget_idle, heard_of


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No page is open, and none was; the sessions that are forgotten."""
    monkeypatch.setattr(pages, "_open", Counter())
    monkeypatch.setattr(pages, "_ended", {})
    seen: list[str] = []
    monkeypatch.setattr(pages, "forget", lambda page, session: seen.append(session))
    return seen


def connect(path: str, query: str = "") -> Any:
    """A connection that lasts until the event is set; returns the event and what to wait for."""
    ended = asyncio.Event()

    async def last() -> None:
        with connected({"type": "http", "method": "GET", "path": path, "query_string": query.encode()}):
            await ended.wait()

    return ended, asyncio.create_task(last())


def later(seconds: float) -> None:
    forget_gone(gr.Blocks(), now=time.monotonic() + seconds)


def test_a_page_is_closed_with_its_last_connection(forgotten: list[str]) -> None:
    async def story() -> None:
        heart, beat = connect("/gradio_api/heartbeat/page")
        await asyncio.sleep(0)
        heard_of("page")
        later(GONE + 1)
        assert not forgotten
        answer, stream = connect("/gradio_api/queue/data", "session_hash=page")
        await asyncio.sleep(0)
        heart.set()
        await beat
        later(GONE + 1)
        assert not forgotten  # it still waits for its answer
        answer.set()
        await stream
        later(GONE / 2)
        assert not forgotten  # it may come back
        later(GONE + 1)

    with ThreadPoolExecutor() as pool:  # browser tests keep a loop running in this thread
        pool.submit(asyncio.run, story()).result()
    assert forgotten == ["page"]
    assert "page" not in pages._ended


def test_the_last_request_of_a_closed_page_is_forgotten_too(forgotten: list[str]) -> None:
    heard_of("late")
    later(GONE + 1)
    assert forgotten == ["late"]


def test_idle_sessions_are_dropped_from_memory() -> None:
    with gr.Blocks() as page:
        state = gr.State()
    gr.routes.App.create_app(page)
    for name in ("idle", "busy"):
        page.state_holder[name][state._id] = "pixels"
    page.state_holder.time_last_used["idle"] -= datetime.timedelta(seconds=101)
    forget_idle(page, 100)
    assert list(page.state_holder.session_data) == ["busy"]
    assert list(page.state_holder.time_last_used) == ["busy"]
