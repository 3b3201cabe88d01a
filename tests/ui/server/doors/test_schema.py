"""What a call may hold: every field of every function, tried with values that have a framework fetch something."""

import asyncio
import json
import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr
import httpx
import pytest
import safehttpx
from gradio import processing_utils

import app
from scripts.redteam.hostile import PLACE, VALUES, misread, walk
from tests.conftest import ROOT
from tests.makers.detectors import tiny_detector
from tests.makers.purifiers import tiny_models
from ui.server.doors.answers import Refused
from ui.server.doors.offline import NotFetchedError, stay_offline
from ui.server.doors.schema import Schema


@pytest.fixture
def network() -> Iterator[list[str]]:
    """Every name that is looked up and every address that is spoken to while a test runs."""
    seen: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "socket.getaddrinfo":
            seen.append(str(arguments[0]))
        if watching and event == "socket.connect" and isinstance(arguments[1], tuple):
            seen.append(str(arguments[1][0]))

    sys.addaudithook(watch)
    yield seen
    watching = False


@pytest.fixture(scope="module")
def whole_page(uploads: Any) -> Iterator[tuple[gr.Blocks, str]]:
    """The app with all its tabs, and its address."""
    detector = tiny_detector()
    page = app.build(lambda: detector, models=tiny_models())
    yield page, app.launch(page)
    page.close(verbose=False)


def test_no_value_in_any_field_has_anything_fetched(whole_page: Any, network: list[str]) -> None:
    page, address = whole_page
    with httpx.Client(base_url=address) as http:
        found = list(walk([http]))
    assert len(found) == len(VALUES) * sum(len(function.inputs) for function in page.fns.values())
    assert misread(found) == {}
    assert set(network) <= {"127.0.0.1", "localhost"}
    assert all(PLACE not in answer.text for *_, answer in found)


def test_the_watch_would_see_it(network: list[str]) -> None:
    with pytest.raises(OSError, match=r"."):
        socket.getaddrinfo(PLACE, 80)
    assert network == [PLACE]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (processing_utils, "async_ssrf_protected_get"),
        (processing_utils, "async_ssrf_protected_download"),
        (safehttpx, "get"),
        (safehttpx, "async_validate_url"),
    ],
)
def test_what_fetches_raises(network: list[str], module: Any, name: str) -> None:
    stay_offline()

    async def fetch() -> None:
        await getattr(module, name)(f"http://{PLACE}/x", *["/nowhere"] * (name.endswith("download")))

    with ThreadPoolExecutor(1) as pool, pytest.raises(NotFetchedError):  # a browser's loop may run in this thread
        pool.submit(asyncio.run, fetch()).result()
    assert network == []


def test_what_fetches_in_a_thread_raises(network: list[str]) -> None:
    stay_offline()
    for fetch in (processing_utils.unsafe_download, processing_utils.ssrf_protected_download):
        with pytest.raises(NotFetchedError):
            fetch(f"http://{PLACE}/x", "/nowhere")
    with pytest.raises(NotFetchedError):
        processing_utils.sync_client.get(f"http://{PLACE}/x")
    assert network == []


def test_the_app_is_never_mounted_into_another() -> None:
    """Gradio checks a path only where `launch` has been: mounted, it gives out every file of its host."""
    rooms = [
        ROOT / "app.py",
        *(path for room in ("ui", "scripts", "causalclip") for path in (ROOT / room).rglob("*.py")),
    ]
    assert not [path for path in rooms if re.search(r"mount_gradio_app\s*\(", path.read_text(encoding="utf-8"))]


def test_the_page_was_launched(whole_page: Any) -> None:
    assert whole_page[0].has_launched


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


def test_what_runs_in_the_browser_alone_is_no_function() -> None:
    with gr.Blocks() as page:
        gr.on([], None, js="() => 1", api_name="script")
    with pytest.raises(Refused, match="no such function"):
        Schema(page).read(b'{"data": []}', "script")
    with pytest.raises(Refused, match="no such function"):
        Schema(page).read(b'{"data": [], "fn_index": 0}', None)


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
