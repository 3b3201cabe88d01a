"""Calls over HTTP: malformed ones get a sentence before Gradio sees them, and nobody takes every place in the queue."""

import base64
import json
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
from gradio_client import Client, handle_file

import app
from causalclip.pictures.formats import MAX_BYTES
from tests.conftest import Raw
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.server import pages
from ui.server.doors import calls, limits
from ui.server.doors.offline import NOT_FETCHED
from ui.server.doors.schema import NOT_UPLOADED, BadCallError, Schema
from ui.server.inline import InlineError, agent, decode, keep_inline
from ui.server.store import Store
from ui.serving import WAITING

META = {"meta": {"_type": "gradio.FileData"}}
FORGED: list[Any] = [
    "text",
    7,
    [],
    True,
    {},
    {"path": None},
    {"path": ["a"]},
    {"path": "/etc/passwd"},
    {"path": "\0"},
    {"path": "/" + "a" * 5000},
    {"path": "../" * 50 + "etc/passwd"},
    {"path": "data:image/png;base64,aGVsbG8="},
    "data:image/png;base64,aGVsbG8=",
    {"path": "http://127.0.0.1:1/gradio_api/file=/etc/passwd"},
    [{"path": "/etc/passwd"}],
]


@pytest.mark.parametrize("payload", FORGED)
@pytest.mark.parametrize("meta", [{}, META])
def test_what_is_no_upload_gets_a_sentence(tiny_app: str, payload: Any, meta: dict[str, Any]) -> None:
    sent = {**payload, **meta} if isinstance(payload, dict) else payload
    for route in ("call/detect", "queue/join"):
        body = {"data": [sent], "session_hash": "forger", "fn_index": _number(tiny_app, "detect")}
        answer = httpx.post(f"{tiny_app}gradio_api/{route}", json=body)
        assert answer.status_code == 422
        assert answer.json()["error"] in {NOT_UPLOADED, NOT_FETCHED}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"7",
        b'{"data": 7}',
        b'{"data": []}',
        b'{"data": [null, null]}',
        b'{"data": [null], "session_hash": 7}',
        b'{"data": [null], "session_hash": ""}',
        b'{"data": [null], "session_hash": "' + b"x" * 101 + b'"}',
    ],
)
def test_malformed_calls_get_a_sentence(raw: Raw, body: bytes) -> None:
    status, text = raw("POST", "/gradio_api/call/detect", body=body, Content_Type="application/json")
    assert status == 422
    assert json.loads(text)["error"].endswith(".")


@pytest.mark.parametrize("path", ["call/nothing", "run/predict", "queue/join"])
def test_there_is_no_such_function(raw: Raw, path: str) -> None:
    status, text = raw("POST", f"/gradio_api/{path}", body=b'{"data": [], "fn_index": 99999}')
    assert status == 422
    assert "no such function" in text


def test_a_long_call_is_not_read(raw: Raw) -> None:
    status, text = raw("POST", "/gradio_api/call/detect", body=b" " * (calls.LONGEST + 1))
    assert status == 413
    assert "Upload the picture" in text


def test_the_clients_show_the_sentence(tiny_app: str, tmp_path: Path) -> None:
    client = Client(tiny_app, verbose=False)
    with pytest.raises(Exception, match="Send the picture as an uploaded file"):
        client.predict({"path": "/etc/passwd"}, api_name="/detect")


