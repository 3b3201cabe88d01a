"""What an answer says to browsers, what a request may make the app believe, and what is for its host alone."""

import base64
import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import httpx
import numpy as np
import pytest

import app
from tests.conftest import HANGS, Raw
from tests.makers.pictures import encode, photo
from ui.server import pages
from ui.server.doors import health
from ui.server.doors.hosts import VARIABLE
from ui.server.files import picked
from ui.server.store import STORE


@pytest.fixture(scope="module")
def page_of_ours(uploads: Any) -> Iterator[str]:
    """A small page with a name of its own and /healthz; its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "check.example.org")
        with gr.Blocks() as page:
            shelf = gr.HTML()
            shelf.click(_pick, None, gr.Textbox(), api_name="pick", queue=False)
        yield app.launch(page, routes=health.routes(page, lambda: True))
        page.close(verbose=False)


def _pick(event: gr.EventData) -> str:
    return picked(event, ["first", "second"])


def pick(address: str, body: str) -> httpx.Response:
    return httpx.post(f"{address}gradio_api/run/predict", content=body, headers={"Content-Type": "application/json"})


def test_no_other_page_may_read_an_answer(page_of_ours: str) -> None:
    for host in ("check.example.org", "localhost"):
        headers = {"Host": host, "Origin": "https://evil.example"}
        answer = httpx.get(f"{page_of_ours}config", headers=headers)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Gradio-Server", "Forwarded"])
def test_no_header_says_where_the_app_is(page_of_ours: str, name: str) -> None:
    said = {name: "http://evil.example" if name == "X-Gradio-Server" else "host=evil.example, evil.example"}
    for path in ("", "config"):
        assert "evil.example" not in httpx.get(f"{page_of_ours}{path}", headers=said).text


@pytest.mark.parametrize("path", [b"gradio_api/reset", b"closed"], ids=str)
def test_nothing_is_read_behind_a_request_that_has_two_lengths(page_of_ours: str, path: bytes) -> None:
    """What a proxy takes for its body would be a request of somebody else's to the app."""
    hidden = b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n"
    lengths = b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % (5 + len(hidden))
    place = urlsplit(page_of_ours)
    with socket.create_connection((place.hostname, place.port), timeout=HANGS) as connection:
        connection.sendall(b"POST /%b HTTP/1.1\r\nHost: localhost\r\n" % path + lengths + b"0\r\n\r\n" + hidden)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"twice how long" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_browsers_are_told_what_a_page_may_do(page_of_ours: str, tiny_app: str) -> None:
    headers = httpx.get(page_of_ours).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    for rule in ("default-src 'self'", "connect-src 'self' data: blob:", "object-src 'none'", "frame-ancestors 'self'"):
        assert rule in headers["content-security-policy"].split("; ")
    files = {"files": ("x.jpg", encode(photo(64, 64), "JPEG"), "image/jpeg")}
    [path] = httpx.post(f"{tiny_app}gradio_api/upload", files=files).json()
    assert "sandbox" in httpx.get(f"{tiny_app}gradio_api/file={path}").headers["content-security-policy"]


def test_no_picture_of_the_app_is_drawn_at_a_size_that_is_asked_for(page_of_ours: str) -> None:
    assert httpx.get(f"{page_of_ours}pwa_icon/30000").status_code == 404


@pytest.mark.parametrize("name", ["a" * 300, "a" * 3000, "%00", "%ff", "..%2f..%2fx"])
def test_no_name_of_a_script_is_an_error_of_the_server(page_of_ours: str, name: str) -> None:
    for folder in ("static", "assets", "svelte"):
        assert httpx.get(f"{page_of_ours}{folder}/{name}").status_code in {403, 404}


@pytest.mark.parametrize("name", ["%00", "a%0ab", "%ff", "a%20b"])
def test_a_page_whose_name_no_address_can_hold_is_not_listened_to(page_of_ours: str, name: str) -> None:
    """As it left, Gradio would fail to read its address, and log an error of the server each time."""
    assert httpx.get(f"{page_of_ours}gradio_api/heartbeat/{name}", timeout=10).status_code == 404


def test_an_address_has_a_longest_length(page_of_ours: str) -> None:
    for path in ("gradio_api/heartbeat/" + "x" * 5000, "gradio_api/upload_progress?upload_id=" + "x" * 5000):
        answer = httpx.get(f"{page_of_ours}{path}")
        assert answer.status_code == 414
        assert answer.text.endswith(".")


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=-", "bytes=9-", "bytes=99999-5", "bytes=x", "bytes=1-3"])
def test_no_range_of_a_file_is_an_error_of_the_server(tiny_app: str, asked: str) -> None:
    files = {"files": ("x.jpg", encode(photo(64, 64), "JPEG"), "image/jpeg")}
    [path] = httpx.post(f"{tiny_app}gradio_api/upload", files=files).json()
    answer = httpx.get(f"{tiny_app}gradio_api/file={path}", headers={"Range": asked})
    assert answer.status_code in {200, 206, 416}


def test_a_boundary_without_end_is_no_error_of_the_server(tiny_app: str) -> None:
    kind = {"Content-Type": f"multipart/form-data; boundary={'b' * 5000}"}
    answer = httpx.post(f"{tiny_app}gradio_api/upload", content=b"x", headers=kind)
    assert answer.status_code == 400
    assert answer.text.endswith(".")


