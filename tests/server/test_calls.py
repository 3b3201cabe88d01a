"""What a call may hold: each field takes its own kind, and only what was read goes on."""

import json
from typing import Any

import gradio as gr
import pytest

from causalclip.images.zips import MAX_PICTURES
from ui.server.calls import Calls
from ui.server.senders import Refused
from ui.server.uploads import MAX_FILES, uploads
from ui.server.values import MAX_TEXT

PLACE = "ssrf-test.example"


def read(function: str, *values: Any, page: gr.Blocks, **more: Any) -> dict[str, Any]:
    call = Calls(page).read(json.dumps({"data": values, **more}).encode(), function)
    return dict(json.loads(call.model_dump_json()))


@pytest.fixture(scope="module")
def form() -> gr.Blocks:
    with gr.Blocks() as page:
        fields = [gr.Textbox(label="note", max_length=5), gr.Number(minimum=0, maximum=9)]
        fields += [gr.Checkbox(), gr.Dropdown(["a", "b"]), gr.State(), gr.Dropdown(["all"])]
        gr.on([], lambda *x: x, fields, None, api_name="form")
        gr.on([], lambda *x: x, fields, None, api_name="raw", preprocess=False)
        shelf = gr.HTML()
        shelf.click(lambda event: None, None, None, api_name="pick")
    return page


GOOD = "a", 1, True, "a", "all"


def test_a_program_calls_no_private_function_by_its_name() -> None:
    with gr.Blocks() as page:
        gr.on([], lambda *x: x, gr.Textbox(), None, api_name="then_2", api_visibility="private")
    with pytest.raises(Refused, match="no such function"):
        read("then_2", "a", page=page)
    assert read("", "a", page=page, fn_index=0, session_hash="page")["data"] == ["a"]


def test_a_newer_field_at_the_end_need_not_be_sent() -> None:
    with gr.Blocks() as page:
        gr.on([], lambda *x: x, [gr.Number(), gr.Textbox("")], None, api_name="detect")
    assert read("detect", 1, page=page)["data"] == [1, ""]
    assert read("detect", 1, "linear", page=page)["data"] == [1, "linear"]
    for values in ((), (1, "linear", 2)):
        with pytest.raises(Refused, match="takes 2 values"):
            read("detect", *values, page=page)


def test_a_text_is_no_longer_than_a_session_may_keep() -> None:
    with gr.Blocks() as page:
        gr.on([], lambda x: x, gr.Textbox(), None, api_name="number")
    assert read("number", "x" * MAX_TEXT, page=page)["data"] == ["x" * MAX_TEXT]
    with pytest.raises(Refused, match=f"text of at most {MAX_TEXT}"):
        read("number", "x" * (MAX_TEXT + 1), page=page)


def test_only_what_was_read_goes_on(form: gr.Blocks) -> None:
    sent = read("form", *GOOD, page=form, event_id="x", batched=True, trigger_id=1)
    assert sent["data"] == ["a", 1, True, "a", None, "all"]
    assert sent["trigger_id"] is None
    assert set(sent) == {"data", "session_hash", "fn_index", "trigger_id", "event_data"}


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (0, "longer", "note takes a text of at most 5"),
        (0, 7, "takes a text"),
        (1, "7", "takes a number"),
        (1, True, "takes a number"),
        (1, float("nan"), "no call|takes a number"),
        (1, 10**30, "takes a number"),
        (1, 10, "takes a number from 0 to 9"),
        (1, None, "takes a number from 0 to 9"),
        (2, "yes", "takes true or false"),
        (3, [["a"]], "takes a choice"),
        (3, PLACE, "takes one of its own choices"),
        (3, "../../a", "takes one of its own choices"),
        (4, "../x", "takes one of its own choices"),
    ],
)
@pytest.mark.parametrize("function", ["form", "raw"])
def test_a_field_takes_its_own_kind(
    form: gr.Blocks, function: str, place: int, value: Any, sentence: str
) -> None:
    """Also of a function that Gradio gives everything to as it came."""
    values = list(GOOD)
    values[place] = value
    with pytest.raises(Refused, match=sentence) as refused:
        read(function, *values, page=form)
    assert PLACE not in str(refused.value)


def test_a_choice_that_the_page_fills_later_takes_numbers(form: gr.Blocks) -> None:
    assert read("raw", *GOOD[:4], "312", page=form)["data"][5] == "312"
    assert read("raw", *GOOD[:3], None, "all", page=form)["data"][3] == form.fns[1].inputs[3].value


def test_a_click_that_does_not_say_on_what_was_on_nothing(form: gr.Blocks) -> None:
    for event in (None, {}, 7, *({"index": index} for index in (None, "x", True, -4, 10**400))):
        assert read("pick", page=form, event_data=event)["event_data"] == {"index": -1}
    clicked = {"index": 3, "value": {"path": "/x"}}
    assert read("pick", page=form, event_data=clicked)["event_data"] == {"index": 3}


def test_a_component_that_nobody_has_declared_is_not_served() -> None:
    with gr.Blocks() as page:
        gr.on([], lambda x: x, gr.Audio(), None)
    with pytest.raises(TypeError, match="Audio"):
        Calls(page)


def test_a_field_takes_fifty_files_and_batch_alone_its_200() -> None:
    """Whatever else a call holds: each path that is read is looked up later."""
    with gr.Blocks() as page:
        fields = [gr.File(file_count="multiple", elem_id=name) for name in ("other", "batch-files")]
        for field in fields:
            gr.on([], lambda files: files, field, None, api_name=field.elem_id)
    folder = f"{uploads()}/sent-{'a' * 16}-{1:019}-{'b' * 32}"
    files = [{"path": f"{folder}/{i}.jpg"} for i in range(MAX_PICTURES + 1)]
    assert len(read("other", files[:MAX_FILES], page=page)["data"][0]) == MAX_FILES
    assert len(read("batch-files", files[:-1], page=page)["data"][0]) == MAX_PICTURES
    for name, too_many in (("other", files[: MAX_FILES + 1]), ("batch-files", files)):
        with pytest.raises(Refused, match=f"at most {len(too_many) - 1} uploaded files"):
            read(name, too_many, page=page)
