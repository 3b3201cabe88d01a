"""Calls over HTTP: malformed ones get a sentence before Gradio sees them."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file

from causalclip.pictures.formats import MAX_BYTES
from tests.conftest import Raw
from tests.makers.pictures import encode, photo
from tests.ui.server.doors.asking import META, number_of
from ui.server.doors import calls
from ui.server.doors.answers import Refused
from ui.server.doors.calls import agent
from ui.server.doors.offline import NOT_FETCHED
from ui.server.doors.schema import NOT_UPLOADED, Schema
from ui.server.inline import InlineError, decode, keep_inline
from ui.server.store import Store, files_in

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
        body = {"data": [sent], "session_hash": "forger", "fn_index": number_of(tiny_app, "detect")}
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
    assert files_in(Schema(page).read(body, "batch").data) == [one, two]
    with pytest.raises(Refused):
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


def test_pictures_in_calls_have_a_quota_like_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr("ui.server.doors.uploads.A_CLIENT", (2, 2**20))
    monkeypatch.setattr("ui.server.doors.uploads.STORE", Store())
    for owner in ("one", "another"):
        told = agent.set(owner)
        kept = [Path(keep_inline("data:image/png;base64,aGVsbG8=")) for _ in range(2)]
        with pytest.raises(InlineError, match="At most 2 of your pictures"):
            keep_inline("data:image/png;base64,aGVsbG8=")
        agent.reset(told)
        assert len(list(tmp_path.glob(f"{owner}-*"))) == len(kept)


def test_a_function_without_a_name_is_asked_by_a_session(tiny_app: str) -> None:
    """Or the profile that one has chosen would count for all others who name none."""
    body = {"data": [], "fn_index": number_of(tiny_app, None)}
    assert httpx.post(f"{tiny_app}gradio_api/run/predict", json=body).status_code == 422
    assert httpx.post(f"{tiny_app}gradio_api/run/predict", json={**body, "session_hash": "p"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "queue/data?session_hash=invented",
        "queue/data?session_hash=",
        "queue/data?session_hash=there&session_hash=invented",
        "call/detect/invented",
    ],
)
def test_who_listens_for_what_is_not_there_is_told_and_nothing_is_logged(
    tiny_page: Any,
    path: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page, address = tiny_page
    monkeypatch.setitem(page._queue.pending_messages_per_session, "there", asyncio.Queue())
    answer = httpx.get(f"{address}gradio_api/{path}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "404: Not Found" in answer.text
    assert ("session_not_found" in answer.text) == path.startswith("queue")
    assert "Traceback" not in caplog.text + capfd.readouterr().err


@pytest.mark.parametrize("kind", ["csv", "html", "zip"])
def test_what_takes_seconds_is_queued(tiny_page: Any, kind: str) -> None:
    """A zip of a batch of 200 takes seconds; outside of the queue one page could have had forty at once."""
    page, _ = tiny_page
    [button] = [block for block in page.blocks.values() if getattr(block, "elem_id", None) == f"batch-{kind}"]
    [written] = [function for function in page.fns.values() if (button._id, "click") in function.targets]
    assert written.queue
    assert written.concurrency_limit == 1


def test_a_call_is_json_whatever_it_is_called(raw: Raw) -> None:
    """Gradio would send one of another kind back to whoever reads the answer."""
    status, text = raw("POST", "/gradio_api/call/provenance", body=b'{"data": [null]}', Content_Type="text/plain")
    assert status == 200
    assert set(json.loads(text)) == {"event_id"}


@pytest.mark.parametrize("value", [b"[],", b"{},", b"1,", b'"x",'])
def test_an_agent_sends_few_values(raw: Raw, monkeypatch: pytest.MonkeyPatch, value: bytes) -> None:
    """Of 28 MB of small ones, reading alone took twelve seconds of everybody's and 1.6 GB."""
    read: list[bytes] = []
    monkeypatch.setattr(calls, "from_json", lambda body, **_: read.append(body))
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": [%b0]}}' % (value * 400_000)
    status, text = raw("POST", "/gradio_api/mcp/", body=body, Content_Type="application/json")
    assert status == 400
    assert json.loads(text)["error"].endswith(".")
    assert not read


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
    body = {"data": [], "fn_index": number_of(address, None)}
    with httpx.Client() as http:
        for i in range(30):  # more than are
            sent = http.post(f"{address}gradio_api/run/predict", json={**body, "session_hash": f"invented-{i}"})
            assert sent.status_code == 200
    assert len(page.state_holder.session_data) <= most
    assert len(page.state_holder.time_last_used) <= most
    assert not any(state.config_values for state in page.state_holder.session_data.values())  # a quarter of a MB each


def test_a_picture_may_be_asked_about_twice(tiny_app: str, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(encode(photo(64, 64), "JPEG"))
    client = Client(tiny_app, verbose=False)
    for _ in range(2):
        assert client.predict(handle_file(str(tmp_path / "x.jpg")), api_name="/provenance")
