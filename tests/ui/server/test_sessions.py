"""Sessions are issued and held; how much one, and an address, may have in work; what is forgotten
when one ends."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

import app
from tests.conftest import HANGS
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from tests.serving import until
from tests.ui.asking import META, ask, number_of, opened, send
from ui.server import middleware, sessions
from ui.server.middleware import Refused
from ui.server.sessions import Sessions, issue, visitor_of
from ui.server.storage import new_folder


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
    return {
        "data": [{"path": path, **META}],
        "fn_index": number_of(address, name),
        "session_hash": session,
    }


# Issued
# ---------------------------------------------------------------------------------------------


def request(
    cookie: str = "", *, client: str = "192.0.2.1", scheme: str = "https"
) -> dict[str, Any]:
    return {
        "headers": [(b"cookie", cookie.encode())],
        "client": (client, 1),
        "scheme": scheme,
        "method": "GET",
    }


def test_a_cookie_counts_if_we_signed_it() -> None:
    _, made = issue(request())
    cookie = made.decode().partition(";")[0]
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(made.decode().split("; "))
    assert visitor_of(request(f"other=1; {cookie}"))
    for forged in (
        cookie[:-1] + "x",
        cookie.replace("visitor=", "visitor=a"),
        "visitor=a.b",
        "",
        cookie.upper(),
    ):
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
    with (
        httpx.Client(base_url=tiny_app, timeout=HANGS) as visitor,
        httpx.Client(base_url=tiny_app) as other,
    ):
        assert visitor.get("").cookies
        assert "set-cookie" not in visitor.get("").headers
        other.get("")
        with visitor.stream("GET", "gradio_api/heartbeat/known"):
            body = {
                "data": [None],
                "fn_index": number_of(tiny_app, "provenance"),
                "session_hash": "known",
            }
            for stranger in (other, httpx):
                url = "" if stranger is other else tiny_app
                assert stranger.post(f"{url}gradio_api/queue/join", json=body).status_code == 403  # type: ignore[attr-defined]
                for path in ("queue/data?session_hash=known", "heartbeat/known"):
                    assert stranger.get(f"{url}gradio_api/{path}").status_code == 403  # type: ignore[attr-defined]
            assert visitor.post("gradio_api/queue/join", json=body).status_code == 200


def test_a_call_waits_for_its_pages_connection(tiny_app: str) -> None:
    """The browser opens both at once."""
    body = {
        "data": [None],
        "fn_index": number_of(tiny_app, "provenance"),
        "session_hash": "just-opened",
    }
    with ThreadPoolExecutor(1) as pool:
        gradios = {"X-Gradio-User": "api"}
        asked = pool.submit(
            httpx.post, f"{tiny_app}gradio_api/queue/join", json=body, headers=gradios
        )
        time.sleep(0.5)
        with opened(tiny_app, "just-opened"):
            assert asked.result(HANGS).status_code == 200


def test_what_waits_for_a_page_that_does_not_come_is_little(
    tiny_app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of connections could hold a megabyte each."""
    monkeypatch.setattr(sessions, "COMES", HANGS)
    monkeypatch.setattr(middleware.CALLS, "each", 1500)
    body = {
        "data": [None],
        "fn_index": number_of(tiny_app, "provenance"),
        "session_hash": "late",
        "x": "x" * 1000,
    }
    join = partial(
        httpx.post, f"{tiny_app}gradio_api/queue/join", json=body, headers={"X-Gradio-User": "x"}
    )
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(join, timeout=HANGS)
        assert until(lambda: bool(middleware.CALLS.taken))
        assert join().status_code == 429
        with opened(tiny_app, "late"):
            assert asked.result(HANGS).status_code == 200
    assert until(lambda: not middleware.CALLS.taken)


def test_pages_of_an_address_and_of_all_are_counted(
    tiny_app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions.PAGES, "each", 2)
    flood = {"X-Forwarded-For": "192.0.2.40"}
    with opened(tiny_app, "one", "two", **flood):
        assert httpx.get(f"{tiny_app}gradio_api/heartbeat/three", headers=flood).status_code == 429
        monkeypatch.setattr(sessions.PAGES, "all", 0)
        assert httpx.get(f"{tiny_app}gradio_api/heartbeat/three").status_code == 503


