"""What a call may hold: every field of every function, tried with values that have a framework fetch something."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
from scripts.redteam.generated import PARTS, Listed, body, calls, pages
from scripts.redteam.hostile import PLACE, VALUES, misread, walk
from tests.conftest import HANGS, ROOT, Raw
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from tests.makers.purifiers import tiny_models
from tests.ui.asking import META, number_of, opened
from ui.server.middleware import Refused
from ui.server.offline import refused
from ui.server.schema import NOT_FETCHED, NOT_UPLOADED, Schema
from ui.server.storage import files_in


@pytest.fixture(scope="module")
def whole_page(uploads: Any) -> Iterator[tuple[gr.Blocks, str]]:
    """The app with all its tabs, and its address."""
    detector = tiny_detector()
    page = app.build(lambda: detector, models=tiny_models())
    yield page, app.launch(page)
    page.close(verbose=False)


def test_no_value_in_any_field_has_anything_fetched(whole_page: Any) -> None:
    page, address = whole_page
    before = refused()
    with httpx.Client(base_url=address) as http:
        found = list(walk([http]))
    assert len(found) == len(VALUES) * sum(len(function.inputs) for function in page.fns.values())
    assert misread(found) == {}
    assert refused() == before
    assert all(PLACE not in answer.text for *_, answer in found)


def test_the_watch_would_see_it(whole_page: Any) -> None:
    before = refused()
    with pytest.raises(OSError, match=r"."):
        socket.getaddrinfo(PLACE, 80)
    assert refused() == before + 1


def test_the_app_is_never_mounted_into_another() -> None:
    """Gradio checks a path only where `launch` has been: mounted, it gives out every file of its host."""
    rooms = [
        ROOT / "app.py",
        *(path for room in ("ui", "scripts", "causalclip") for path in (ROOT / room).rglob("*.py")),
    ]
    assert not [path for path in rooms if re.search(r"mount_gradio_app\s*\(", path.read_text(encoding="utf-8"))]


def read(function: str, *values: Any, page: gr.Blocks, **more: Any) -> dict[str, Any]:
    call = Schema(page).read(json.dumps({"data": values, **more}).encode(), function)
    return dict(json.loads(call.model_dump_json()))


@pytest.fixture(scope="module")
def form() -> gr.Blocks:
    with gr.Blocks() as page:
        fields = [gr.Textbox(label="note", max_length=5), gr.Number(), gr.Checkbox(), gr.Dropdown(["a"]), gr.State()]
        gr.on([], lambda *x: x, fields, None, api_name="form")
        gr.on([], lambda *x: x, fields[:1], None, api_name="other")
        shelf = gr.HTML()
        shelf.click(lambda event: None, None, None, api_name="pick")
    return page


def test_the_function_that_is_checked_is_the_one_that_runs(form: gr.Blocks) -> None:
    """Gradio takes it by its name alone, whatever number the body has."""
    with pytest.raises(Refused, match="takes 1 values"):
        read("other", "a", 1, True, "a", page=form, fn_index=0)
    assert read("other", "a", page=form, fn_index=0)["fn_index"] == 1


def test_only_what_was_read_goes_on(form: gr.Blocks) -> None:
    sent = read("form", "a", 1.5, True, ["a"], page=form, event_id="x", batched=True, trigger_id=1, oauth_token="x")
    assert sent["data"] == ["a", 1.5, True, ["a"], None]
    assert sent["trigger_id"] is None
    assert set(sent) == {"data", "session_hash", "fn_index", "trigger_id", "event_data"}
    assert read("form", "a", 1, True, "a", {"path": "/x"}, page=form)["data"][4] is None


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (0, "longer", "note takes a text of at most 5"),
        (0, 7, "takes a text"),
        (1, "7", "takes a number"),
        (1, True, "takes a number"),
        (1, float("nan"), "takes a number"),
        (1, float("inf"), "takes a number"),
        (1, 10**30, "takes a number"),
        (2, "yes", "takes true or false"),
        (3, [["a"]], "takes a choice"),
        (3, ["a"] * 1001, "takes a choice"),
        (3, float("nan"), "takes a choice"),
        (3, PLACE, "takes one of its own choices"),
        (3, ["a", PLACE], "takes one of its own choices"),
    ],
)
def test_a_field_takes_its_own_kind(form: gr.Blocks, place: int, value: Any, sentence: str) -> None:
    values = ["a", 1, True, "a"]
    values[place] = value
    with pytest.raises(Refused, match=sentence) as refused:
        read("form", *values, page=form)
    assert PLACE not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "let_in"), [(0, True), (2.5, True), (3, True), (3.1, False), (-1, False), (None, False)]
)
def test_a_slider_takes_what_lies_on_it(value: Any, let_in: bool) -> None:
    """Of anything else Gradio would log an error."""
    with gr.Blocks() as page:
        gr.on([], lambda x: x, gr.Slider(0, 3, label="how much"), None, api_name="slide")
    if let_in:
        assert read("slide", value, page=page)["data"] == [value]
        return
    with pytest.raises(Refused, match="how much takes a number from 0 to 3"):
        read("slide", value, page=page)


def test_choices_are_those_that_the_senders_page_has_now(form: gr.Blocks) -> None:
    [number] = [key for key, block in form.blocks.items() if isinstance(block, gr.Dropdown)]
    form.state_holder.set_blocks(form)
    form.state_holder["somebody"][number] = gr.Dropdown(["b"], render=False)
    assert read("form", "a", 1, True, "b", page=form, session_hash="somebody")["data"][3] == "b"
    for session, choice in (("somebody", "a"), ("another", "b")):
        with pytest.raises(Refused, match="takes one of its own choices"):
            read("form", "a", 1, True, choice, page=form, session_hash=session)


def test_a_click_that_does_not_say_on_what_was_on_nothing(form: gr.Blocks) -> None:
    named = (None, "x", float("nan"), {"path": "/x"}, True, 10**400)
    for event in (None, {}, 7, *({"index": index} for index in named)):
        assert read("pick", page=form, event_data=event)["event_data"] == {"index": -1}
    assert read("pick", page=form, event_data={"index": 3, "value": {"path": "/x"}})["event_data"] == {"index": 3}


def test_a_component_that_nobody_has_declared_is_not_served() -> None:
    with gr.Blocks() as page:
        gr.on([], lambda x: x, gr.Audio(), None)
    with pytest.raises(TypeError, match="Audio"):
        Schema(page)


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


def test_a_function_without_a_name_is_asked_by_a_session(tiny_app: str) -> None:
    """Or the profile that one has chosen would count for all others who name none."""
    body = {"data": [], "fn_index": number_of(tiny_app, None)}
    assert httpx.post(f"{tiny_app}gradio_api/run/predict", json=body).status_code == 422
    with opened(tiny_app, "p") as http:
        assert http.post("gradio_api/run/predict", json={**body, "session_hash": "p"}).status_code == 200


def test_a_call_is_json_whatever_it_is_called(raw: Raw) -> None:
    """Gradio would send one of another kind back to whoever reads the answer."""
    status, text = raw("POST", "/gradio_api/call/provenance", body=b'{"data": [null]}', Content_Type="text/plain")
    assert status == 200
    assert set(json.loads(text)) == {"event_id"}


# Generated calls ------------------------------------------------------------------------------------

FUZZ = settings(
    max_examples=120, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module")
def target(uploads: Path, tiny_page: Any) -> Any:
    """A client that asks the app again and again, and what can be called."""
    _, address = tiny_page
    with (
        httpx.Client(base_url=address, timeout=HANGS, limits=httpx.Limits(max_connections=200)) as http,
        pages(http),
    ):
        [path] = http.post("gradio_api/upload", files={"files": ("x.jpg", encode(photo(64, 64), "JPEG"))}).json()
        yield http, Listed(http.get("config").json(), path)


@FUZZ
@given(data=st.data())
def test_no_call_is_an_error_of_the_server(target: Any, data: st.DataObject) -> None:
    http, page = target
    call = data.draw(calls(page))
    answer = http.post(f"gradio_api/{call.route}", content=call.content, headers=call.headers)
    assert answer.status_code < 500 or "queue is full" in answer.text, call


@FUZZ
@given(raw=st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | PARTS.map(body))
def test_what_is_read_is_a_call_or_a_sentence(tiny_page: Any, raw: bytes) -> None:
    try:
        call = Schema(tiny_page[0]).read(raw, "detect")
    except Refused:
        return
    sent = json.loads(call.model_dump_json())
    assert tiny_page[0].fns[sent["fn_index"]].api_name == "detect"
