"""Nobody takes every place: how much a session, and an address, may have in work at once."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.server_messages import ProcessCompletedMessage

import app
from tests.conftest import HANGS
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from tests.ui.server.doors.asking import META, ask, number_of, send
from ui.server import pages
from ui.server.doors import limits
from ui.serving import WAITING


@pytest.fixture
def busy(uploads: Path) -> Iterator[Any]:
    """The address of an app whose model works until the event is set."""
    go_on, detector = threading.Event(), tiny_detector()

    def slow() -> Any:
        go_on.wait(300)
        return detector

    page = app.build(slow)
    yield app.launch(page), go_on
    go_on.set()
    page.close(verbose=False)


def test_twelve_at_once_get_an_answer_or_the_sentence(busy: Any) -> None:
    """And other clients still get theirs; what takes milliseconds does not wait for the model."""
    address, go_on = busy
    paths = [send(address, encode(photo(64 + i, 64), "JPEG")) for i in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda path: ask(address, path), paths))
    told = [answer for answer in answers if answer.status_code == 429]
    assert len(told) == 12 - limits.AN_ADDRESS
    assert all("queue is full" in answer.json()["detail"] for answer in told)
    assert ask(address, paths[0], X_Forwarded_For="192.0.2.9").status_code == 429  # a header that nobody reads
    assert ask(address, paths[0], **{"X-Forwarded-For": "192.0.2.9"}).status_code == 200  # a proxy's
    quick = ask(address, paths[0], "provenance", **{"X-Forwarded-For": "192.0.2.10"}).json()["event_id"]
    assert "event: complete" in httpx.get(f"{address}gradio_api/call/provenance/{quick}").text
    go_on.set()
    for answer in answers:
        if answer.status_code == 200:
            url = f"{address}gradio_api/call/detect/{answer.json()['event_id']}"
            assert "event: complete" in httpx.get(url).text
    assert until_let_in(lambda: ask(address, paths[-1]))


def until_let_in(ask_again: Any) -> bool:
    for _ in range(50):
        if ask_again().status_code == 200:
            return True
        time.sleep(0.2)
    return False


def test_one_page_may_have_four_in_work(busy: Any) -> None:
    address, _ = busy
    path = send(address, encode(photo(64, 64), "JPEG"))
    body = {"data": [{"path": path, **META}], "fn_index": number_of(address, "detect"), "session_hash": "page"}
    answers = [httpx.post(f"{address}gradio_api/queue/join", json=body) for _ in range(limits.A_SESSION + 1)]
    assert [answer.status_code for answer in answers] == [200] * limits.A_SESSION + [429]


def test_answers_that_nobody_listens_for_count_as_calls(tiny_app: str) -> None:
    """They lie in memory, and a session that never listens could fill it."""
    body = {"data": [None], "fn_index": number_of(tiny_app, "provenance"), "session_hash": "deaf"}
    with httpx.Client() as http:
        for _ in range(limits.A_SESSION):
            assert until_let_in(lambda: http.post(f"{tiny_app}gradio_api/queue/join", json=body))
        time.sleep(1)  # all are answered by then
        assert http.post(f"{tiny_app}gradio_api/queue/join", json=body).status_code == 429
        assert "process_completed" in http.get(f"{tiny_app}gradio_api/queue/data?session_hash=deaf").text
        assert http.post(f"{tiny_app}gradio_api/queue/join", json=body).status_code == 200


@pytest.mark.parametrize(("sessions", "most"), [(1, limits.A_SESSION), (40, limits.PAGES)])
def test_what_is_not_queued_waits_its_turn_too(uploads: Path, sessions: int, most: int) -> None:
    """Each takes a thread, and some wait for a gate in it: one page could have had all threads that there are."""
    go_on, works = threading.Event(), Counter[str]()

    def slow() -> None:
        works["now"] += 1
        go_on.wait(HANGS)

    with gr.Blocks() as page:
        gr.on([page.load], slow, queue=False, api_name="slow")
        gr.on([page.load], lambda: "quick", None, gr.Textbox(), queue=False, api_name="quick")
    address = app.launch(page)
    body = {"data": [], "fn_index": number_of(address, "slow")}
    join = partial(httpx.post, f"{address}gradio_api/run/predict")
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(join, json={**body, "session_hash": f"page-{i % sessions}"}) for i in range(40)]
        deadline = time.monotonic() + HANGS
        while works["now"] < most and time.monotonic() < deadline:
            time.sleep(0.05)
        other = {"data": [], "fn_index": number_of(address, "quick"), "session_hash": "other"}
        assert join(json=other, headers={"X-Forwarded-For": "192.0.2.9"}).status_code == 200
        assert works["now"] == most
        go_on.set()
        assert {answer.result().status_code for answer in asked} == {200}
    assert works["now"] == 40
    page.close(verbose=False)


def test_what_is_not_queued_cannot_be_asked_through_the_queue(tiny_app: str) -> None:
    body = {"data": [], "fn_index": number_of(tiny_app, None), "session_hash": "page"}
    assert httpx.post(f"{tiny_app}gradio_api/queue/join", json=body).status_code == 404


def test_calls_that_race_do_not_share_the_last_place(busy: Any) -> None:
    address, _ = busy
    path = send(address, encode(photo(64, 64), "JPEG"))
    body = {"data": [{"path": path, **META}], "fn_index": number_of(address, "detect"), "session_hash": "racer"}
    with ThreadPoolExecutor(12) as pool:
        join = partial(httpx.post, f"{address}gradio_api/queue/join", json=body, timeout=60)
        answers = Counter(answer.status_code for answer in pool.map(lambda _: join(), range(12)))
    assert answers == {200: limits.A_SESSION, 429: 12 - limits.A_SESSION}


def test_a_network_of_ipv6_counts_as_one_address(busy: Any) -> None:
    address, _ = busy
    path = send(address, encode(photo(64, 64), "JPEG"))
    asked = [ask(address, path, **{"X-Forwarded-For": f"2001:db8::{i}:1"}) for i in range(1, limits.AN_ADDRESS + 2)]
    assert [answer.status_code for answer in asked] == [200] * limits.AN_ADDRESS + [429]
    assert ask(address, path, **{"X-Forwarded-For": "2001:db8:0:1::1"}).status_code == 200


@pytest.mark.parametrize(("number", "ends"), [("192.0.2.20", True), ("192.0.2.21", False)])
def test_nobody_elsewhere_can_end_a_call(busy: Any, number: str, ends: bool) -> None:
    """Even where the names of the session and of the call are known."""
    address, go_on = busy
    mine, function = {"X-Forwarded-For": "192.0.2.20"}, number_of(address, "detect")
    body = {"data": [{"path": send(address, encode(photo(64, 64), "JPEG")), **META}], "fn_index": function}
    body |= {"session_hash": "mine"}
    asked = httpx.post(f"{address}gradio_api/queue/join", json=body, headers=mine).json()
    cancel = {"session_hash": "mine", "fn_index": function, "event_id": asked["event_id"]}
    told = httpx.post(f"{address}gradio_api/cancel", json=cancel, headers={"X-Forwarded-For": number})
    assert told.json() == {"success": True}
    go_on.set()
    url = f"{address}gradio_api/queue/data?session_hash=mine"
    with httpx.stream("GET", url, headers=mine) as events:
        said = next(line for line in events.iter_lines() if "process_completed" in line)
    assert ('"data":[' in said.replace(" ", "")) != ends


def test_thirty_people_behind_one_address_are_let_in(busy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pages are open, so each counts for itself, up to half of the places of one thing."""
    address, _ = busy
    monkeypatch.setattr(pages, "_open", Counter({f"colleague-{i}": 1 for i in range(30)}))
    path = send(address, encode(photo(64, 64), "JPEG"))
    body = {"data": [{"path": path, **META}], "fn_index": number_of(address, "detect")}
    join = partial(httpx.post, f"{address}gradio_api/queue/join")
    answers = [join(json={**body, "session_hash": f"colleague-{i}"}).status_code for i in range(30)]
    assert answers.count(200) == 1 + WAITING // 2  # one of them runs
    assert join(json={**body, "session_hash": "other"}, headers={"X-Forwarded-For": "192.0.2.20"}).status_code == 200
    quick = {**body, "fn_index": number_of(address, "provenance"), "session_hash": "colleague-29"}
    assert join(json=quick).status_code == 200


