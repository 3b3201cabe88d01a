"""Sessions are issued and held; how much one, and an address, may have in work; what is forgotten when one ends."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file

import app
from tests.conftest import HANGS
from tests.makers.detectors import tiny_detector
from tests.makers.keeping import until
from tests.makers.pictures import encode, photo
from tests.ui.asking import META, ask, number_of, opened, send
from ui.server import sessions
from ui.server.middleware import Refused
from ui.server.sessions import Sessions, issue, visitor_of
from ui.server.storage import STORE, new_folder


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


def until_let_in(ask_again: Any) -> bool:
    return until(lambda: ask_again().status_code == 200)


def call_of(address: str, name: str = "detect", session: str = "page") -> dict[str, Any]:
    path = send(address, encode(photo(64, 64), "JPEG"))
    return {"data": [{"path": path, **META}], "fn_index": number_of(address, name), "session_hash": session}


# Issued ---------------------------------------------------------------------------------------------


def request(cookie: str = "", *, client: str = "192.0.2.1", scheme: str = "https") -> dict[str, Any]:
    return {"headers": [(b"cookie", cookie.encode())], "client": (client, 1), "scheme": scheme, "method": "GET"}


def test_a_cookie_counts_if_we_signed_it() -> None:
    _, made = issue(request())
    cookie = made.decode().partition(";")[0]
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(made.decode().split("; "))
    assert visitor_of(request(f"other=1; {cookie}"))
    for forged in (cookie[:-1] + "x", cookie.replace("visitor=", "visitor=a"), "visitor=a.b", "", cookie.upper()):
        assert visitor_of(request(forged)) == ""


@pytest.mark.parametrize("path", ["queue/join", "run/predict"])
def test_a_session_that_was_invented_asks_nothing(tiny_app: str, path: str) -> None:
    number = number_of(tiny_app, "provenance" if path == "queue/join" else None)
    body = {"data": [None] * (path == "queue/join"), "fn_index": number, "session_hash": "invented"}
    told = httpx.post(f"{tiny_app}gradio_api/{path}", json=body)
    assert told.status_code == 403
    assert "Open it again" in told.text
    assert httpx.get(f"{tiny_app}gradio_api/queue/data?session_hash=invented").status_code == 403
    with opened(tiny_app, "invented") as http:
        assert http.post(f"gradio_api/{path}", json=body).status_code == 200


def test_who_knows_a_sessions_name_can_neither_use_nor_hold_it(tiny_app: str) -> None:
    """It comes from the browser, which makes it with Math.random."""
    with httpx.Client(base_url=tiny_app, timeout=HANGS) as visitor, httpx.Client(base_url=tiny_app) as other:
        assert visitor.get("").cookies
        assert "set-cookie" not in visitor.get("").headers
        other.get("")
        with visitor.stream("GET", "gradio_api/heartbeat/known"):
            body = {"data": [None], "fn_index": number_of(tiny_app, "provenance"), "session_hash": "known"}
            for stranger in (other, httpx):
                url = "" if stranger is other else tiny_app
                assert stranger.post(f"{url}gradio_api/queue/join", json=body).status_code == 403  # type: ignore[attr-defined]
                for path in ("queue/data?session_hash=known", "heartbeat/known"):
                    assert stranger.get(f"{url}gradio_api/{path}").status_code == 403  # type: ignore[attr-defined]
            assert visitor.post("gradio_api/queue/join", json=body).status_code == 200


def test_a_call_waits_for_its_pages_connection(tiny_app: str) -> None:
    """The browser opens both at once."""
    body = {"data": [None], "fn_index": number_of(tiny_app, "provenance"), "session_hash": "just-opened"}
    with ThreadPoolExecutor(1) as pool:
        gradios = {"X-Gradio-User": "api"}
        asked = pool.submit(httpx.post, f"{tiny_app}gradio_api/queue/join", json=body, headers=gradios)
        time.sleep(0.5)
        with opened(tiny_app, "just-opened"):
            assert asked.result(HANGS).status_code == 200


def test_pages_of_an_address_and_of_all_are_counted(tiny_app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PAGES", 2)
    flood = {"X-Forwarded-For": "192.0.2.40"}
    with opened(tiny_app, "one", "two", **flood):
        assert httpx.get(f"{tiny_app}gradio_api/heartbeat/three", headers=flood).status_code == 429
        monkeypatch.setattr(sessions, "ALL_PAGES", 0)
        assert httpx.get(f"{tiny_app}gradio_api/heartbeat/three").status_code == 503


def test_on_a_space_a_page_counts_for_its_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its proxy may pass on an address that the client has invented."""
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    monkeypatch.setattr(sessions, "SPACE", True)
    with gr.Blocks() as page:
        pass
    on_space, cookie = Sessions(page), issue(request())[1].decode().partition(";")[0]
    assert on_space.client(request(cookie, client="10.0.0.1")) == on_space.client(request(cookie, client="10.0.0.2"))
    assert on_space.client(request(client="10.0.0.1")) == on_space.client(request(client="10.0.0.2"))
    assert on_space.client(request(cookie)) != on_space.client(request())


