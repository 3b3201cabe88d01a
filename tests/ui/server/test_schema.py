"""What a call may hold: every field of every function, tried with values that have a framework
fetch something."""

import json
import re
from typing import Any

import gradio as gr
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.redteam.doors import PLACE, VALUES, misread, walk
from tests.conftest import HANGS, ROOT
from tests.ui.asking import number_of, opened
from ui.server.hosts import refused
from ui.server.middleware import Refused
from ui.server.requests import Schema


def test_no_value_in_any_field_has_anything_fetched(whole_page: Any) -> None:
    page, _, address = whole_page
    before = refused()
    with httpx.Client(base_url=address) as http:
        found = list(walk([http]))
    assert len(found) == len(VALUES) * sum(len(function.inputs) for function in page.fns.values())
    assert misread(found) == {}
    assert refused() == before
    assert all(PLACE not in answer.text for *_, answer in found)


def test_the_app_is_never_mounted_into_another() -> None:
    """Gradio checks a path only where `launch` has been: mounted, it gives out every file of its
    host."""
    files = [
        path for folder in ("ui", "scripts", "causalclip") for path in (ROOT / folder).rglob("*.py")
    ]
    assert not [
        path
        for path in (ROOT / "app.py", *files)
        if re.search(r"mount_gradio_app\s*\(", path.read_text(encoding="utf-8"))
    ]


def read(function: str, *values: Any, page: gr.Blocks, **more: Any) -> dict[str, Any]:
    call = Schema(page).read(json.dumps({"data": values, **more}).encode(), function)
    return dict(json.loads(call.model_dump_json()))


@pytest.fixture(scope="module")
def form() -> gr.Blocks:
    with gr.Blocks() as page:
        fields = [
            gr.Textbox(label="note", max_length=5),
            gr.Number(minimum=0, maximum=9),
            gr.Checkbox(),
        ]
        fields += [gr.Dropdown(["a"]), gr.State()]
        gr.on([], lambda *x: x, fields, None, api_name="form")
        gr.on([], lambda *x: x, fields, None, api_name="raw", preprocess=False)
        shelf = gr.HTML()
        shelf.click(lambda event: None, None, None, api_name="pick")
    return page


def test_a_program_calls_no_function_of_the_page_by_its_name() -> None:
    """Gradio names those, too; they belong to a page, whose session they are told."""
    with gr.Blocks() as page:
        gr.on([], lambda *x: x, gr.Textbox(), None, api_name="then_2", api_visibility="private")
    with pytest.raises(Refused, match="no such function"):
        read("then_2", "a", page=page)
    assert read("", "a", page=page, fn_index=0, session_hash="page")["data"] == ["a"]


def test_a_newer_field_at_the_end_need_not_be_sent() -> None:
    """A program that was written before there was a choice of heads sends a picture alone."""
    with gr.Blocks() as page:
        number, head = gr.Number(), gr.Textbox("")
        gr.on([], lambda *x: x, [number, head], None, api_name="detect")
    assert read("detect", 1, page=page)["data"] == [1, ""]
    assert read("detect", 1, "linear", page=page)["data"] == [1, "linear"]
    for values in ((), (1, "linear", 2)):
        with pytest.raises(Refused, match="takes 2 values"):
            read("detect", *values, page=page)


def test_only_what_was_read_goes_on(form: gr.Blocks) -> None:
    sent = read(
        "form",
        "a",
        1.5,
        True,
        "a",
        page=form,
        event_id="x",
        batched=True,
        trigger_id=1,
        oauth_token="x",
    )
    assert sent["data"] == ["a", 1.5, True, "a", None]
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
        (1, 10, "takes a number from 0 to 9"),
        (1, None, "takes a number from 0 to 9"),
        (3, float("nan"), "takes a choice"),
        (3, PLACE, "takes one of its own choices"),
        (3, "../../a", "takes one of its own choices"),
        (3, ["a"], "takes a choice"),
    ],
)
@pytest.mark.parametrize("function", ["form", "raw"])
def test_a_field_takes_its_own_kind(
    form: gr.Blocks, function: str, place: int, value: Any, sentence: str
) -> None:
    """Also of a function that Gradio gives everything to as it came: a choice may become the name
    of a file."""
    values = ["a", 1, True, "a"]
    values[place] = value
    with pytest.raises(Refused, match=sentence) as refused:
        read(function, *values, page=form)
    assert PLACE not in str(refused.value)