def test_on_a_space_a_page_counts_for_its_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its proxy may pass on an address that the client has invented."""
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    monkeypatch.setattr(sessions, "SPACE", True)
    with gr.Blocks() as page:
        pass
    on_space, cookie = Sessions(page), issue(request())[1].decode().partition(";")[0]
    assert on_space.client(request(cookie, client="10.0.0.1")) == on_space.client(
        request(cookie, client="10.0.0.2")
    )
    assert on_space.client(request(client="10.0.0.1")) == on_space.client(
        request(client="10.0.0.2")
    )
    assert on_space.client(request(cookie)) != on_space.client(request())


# Limits
# ---------------------------------------------------------------------------------------------


def test_twelve_at_once_get_an_answer_or_the_sentence(busy: Any) -> None:
    """And other clients still get theirs; what takes milliseconds does not wait for the model."""
    address, go_on = busy
    paths = [send(address, encode(photo(64 + i, 64), "JPEG")) for i in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda path: ask(address, path), paths))
    told = [answer for answer in answers if answer.status_code == 429]
    assert len(told) == 12 - sessions.A_PROGRAM
    assert all("queue is full" in answer.json()["detail"] for answer in told)
    # a header that nobody reads
    assert ask(address, paths[0], X_Forwarded_For="192.0.2.9").status_code == 429
    # a proxy's
    assert ask(address, paths[0], **{"X-Forwarded-For": "192.0.2.9"}).status_code == 200
    quick = ask(address, paths[0], "provenance", **{"X-Forwarded-For": "192.0.2.10"}).json()[
        "event_id"
    ]
    assert "event: complete" in httpx.get(f"{address}gradio_api/call/provenance/{quick}").text
    go_on.set()
    for answer in answers:
        if answer.status_code == 200:
            url = f"{address}gradio_api/call/detect/{answer.json()['event_id']}"
            assert "event: complete" in httpx.get(url, timeout=HANGS).text
    assert until_let_in(lambda: ask(address, paths[-1]))


def test_a_full_queue_says_so(busy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks."""
    address, _ = busy
    monkeypatch.setattr(sessions, "ALL", 2)
    path = send(address, encode(photo(64, 64), "JPEG"))
    told = [ask(address, path, **{"X-Forwarded-For": f"192.0.2.{50 + i}"}) for i in range(3)]
    assert [one.status_code for one in told] == [200, 200, 503]
    assert "queue is full" in told[2].text


def test_programs_that_never_listen_are_refused_and_forgotten(
    tiny_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_thirty_people_behind_one_address_are_let_in(busy: Any) -> None:
    """Their pages are open, so each counts for itself, up to what one address may have together."""
    address, _ = busy
    names = [f"colleague-{i}" for i in range(30)]
    with opened(address, *names) as http:
        body = call_of(address)
        answers = [
            http.post("gradio_api/queue/join", json=body | {"session_hash": name}).status_code
            for name in names
        ]
        assert answers.count(200) == sessions.AN_ADDRESS
        with opened(address, "other", **{"X-Forwarded-For": "192.0.2.20"}) as other:
            assert (
                other.post(
                    "gradio_api/queue/join", json=body | {"session_hash": "other"}
                ).status_code
                == 200
            )


def test_calls_of_closed_pages_count_for_their_address(busy: Any) -> None:
    """Else one address could fill the queue of all, by pages that it closes at once."""
    address, _ = busy
    told: list[int] = []
    for i in range(sessions.AN_ADDRESS // 4 + 1):
        with opened(address, f"closed-{i}") as http:
            body = call_of(address, session=f"closed-{i}")
            told += [http.post("gradio_api/queue/join", json=body).status_code for _ in range(4)]
    assert told.count(200) == sessions.AN_ADDRESS


# Forgotten
# ------------------------------------------------------------------------------------------


@pytest.fixture
def small() -> Sessions:
    """Of a page with one state."""
    with gr.Blocks() as page:
        gr.State()
    gr.routes.App.create_app(page)
    return Sessions(page)


def test_a_page_is_closed_with_its_last_connection(
    small: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[str] = []
    monkeypatch.setattr(small, "forget", gone.append)
    scope = request()
    with small._hold("page", scope):
        with small._hold("page", scope):
            pass
        assert "page" in small._sessions
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
    told, chosen = list[str](), list[str]()
    small.cancel_runs, small.forget_choices = told.append, chosen.append
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
    assert chosen == ["one"] * 2  # a profile that was chosen then would keep its place for good
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
        assert (
            set(queue.pending_messages_per_session)
            == set(queue.pending_event_ids_session)
            == {"open", "works"}
        )


def test_a_page_that_never_listens_has_its_runs_ended(small: Sessions) -> None:
    """A batch of 200 would be 100 MB of updates in as many seconds."""
    ended: list[str] = []
    small.cancel_runs = ended.append
    waiting = small.queue.pending_messages_per_session
    with small._hold("deaf", request()), small._hold("listens", request()):
        for name, count in (
            ("deaf", sessions.UNREAD_UPDATES + 1),
            ("listens", sessions.UNREAD_UPDATES),
        ):
            waiting[name] = asyncio.Queue()
            for _ in range(count):
                waiting[name].put_nowait(SimpleNamespace())  # type: ignore[arg-type]
        small.tidy(idle=3000)
        assert ended == ["deaf"]
        assert set(waiting) == {"listens"}