# Limits ---------------------------------------------------------------------------------------------


def test_twelve_at_once_get_an_answer_or_the_sentence(busy: Any) -> None:
    """And other clients still get theirs; what takes milliseconds does not wait for the model."""
    address, go_on = busy
    paths = [send(address, encode(photo(64 + i, 64), "JPEG")) for i in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda path: ask(address, path), paths))
    told = [answer for answer in answers if answer.status_code == 429]
    assert len(told) == 12 - sessions.A_PROGRAM
    assert all("queue is full" in answer.json()["detail"] for answer in told)
    assert ask(address, paths[0], X_Forwarded_For="192.0.2.9").status_code == 429  # a header that nobody reads
    assert ask(address, paths[0], **{"X-Forwarded-For": "192.0.2.9"}).status_code == 200  # a proxy's
    quick = ask(address, paths[0], "provenance", **{"X-Forwarded-For": "192.0.2.10"}).json()["event_id"]
    assert "event: complete" in httpx.get(f"{address}gradio_api/call/provenance/{quick}").text
    go_on.set()
    for answer in answers:
        if answer.status_code == 200:
            url = f"{address}gradio_api/call/detect/{answer.json()['event_id']}"
            assert "event: complete" in httpx.get(url, timeout=HANGS).text
    assert until_let_in(lambda: ask(address, paths[-1]))


def test_one_page_may_have_four_in_work_though_its_calls_race(busy: Any) -> None:
    address, _ = busy
    with opened(address, "page") as http, ThreadPoolExecutor(12) as pool:
        join = partial(http.post, "gradio_api/queue/join", json=call_of(address))
        answers = Counter(answer.status_code for answer in pool.map(lambda _: join(), range(12)))
    assert answers == {200: sessions.A_PAGE, 429: 12 - sessions.A_PAGE}


def test_answers_that_nobody_listens_for_count_as_calls(tiny_app: str) -> None:
    """They lie in memory, and a session that never listens could fill it."""
    body = {"data": [None], "fn_index": number_of(tiny_app, "provenance"), "session_hash": "deaf"}
    with opened(tiny_app, "deaf") as http:
        for _ in range(sessions.A_PAGE):
            assert until_let_in(lambda: http.post("gradio_api/queue/join", json=body))
        time.sleep(1)  # all are answered by then
        assert http.post("gradio_api/queue/join", json=body).status_code == 429
        assert "process_completed" in http.get("gradio_api/queue/data?session_hash=deaf").text
        assert http.post("gradio_api/queue/join", json=body).status_code == 200