def test_no_choice_is_the_one_that_the_page_begins_with(form: gr.Blocks) -> None:
    assert read("raw", "a", 1, True, None, page=form)["data"][3] == "a"


def test_no_function_of_the_page_takes_a_path_for_a_choice(whole_page: Any) -> None:
    """The name of a map would have been a path, which anybody could have written to."""
    page, _, address = whole_page
    fields = [
        (key, [block.value for block in function.inputs], place)
        for key, function in page.fns.items()
        for place, block in enumerate(function.inputs)
        if function.fn and isinstance(block, gr.Dropdown | gr.Radio)
    ]
    assert fields
    with opened(address, "p") as http:
        for number, values, place in fields:
            data = [*values[:place], "/x", *values[place + 1 :]]
            call = {"data": data, "fn_index": number, "session_hash": "p"}
            assert "own choices" in http.post("gradio_api/queue/join", json=call).text


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
    assert read("pick", page=form, event_data={"index": 3, "value": {"path": "/x"}})[
        "event_data"
    ] == {"index": 3}


def test_a_component_that_nobody_has_declared_is_not_served() -> None:
    with gr.Blocks() as page:
        gr.on([], lambda x: x, gr.Audio(), None)
    with pytest.raises(TypeError, match="Audio"):
        Schema(page)


def test_a_function_without_a_name_is_asked_by_a_session(tiny_app: str) -> None:
    """Or the profile that one has chosen would count for all others who name none."""
    body = {"data": [], "fn_index": number_of(tiny_app, None)}
    assert httpx.post(f"{tiny_app}gradio_api/run/predict", json=body).status_code == 422
    with opened(tiny_app, "p") as http:
        assert (
            http.post("gradio_api/run/predict", json={**body, "session_hash": "p"}).status_code
            == 200
        )


# Generated calls
# ------------------------------------------------------------------------------------

ODD = st.sampled_from(["NaN", "-Infinity", "1e999", '"\\ud800"', "1" * 400, "[" * 300 + "]" * 300])
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(-9, 9)
    | st.text(max_size=50)
    | st.sampled_from(VALUES)
)
TREES = st.recursive(
    PLAIN, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=8), x, max_size=4)
)
VALUE = TREES.map(json.dumps) | ODD
SESSION = st.just('"fuzz"') | VALUE
NAMES = "fn_index", "event_data", "trigger_id", "event_id", "batched", "simple_format"
PARTS = st.fixed_dictionaries({}, optional={"session_hash": SESSION} | dict.fromkeys(NAMES, VALUE))


@settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(data=st.data())
def test_no_call_is_an_error_of_the_server(tiny_page: Any, data: st.DataObject) -> None:
    page, address = tiny_page
    number = data.draw(st.sampled_from(sorted(page.fns)))
    count, name = len(page.fns[number].inputs), page.fns[number].api_name
    route = data.draw(
        st.sampled_from(["queue/join", "run/predict", f"call/{name}", "cancel", "reset"])
    )
    parts = {"fn_index": str(number)} | data.draw(PARTS)
    parts["data"] = f"[{', '.join(data.draw(st.lists(VALUE, min_size=count, max_size=count)))}]"
    body = (
        "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in parts.items()) + "}"
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Forwarded-For": f"192.0.2.{data.draw(st.integers(1, 250))}",
    }
    answer = httpx.post(
        f"{address}gradio_api/{route}", content=body, headers=headers, timeout=HANGS
    )
    assert answer.status_code < 500 or "queue is full" in answer.text, body