def test_one_that_takes_several_files_reads_all(uploads: Path) -> None:
    with gr.Blocks() as page:
        files = gr.File(file_count="multiple")
        gr.on([], lambda x: x, files, None, api_name="batch")
    one, two = str(uploads / "a" / "x.jpg"), str(uploads / "b" / "y.jpg")
    body = json.dumps({"data": [[{"path": one}, {"path": f"http://localhost:1/gradio_api/file={two}"}]]}).encode()
    assert Schema(page).read(body, "batch").files == (one, two)
    with pytest.raises(BadCallError):
        Schema(page).read(json.dumps({"data": [[{"path": one}, {"path": "/etc/passwd"}]]}).encode(), "batch")


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,%%%", "data:image/png;base64", "data:image/png,abcd", "data:,", "data:a;base64,a"]
)
def test_a_data_url_that_is_none_gets_a_sentence(url: str) -> None:
    with pytest.raises(InlineError, match="not base64"):
        decode(url)
    with pytest.raises(InlineError, match="larger than 20 MB"):
        decode("data:image/png;base64," + "A" * (MAX_BYTES * 4 // 3 + 8))
    assert decode(f"data:image/png;base64,{base64.b64encode(b'x').decode()}") == b"x"


# Who may ask how much ------------------------------------------------------------------------------


@pytest.fixture
def busy(uploads: Path) -> Iterator[Any]:
    """The address of an app whose model works until the event is set."""
    go_on, detector = threading.Event(), tiny_detector()

    def slow() -> Any:
        go_on.wait(60)
        return detector

    page = app.build(slow)
    yield app.launch(page), go_on
    go_on.set()
    page.close(verbose=False)


def ask(address: str, path: str, name: str = "detect", **headers: str) -> httpx.Response:
    payload = {"path": path, **META}
    return httpx.post(f"{address}gradio_api/call/{name}", json={"data": [payload]}, headers=headers, timeout=60)


def test_pictures_in_calls_have_a_quota_like_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr("ui.server.doors.uploads.A_CLIENT", (2, 2**20))
    monkeypatch.setattr("ui.server.inline.STORE", store := Store())
    monkeypatch.setattr("ui.server.doors.uploads.STORE", store)
    for owner in ("one", "another"):
        told = agent.set(owner)
        kept = [Path(keep_inline("data:image/png;base64,aGVsbG8=")) for _ in range(2)]
        with pytest.raises(InlineError, match="kept already"):
            keep_inline("data:image/png;base64,aGVsbG8=")
        agent.reset(told)
        assert len(list(tmp_path.glob(f"{owner}-*"))) == len(kept)


def send(address: str, data: bytes) -> str:
    return str(httpx.post(f"{address}gradio_api/upload", files={"files": ("x.jpg", data, "image/jpeg")}).json()[0])


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
    assert "event: complete" in httpx.get(f"{address}gradio_api/call/provenance/{quick}", timeout=30).text
    go_on.set()
    for answer in answers:
        if answer.status_code == 200:
            url = f"{address}gradio_api/call/detect/{answer.json()['event_id']}"
            assert "event: complete" in httpx.get(url, timeout=60).text
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
    body = {"data": [{"path": path, **META}], "fn_index": _number(address, "detect"), "session_hash": "page"}
    answers = [httpx.post(f"{address}gradio_api/queue/join", json=body) for _ in range(limits.A_SESSION + 1)]
    assert [answer.status_code for answer in answers] == [200] * limits.A_SESSION + [429]


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
    mine, function = {"X-Forwarded-For": "192.0.2.20"}, _number(address, "detect")
    body = {"data": [{"path": send(address, encode(photo(64, 64), "JPEG")), **META}], "fn_index": function}
    body |= {"session_hash": "mine"}
    asked = httpx.post(f"{address}gradio_api/queue/join", json=body, headers=mine).json()
    cancel = {"session_hash": "mine", "fn_index": function, "event_id": asked["event_id"]}
    told = httpx.post(f"{address}gradio_api/cancel", json=cancel, headers={"X-Forwarded-For": number})
    assert told.json() == {"success": True}
    go_on.set()
    url = f"{address}gradio_api/queue/data?session_hash=mine"
    with httpx.stream("GET", url, headers=mine, timeout=60) as events:
        said = next(line for line in events.iter_lines() if "process_completed" in line)
    assert ('"data":[' in said.replace(" ", "")) != ends


def test_thirty_people_behind_one_address_are_let_in(busy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pages are open, so each counts for itself, up to half of the places of one thing."""
    address, _ = busy
    monkeypatch.setattr(pages, "_open", Counter({f"colleague-{i}": 1 for i in range(30)}))
    path = send(address, encode(photo(64, 64), "JPEG"))
    body = {"data": [{"path": path, **META}], "fn_index": _number(address, "detect")}
    join = partial(httpx.post, f"{address}gradio_api/queue/join", timeout=60)
    answers = [join(json={**body, "session_hash": f"colleague-{i}"}).status_code for i in range(30)]
    assert answers.count(200) == 1 + WAITING // 2  # one of them runs
    assert join(json={**body, "session_hash": "other"}, headers={"X-Forwarded-For": "192.0.2.20"}).status_code == 200
    quick = {**body, "fn_index": _number(address, "provenance"), "session_hash": "colleague-29"}
    assert join(json=quick).status_code == 200


def test_a_hasty_page_waits_for_room_among_its_own_calls(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of being told, which the page's part could not show: its last picture would never be answered."""
    go_on = threading.Event()
    with gr.Blocks() as page:
        field = gr.Textbox()
        options: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None, "api_name": "own"}
        gr.on([field.change], lambda text: go_on.wait(60), field, gr.Checkbox(), **options)
    address = app.launch(page)
    body = {"data": ["x"], "fn_index": _number(address, "own"), "session_hash": "hasty"}
    with ThreadPoolExecutor(1) as pool:
        join = partial(httpx.post, f"{address}gradio_api/queue/join", json=body, timeout=60)
        assert [join().status_code for _ in range(limits.A_SESSION)] == [200] * limits.A_SESSION
        late = pool.submit(join)
        time.sleep(1)
        assert not late.done()
        go_on.set()
        assert late.result(60).status_code == 200
        go_on.clear()
        monkeypatch.setattr(calls, "PATIENCE", 0.5)
        assert until_let_in(join)
        told = next(answer for answer in (join() for _ in range(limits.A_SESSION)) if answer.status_code != 200)
        assert told.status_code == 429
        monkeypatch.setattr(calls, "HELD", 0)
        monkeypatch.setattr(calls, "PATIENCE", 600)
        assert join().status_code == 429
    go_on.set()
    page.close(verbose=False)


def test_what_a_waiting_call_uses_is_known(uploads: Path) -> None:
    go_on = threading.Event()
    with gr.Blocks() as page:
        gr.on([], lambda picture: go_on.wait(60), gr.Image(type="filepath"), gr.Checkbox(), api_name="own")
    address = app.launch(page)
    path = send(address, encode(photo(64, 64), "JPEG"))
    assert ask(address, path, "own").status_code == 200
    assert list(pages.files_in_work(page)) == [path]
    go_on.set()
    page.close(verbose=False)


@pytest.mark.parametrize("path", ["queue/data?session_hash=invented", "call/detect/invented"])
def test_who_listens_for_what_is_not_there_is_told_and_nothing_is_logged(
    tiny_app: str, path: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = httpx.get(f"{tiny_app}gradio_api/{path}", timeout=30)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "404: Not Found" in answer.text
    assert ("session_not_found" in answer.text) == path.startswith("queue")
    assert "Traceback" not in caplog.text + capfd.readouterr().err


def test_agents_have_their_own_limits(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "AGENTS", 0)
    status, text = raw("POST", "/gradio_api/mcp/", body=b"{}")
    assert status == 429
    assert "queue is full" in text
    monkeypatch.setattr(calls, "AGENTS", 1)
    monkeypatch.setattr(calls, "LONGEST_BY_AGENTS", 10)
    assert raw("POST", "/gradio_api/mcp/", body=b" " * 11)[0] == 413


def test_invented_sessions_are_not_remembered(tiny_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page, address = tiny_page
    assert page.state_holder.capacity <= 256
    most = len(page.state_holder.session_data) + 10
    monkeypatch.setattr(page.state_holder, "capacity", most)
    body = {"data": [], "fn_index": _number(address, None)}
    with httpx.Client(timeout=60) as http:
        for i in range(30):  # more than are
            sent = http.post(f"{address}gradio_api/run/predict", json={**body, "session_hash": f"invented-{i}"})
            assert sent.status_code == 200
    assert len(page.state_holder.session_data) <= most
    assert len(page.state_holder.time_last_used) <= most
    assert not any(state.config_values for state in page.state_holder.session_data.values())  # a quarter of a MB each


def _number(address: str, name: str | None) -> int:
    """The number of a function; without a name, of one that is not queued and takes nothing."""
    listed = httpx.get(f"{address}config").json()["dependencies"]
    if name:
        return int(next(d["id"] for d in listed if d["api_name"] == name))
    return int(next(d["id"] for d in listed if d["queue"] is False and not d["inputs"] and d["outputs"]))


def test_a_picture_may_be_asked_about_twice(tiny_app: str, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(encode(photo(64, 64), "JPEG"))
    client = Client(tiny_app, verbose=False)
    for _ in range(2):
        assert client.predict(handle_file(str(tmp_path / "x.jpg")), api_name="/provenance")