def test_programs_that_never_listen_are_refused_and_forgotten(tiny_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page, address = tiny_page
    monkeypatch.setattr(sessions, "PROGRAMS", 3)
    deaf = {"X-Forwarded-For": "192.0.2.41"}
    body = {"data": [None]}
    join = partial(httpx.post, f"{address}gradio_api/call/provenance", json=body, headers=deaf)
    assert [join().status_code for _ in range(4)] == [200, 200, 200, 429]
    monkeypatch.setattr(sessions, "UNHEARD", 0.0)
    assert until_let_in(join)
    kept = [name for name in page.state_holder.session_data if name.startswith("program-")]
    assert len(kept) <= 2


@pytest.mark.parametrize(("pages", "most"), [(1, sessions.A_PAGE), (40, sessions.AN_ADDRESS)])
def test_what_is_not_queued_waits_its_turn_too(uploads: Path, pages: int, most: int) -> None:
    """Each takes a thread, and some wait for their place in it: one page could have had all threads that there are."""
    go_on, works = threading.Event(), Counter[str]()

    def slow() -> None:
        works["now"] += 1
        go_on.wait(HANGS)

    with gr.Blocks() as page:
        gr.on([page.load], slow, queue=False, api_name="slow")
        gr.on([page.load], lambda: "quick", None, gr.Textbox(), queue=False, api_name="quick")
    address = app.launch(page)
    body = {"data": [], "fn_index": number_of(address, "slow")}
    names = [f"page-{i}" for i in range(pages)]
    with opened(address, *names) as http, ThreadPoolExecutor(40) as pool:
        join = partial(http.post, "gradio_api/run/predict")
        asked = [pool.submit(join, json={**body, "session_hash": names[i % pages]}) for i in range(40)]
        assert until(lambda: works["now"] >= most)
        other = {"data": [], "fn_index": number_of(address, "quick"), "session_hash": "other"}
        with opened(address, "other", **{"X-Forwarded-For": "192.0.2.9"}) as elsewhere:
            assert elsewhere.post("gradio_api/run/predict", json=other).status_code == 200
        assert works["now"] == most
        go_on.set()
        assert {answer.result().status_code for answer in asked} == {200}
    assert works["now"] == 40
    page.close(verbose=False)


def test_what_is_not_queued_cannot_be_asked_through_the_queue(tiny_app: str) -> None:
    body = {"data": [], "fn_index": number_of(tiny_app, None), "session_hash": "page"}
    assert httpx.post(f"{tiny_app}gradio_api/queue/join", json=body).status_code == 404


def test_a_network_of_ipv6_counts_as_one_address(busy: Any) -> None:
    address, _ = busy
    path = send(address, encode(photo(64, 64), "JPEG"))
    asked = [ask(address, path, **{"X-Forwarded-For": f"2001:db8::{i}:1"}) for i in range(1, sessions.A_PROGRAM + 2)]
    assert [answer.status_code for answer in asked] == [200] * sessions.A_PROGRAM + [429]
    assert ask(address, path, **{"X-Forwarded-For": "2001:db8:0:1::1"}).status_code == 200


@pytest.mark.parametrize(("number", "ends"), [("192.0.2.20", True), ("192.0.2.21", False)])
def test_nobody_elsewhere_can_end_a_call(busy: Any, number: str, ends: bool) -> None:
    """Even where the names of the session and of the call are known."""
    address, go_on = busy
    with opened(address, "mine", **{"X-Forwarded-For": "192.0.2.20"}) as http:
        body = call_of(address, session="mine")
        asked = http.post("gradio_api/queue/join", json=body).json()
        cancel = {"session_hash": "mine", "fn_index": body["fn_index"], "event_id": asked["event_id"]}
        told = httpx.post(f"{address}gradio_api/cancel", json=cancel, headers={"X-Forwarded-For": number})
        assert told.json() == {"success": True}
        go_on.set()
        with http.stream("GET", "gradio_api/queue/data?session_hash=mine") as events:
            said = next(line for line in events.iter_lines() if "process_completed" in line)
    assert ('"data":[' in said.replace(" ", "")) != ends


def test_thirty_people_behind_one_address_are_let_in(busy: Any) -> None:
    """Their pages are open, so each counts for itself, up to what one address may have together."""
    address, _ = busy
    names = [f"colleague-{i}" for i in range(30)]
    with opened(address, *names) as http:
        body = call_of(address)
        answers = [http.post("gradio_api/queue/join", json=body | {"session_hash": name}).status_code for name in names]
        assert answers.count(200) == sessions.AN_ADDRESS
        with opened(address, "other", **{"X-Forwarded-For": "192.0.2.20"}) as other:
            assert other.post("gradio_api/queue/join", json=body | {"session_hash": "other"}).status_code == 200


def test_a_hasty_page_waits_for_room_among_its_own_calls(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of being told, which the page's part could not show: its last picture would never be answered."""
    go_on = threading.Event()
    with gr.Blocks() as page:
        field = gr.Textbox()
        options: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None, "api_name": "own"}
        gr.on([field.change], lambda text: go_on.wait(300), field, gr.Checkbox(), **options)
    address = app.launch(page)
    body = {"data": ["x"], "fn_index": number_of(address, "own"), "session_hash": "hasty"}
    with opened(address, "hasty") as http, ThreadPoolExecutor(2) as pool:
        join = partial(http.post, "gradio_api/queue/join", json=body)
        assert [join().status_code for _ in range(sessions.A_PAGE)] == [200] * sessions.A_PAGE
        late = pool.submit(join)
        time.sleep(1)
        assert not late.done()
        pool.submit(http.get, "gradio_api/queue/data?session_hash=hasty")  # as pages do
        go_on.set()
        assert late.result(HANGS).status_code == 200
        go_on.clear()
        monkeypatch.setattr(sessions, "PATIENCE", 0.5)
        assert until_let_in(join)
        told = next(answer for answer in (join() for _ in range(sessions.A_PAGE)) if answer.status_code != 200)
        assert told.status_code == 429
        monkeypatch.setattr(sessions, "HELD", 0)
        monkeypatch.setattr(sessions, "PATIENCE", 600)
        assert join().status_code == 429
        go_on.set()
    page.close(verbose=False)


# Listening, and what a call comes to ---------------------------------------------------------------


@pytest.mark.parametrize("path", ["queue/data?session_hash=there", "call/detect/invented"])
def test_who_listens_for_what_is_not_there_is_told_and_nothing_is_logged(
    tiny_app: str, path: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with opened(tiny_app, "there") as http:
        answer = http.get(f"gradio_api/{path}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "404: Not Found" in answer.text
    assert ("session_not_found" in answer.text) == path.startswith("queue")
    assert "Traceback" not in caplog.text + capfd.readouterr().err


def test_a_picture_may_be_asked_about_twice(tiny_app: str, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(encode(photo(64, 64), "JPEG"))
    client = Client(tiny_app, verbose=False)
    for _ in range(2):
        assert client.predict(handle_file(str(tmp_path / "x.jpg")), api_name="/provenance")


def test_an_error_beside_the_queue_that_has_a_sentence_is_the_senders(uploads: Path) -> None:
    """What Gradio calls an error of the server; any other error stays one."""

    def fail(sentence: str) -> None:
        raise gr.Error("There is none.", print_exception=False) if sentence else ValueError("secret")

    with gr.Blocks() as page:
        gr.on([page.load], fail, gr.Textbox(), queue=False, api_name="fail")
    address = app.launch(page)
    with opened(address, "page") as http:
        call = {"fn_index": 0, "session_hash": "page"}
        told, failed = (http.post("gradio_api/run/predict", json={**call, "data": [text]}) for text in ("x", ""))
    assert (told.status_code, told.json()["error"]) == (422, "There is none.")
    assert failed.status_code == 500
    assert "secret" not in failed.text
    page.close(verbose=False)


# Forgotten ------------------------------------------------------------------------------------------


@pytest.fixture
def small() -> Sessions:
    """Of a page with one state."""
    with gr.Blocks() as page:
        gr.State()
    gr.routes.App.create_app(page)
    return Sessions(page)


def test_a_page_is_closed_with_its_last_connection(small: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[str] = []
    monkeypatch.setattr(small, "forget", gone.append)
    scope = request()
    with small._hold("page", scope):
        with small._hold("page", scope):
            pass
        assert small.is_open("page")
        with pytest.raises(Refused), small._hold("page", request(client="192.0.2.2")):
            pass  # somebody else cannot end it
        assert not gone
    assert gone == ["page"]
    with pytest.raises(Refused), small._hold("program-x", scope):
        pass


def test_what_a_run_derives_after_its_page_was_closed_goes_too(
    small: Sessions, answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    told: list[str] = []
    small.closed = (told.append,)
    with small._hold("one", request()):
        answer("one")
        early = new_folder()
        small.tidy(idle=3000)
        assert early.exists()
    assert not early.exists()
    assert "one" in told
    late = new_folder()
    small.page.state_holder["one"]
    small.tidy(idle=3000)
    assert not late.exists()
    assert "one" not in small.page.state_holder.session_data


def test_what_nobody_has_read_is_forgotten_with_its_page(small: Sessions) -> None:
    """But not what is still being written, nor what an open page is about to read."""
    queue, event = small.queue, SimpleNamespace(session_hash="works", data=None)
    queue.event_ids_to_events["event"] = event  # type: ignore[assignment]
    for name in ("closed", "open", "works"):
        queue.pending_messages_per_session[name] = asyncio.Queue()
        queue.pending_event_ids_session[name] = {"event"}
    with small._hold("open", request()):
        small.tidy(idle=3000)
        assert set(queue.pending_messages_per_session) == set(queue.pending_event_ids_session) == {"open", "works"}


def test_a_page_that_never_listens_has_its_runs_ended(small: Sessions) -> None:
    """A batch of 200 would be 100 MB of updates in as many seconds."""
    ended: list[str] = []
    small.closed = (ended.append,)
    waiting = small.queue.pending_messages_per_session
    with small._hold("deaf", request()), small._hold("listens", request()):
        for name, count in (("deaf", sessions.UNREAD_UPDATES + 1), ("listens", sessions.UNREAD_UPDATES)):
            waiting[name] = asyncio.Queue()
            for _ in range(count):
                waiting[name].put_nowait(SimpleNamespace())  # type: ignore[arg-type]
        small.tidy(idle=3000)
        assert ended == ["deaf"]
        assert set(waiting) == {"listens"}


def test_idle_pages_are_dropped_from_memory(small: Sessions) -> None:
    holder = small.page.state_holder
    with small._hold("idle", request()), small._hold("busy", request()):
        for name in ("idle", "busy"):
            assert holder[name] is not None
        holder.time_last_used["idle"] -= timedelta(seconds=101)
        small.tidy(idle=100)
        assert list(holder.session_data) == list(holder.time_last_used) == ["busy"]


def test_what_a_waiting_call_uses_is_known(busy: Any) -> None:
    address, _ = busy
    with opened(address, "page") as http:
        body = call_of(address)
        assert http.post("gradio_api/queue/join", json=body).status_code == 200
        path = Path(body["data"][0]["path"])
        for _ in range(3):
            STORE.sweep({"page"})
        assert path.exists()
    assert until(lambda: STORE.sweep() or not path.exists())


@pytest.mark.parametrize("kind", ["csv", "html", "zip"])
def test_what_takes_seconds_is_queued(tiny_page: Any, kind: str) -> None:
    """A zip of a batch of 200 takes seconds; outside of the queue one page could have had forty at once."""
    page, _ = tiny_page
    [button] = [block for block in page.blocks.values() if getattr(block, "elem_id", None) == f"batch-{kind}"]
    [written] = [function for function in page.fns.values() if (button._id, "click") in function.targets]
    assert written.queue
    assert written.concurrency_limit == 1
