"""A page is closed when its last connection has ended, and what was known of it is forgotten."""

import asyncio
import datetime
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from ui.server import pages
from ui.server.pages import GONE, LONGEST, connected, forget_gone, forget_idle, forget_state, heard_of
from ui.server.store import STORE, new_folder


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
        assert "page" not in forgotten
        answer, stream = connect("/gradio_api/queue/data", "session_hash=page")
        await asyncio.sleep(0)
        heart.set()
        await beat
        later(GONE + 1)
        assert "page" not in forgotten  # it still waits for its answer
        answer.set()
        await stream
        later(GONE / 2)
        assert "page" not in forgotten  # it may come back
        later(GONE + 1)

    with ThreadPoolExecutor() as pool:  # browser tests keep a loop running in this thread
        pool.submit(asyncio.run, story()).result()
    assert "page" in forgotten


def test_the_last_request_of_a_closed_page_is_forgotten_too(forgotten: list[str]) -> None:
    heard_of("late")
    later(GONE + 1)
    assert forgotten == ["late"]


def test_a_closed_page_is_forgotten_again_and_again_for_an_hour(forgotten: list[str]) -> None:
    """A run of it may go on, and write."""
    heard_of("closed")
    for seconds in (GONE / 2, GONE + 1, LONGEST / 2, LONGEST + 1, LONGEST + 2):
        later(seconds)
    assert forgotten == ["closed"] * 3
    assert not pages._ended


def test_a_page_that_comes_back_is_not_forgotten(forgotten: list[str]) -> None:
    heard_of("back")
    later(GONE + 1)
    pages._open["back"] += 1
    later(GONE + 2)
    assert forgotten == ["back"]
    assert not pages._ended


def test_closed_pages_are_not_remembered_without_end(forgotten: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is forgotten all the same."""
    monkeypatch.setattr(pages, "MOST", 5)
    for i in range(9):
        heard_of(f"{i}")
    later(GONE / 2)
    assert len(pages._ended) == 9
    later(GONE + 1)
    assert len(pages._ended) == 5
    assert len(forgotten) == 9


def test_what_a_run_derives_after_its_page_was_closed_goes_too(tmp_path: Path, answer: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
        answer("one")
        heard_of("one")
        STORE.close("one")
        late = new_folder()
        patch.setattr(pages, "forget", lambda page, session: STORE.close(session))
        later(GONE + 1)
    assert not late.exists()


def test_what_nobody_has_read_is_forgotten_with_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not what is still being written, nor what an open page is about to read."""
    with gr.Blocks() as page:
        pass
    gr.routes.App.create_app(page)
    queue, names = page._queue, ("closed", "open", "works")
    monkeypatch.setattr(pages, "_open", Counter(open=1))
    queue.event_ids_to_events["event"] = SimpleNamespace(session_hash="works")  # type: ignore[assignment]
    for name in names:
        queue.pending_messages_per_session[name] = asyncio.Queue()
        queue.pending_event_ids_session[name] = {"event"}
        forget_state(page, name)
    assert set(queue.pending_messages_per_session) == set(queue.pending_event_ids_session) == {"open", "works"}


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