def test_a_hasty_page_waits_for_room_among_its_own_calls(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of being told, which the page's part could not show: its last picture would never be answered."""
    go_on = threading.Event()
    with gr.Blocks() as page:
        field = gr.Textbox()
        options: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None, "api_name": "own"}
        gr.on([field.change], lambda text: go_on.wait(300), field, gr.Checkbox(), **options)
    address = app.launch(page)
    body = {"data": ["x"], "fn_index": number_of(address, "own"), "session_hash": "hasty"}
    with ThreadPoolExecutor(2) as pool:
        join = partial(httpx.post, f"{address}gradio_api/queue/join", json=body)
        assert [join().status_code for _ in range(limits.A_SESSION)] == [200] * limits.A_SESSION
        late = pool.submit(join)
        time.sleep(1)
        assert not late.done()
        pool.submit(httpx.get, f"{address}gradio_api/queue/data?session_hash=hasty")  # as pages do
        go_on.set()
        assert late.result(HANGS).status_code == 200
        go_on.clear()
        monkeypatch.setattr(limits, "PATIENCE", 0.5)
        assert until_let_in(join)
        told = next(answer for answer in (join() for _ in range(limits.A_SESSION)) if answer.status_code != 200)
        assert told.status_code == 429
        monkeypatch.setattr(limits, "HELD", 0)
        monkeypatch.setattr(limits, "PATIENCE", 600)
        assert join().status_code == 429
    go_on.set()
    page.close(verbose=False)


def test_who_does_not_listen_is_refused_at_once(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's calls wait for room; that of one that reads no answer never comes."""
    monkeypatch.setattr(limits, "PATIENCE", 600)
    with gr.Blocks() as page:
        gr.on([page.load], lambda: "quick", None, gr.Textbox(), api_visibility="private", api_name="own")
    address = app.launch(page)
    body = {"data": [], "fn_index": number_of(address, "own"), "session_hash": "deaf"}
    for answered in range(1, limits.A_SESSION + 1):
        assert httpx.post(f"{address}gradio_api/queue/join", json=body).status_code == 200
        deadline = time.monotonic() + HANGS
        while unread(page) < answered and time.monotonic() < deadline:
            time.sleep(0.05)
    assert httpx.post(f"{address}gradio_api/queue/join", json=body, timeout=HANGS).status_code == 429
    page.close(verbose=False)


def unread(page: gr.Blocks) -> int:
    told = page._queue.pending_messages_per_session["deaf"]
    return sum(isinstance(one, ProcessCompletedMessage) for one in told._queue)  # type: ignore[attr-defined]


def test_what_a_waiting_call_uses_is_known(uploads: Path) -> None:
    go_on = threading.Event()
    with gr.Blocks() as page:
        gr.on([], lambda picture: go_on.wait(300), gr.Image(type="filepath"), gr.Checkbox(), api_name="own")
    address = app.launch(page)
    path = send(address, encode(photo(64, 64), "JPEG"))
    assert ask(address, path, "own").status_code == 200
    assert list(pages.files_in_work(page)) == [path]
    go_on.set()
    page.close(verbose=False)
