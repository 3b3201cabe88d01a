"""Runs that were overtaken show nothing more."""

import threading
from collections.abc import Iterator
from typing import Any

import gradio as gr

from ui.panel import Panel, forget_requests, new_request


def test_only_the_newest_run_of_a_session_goes_on(answer: Any) -> None:
    answer("one")
    first, elsewhere = new_request("check"), new_request("mask")
    answer("two")
    other = new_request("check")
    answer("one")
    assert first.is_newest()
    second = new_request("check")
    assert not first.is_newest()
    assert all(request.is_newest() for request in (second, elsewhere, other))
    forget_requests("one")
    assert (second.is_newest(), elsewhere.is_newest(), other.is_newest()) == (False, False, True)


def test_a_request_that_was_overtaken_takes_no_turn(answer: Any) -> None:
    answer("late")
    newer, older = new_request("check", "200.5"), new_request("check", "100.5")
    assert newer.is_newest()
    assert not older.is_newest()
    assert new_request("check", "no number").is_newest()
    assert new_request("check", "inf").is_newest()


def test_a_superseded_run_yields_an_empty_update_and_is_closed(answer: Any) -> None:
    answer("closed")
    ended = []

    def updates() -> Iterator[dict[Any, Any]]:
        try:
            yield {"a": 1}
            yield {"a": 2}
        finally:
            ended.append(True)

    request = new_request("check")
    shown = request.shows(updates())
    assert next(shown) == {"a": 1}
    threading.Timer(
        0.2, lambda: next(shown, None)
    ).start()  # Gradio comes back once it has sent that
    new_request("check")
    assert list(shown) in ([], [gr.skip()])
    assert ended == [True]


def test_a_file_is_sent_apart_from_what_later_updates_change(answer: Any) -> None:
    """The page would take the path out of the field's own value, and lose the next click."""
    answer("files")
    with gr.Blocks():
        picture, report, words = gr.Image(), gr.DownloadButton(), gr.HTML()
    updates = [{picture: "a.png", report: None, words: "x"}, {picture: gr.update(visible=False)}]
    shown = list(new_request("check").shows(iter(updates)))
    file, nothing = gr.update(value="a.png"), gr.update(value=None)
    assert shown[0] == {picture: file, report: nothing, words: "x"}
    assert shown[1] == updates[1]


def test_an_overtaken_clear_does_not_blank_the_picture_that_came_after_it(answer: Any) -> None:
    """The page calls the run of a first step that was overtaken, with the newest number."""
    answer("overtaken")
    with gr.Blocks() as page:
        part, field = Panel("check"), gr.Textbox()
        part.off([field.change], lambda: {field: "blank"}, outputs=[field])
        part.on(
            [field.submit],
            lambda event: {field: "looking"},
            lambda request: iter([{field: "the answer"}]),
            begin_inputs=[],
            inputs=[],
            outputs=[field],
        )
    first_clear, clear, first_upload, upload = (f.fn for f in page.fns.values())
    event = gr.EventData(None, None)
    assert first_upload(event, "200")[field] == "looking"
    assert first_clear(event, "100") == gr.skip()
    assert list(clear("200")) == [gr.skip()]
    ((answered, mark),) = (dict(update).items() for update in upload("200"))
    assert answered == (field, "the answer")
    assert mark == (part.answered, "<i data-turn='200.0'></i>")  # whose answer it is, for the page
    assert list(upload("200")) == [gr.skip()]  # nor is anything answered twice
    assert list(upload("no number")) == [gr.skip()]