def test_of_a_form_that_cannot_be_read_nothing_is_logged(tiny_app: str, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can send one, at any rate."""
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert httpx.post(f"{tiny_app}gradio_api/upload", content=b"{}", headers=kind).status_code == 400
    assert not [record for record in caplog.records if record.name.startswith("python_multipart")]


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{", b"\xff"])
def test_what_an_agent_sends_is_json(tiny_app: str, body: bytes) -> None:
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    answer = httpx.post(f"{tiny_app}gradio_api/mcp/", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_health_is_for_all_and_metrics_for_the_host(page_of_ours: str) -> None:
    for _ in range(2):  # what other tests left may have waited for a first app to delete it; then nothing is late
        STORE.sweep()
    well = httpx.get(f"{page_of_ours}healthz")
    assert well.status_code == 200
    assert set(well.json()) == {"ready", "models_loaded", "queue_length", "deletion_lateness_seconds"}
    metrics = httpx.get(f"{page_of_ours}metrics")
    for name in ("deletion_lateness_seconds", "sessions"):  # what make redteam reads
        assert f"\ncausalclip_{name} " in metrics.text
    assert "{" not in metrics.text  # no label, so nothing about a picture or a person
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9")) as elsewhere:
        assert elsewhere.get(f"{page_of_ours}metrics", timeout=30).status_code == 404
    for name in ("X-Forwarded-For", "Forwarded"):
        assert httpx.get(f"{page_of_ours}metrics", headers={name: "127.0.0.1"}).status_code == 404


def test_an_app_whose_models_do_not_load_says_so() -> None:
    with gr.Blocks() as page:
        pass
    [healthz, _] = health.routes(page, lambda: False)
    assert healthz.endpoint(SimpleNamespace()).status_code == 503


@pytest.mark.parametrize("event", ["null", "{}", '{"index": NaN}', '{"index": "x"}', '{"index": 99}', "7"])
def test_a_click_that_says_nothing_is_no_error_of_the_server(page_of_ours: str, event: str) -> None:
    answer = pick(page_of_ours, f'{{"data": [], "fn_index": 0, "session_hash": "x", "event_data": {event}}}')
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(".")


def test_a_click_is_answered(page_of_ours: str) -> None:
    answer = pick(page_of_ours, '{"data": [], "fn_index": 0, "session_hash": "x", "event_data": {"index": 1}}')
    assert answer.json()["data"] == ["second"]


@pytest.mark.parametrize("body", ["", "{", "7", '{"event_id": NaN}', '{"event_id": null}', '{"fn_index": 1e400}'])
@pytest.mark.parametrize("path", ["cancel", "reset"])
def test_an_end_that_is_none_is_no_error_of_the_server(raw: Raw, path: str, body: str) -> None:
    status, text = raw("POST", f"/gradio_api/{path}", body=body.encode(), Content_Type="application/json")
    assert status == 422
    assert json.loads(text)["error"].endswith(".")


def test_invented_sessions_do_not_drive_out_an_open_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_open", pages.Counter({"honest": 1}))
    with gr.Blocks() as page:
        pass
    gr.routes.App.create_app(page)
    pages.keep_open_ones(page)
    holder, queue = page.state_holder, page._queue
    holder.capacity = 10
    queue.event_ids_to_events["waits"] = SimpleNamespace(session_hash="a program's")  # type: ignore[assignment]
    for name in ("honest", "a program's", *(f"invented-{i}" for i in range(2100))):
        holder.session_data[name] = SimpleNamespace()  # type: ignore[assignment]
        holder.update(name)
        queue.pending_messages_per_session[name] = SimpleNamespace()  # type: ignore[assignment]
        queue.pending_event_ids_session[name] = {"event"}
    assert "honest" in holder.session_data
    assert len(holder.session_data) == 10
    assert {"honest", "a program's", "invented-2099"} <= set(queue.pending_messages_per_session)
    assert len(queue.pending_messages_per_session) == len(queue.pending_event_ids_session) == 2000


def test_a_session_that_has_just_come_is_remembered_though_all_others_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_open", pages.Counter({f"open-{i}": 1 for i in range(3)}))
    with gr.Blocks() as page:
        pass
    gr.routes.App.create_app(page)
    pages.keep_open_ones(page)
    page.state_holder.capacity = 3
    for name in ("open-0", "open-1", "open-2", "new"):
        assert page.state_holder[name] is not None
    assert list(page.state_holder.session_data) == ["open-1", "open-2", "new"]
    assert set(page.state_holder.time_last_used) == {"open-1", "open-2", "new"}


def test_an_agent_may_send_a_picture_of_its_full_size(tiny_app: str) -> None:
    """A noisy PNG of 19 MB, in base64; Gradio's own limit is 4 MB."""
    noise = np.random.default_rng(0).integers(0, 256, (2500, 2540, 3), np.uint8)
    data = encode(noise, "PNG")
    assert len(data) > 19e6
    arguments = {"picture": f"data:image/png;base64,{base64.b64encode(data).decode()}"}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "provenance", "arguments": arguments}}
    headers = {"Accept": "application/json, text/event-stream"}
    answer = httpx.post(f"{tiny_app}gradio_api/mcp/", json=call, headers=headers)
    assert answer.status_code == 200
    assert '"isError":false' in answer.text


def test_an_agent_has_no_file_read_through_a_text(tiny_app: str) -> None:
    """A text field of a tool, given a path or an address in the form of a file."""
    lies = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "detect", "arguments": {"picture": lies}},
    }
    headers = {"Accept": "application/json, text/event-stream"}
    answer = httpx.post(f"{tiny_app}gradio_api/mcp/", json=call, headers=headers)
    assert '"isError":true' in answer.text
