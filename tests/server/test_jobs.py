"""Work that a page waits for: who reads no more has ended it."""

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from tests.makers.detectors import BlockedDetector, tiny_detector
from tests.makers.pictures import encode, photo
from tests.serving import HANGS
from ui.cancellation import Superseded, new_token
from ui.jobs import Job, Waiting, examine_in_turns
from ui.server.turns import EACH, MODEL, Priority, Turns, current_client


def counted(numbers: int) -> Any:
    """Work that yields so many numbers."""
    return lambda job: iter(range(numbers))


def test_a_page_reads_events_in_their_order_and_as_who_has_asked(answer: Any) -> None:
    answer("page", "192.0.2.1")
    assert list(Job(new_token("detect"), counted(20)).read()) == list(range(20))
    clients = Job(new_token("detect"), lambda job: iter([current_client()])).read()
    assert list(clients) == [current_client()]


def test_an_error_of_the_work_is_raised_to_its_reader_and_keeps_no_pixels(answer: Any) -> None:
    answer("page")
    kept: list[weakref.ref[Any]] = []

    def work(job: Job[int]) -> Iterator[int]:
        pixels = np.zeros((10, 10))
        kept.append(weakref.ref(pixels))
        yield 1
        raise ValueError("broken")

    read = Job(new_token("detect"), work).read()
    assert next(read) == 1
    gc.disable()
    try:
        with pytest.raises(ValueError, match="broken") as raised:
            next(read)
        del raised
        assert kept[0]() is None
    finally:
        gc.enable()


def test_work_that_was_replaced_makes_no_further_look(answer: Any) -> None:
    answer("page")
    looks, go_on, over = list[int](), threading.Event(), threading.Event()

    def work(job: Job[int]) -> Iterator[int]:
        try:
            for look in range(10):
                with job.enter(MODEL, Priority.VERDICT):
                    looks.append(look)
                yield look
                go_on.wait(HANGS)
        finally:
            over.set()

    read = Job(new_token("detect"), work).read()
    assert next(read) == 0
    new_token("detect")
    go_on.set()
    with pytest.raises(Superseded):
        list(read)
    assert over.wait(HANGS)
    assert len(looks) <= 2


def test_work_whose_reader_left_ends_where_it_waits(answer: Any) -> None:
    answer("page")
    over = threading.Event()

    def work(job: Job[Any]) -> Iterator[Any]:
        try:
            with job.enter(MODEL, Priority.VERDICT):
                yield "in"
        finally:
            over.set()

    with MODEL.enter(Priority.VERDICT):
        read = Job(new_token("detect"), work).read()
        assert next(read) == Waiting(0)  # what is before is of the same page
        read.close()  # type: ignore[attr-defined]
        assert over.wait(HANGS)
    with MODEL.enter(Priority.VERDICT):  # nobody has been left inside
        pass


def test_only_work_that_holds_nothing_yet_is_refused(answer: Any) -> None:
    """What is half done goes on, however many wait."""
    answer("page", "192.0.2.1")
    outer, inner = Turns(), Turns()

    def nested(job: Job[str]) -> Iterator[str]:
        with job.enter(outer, Priority.VERDICT), job.enter(inner, Priority.VERDICT):
            yield "in"

    def alone(job: Job[str]) -> Iterator[str]:
        with job.enter(inner, Priority.VERDICT):
            yield "in"

    with inner.enter(Priority.VERDICT):
        waiting = [inner.ask(Priority.VERDICT) for _ in range(EACH)]
        with pytest.raises(gr.Error, match="your own requests"):
            next(Job(new_token("alone"), alone).read())
        half_done = Job(new_token("nested"), nested).read()
        assert isinstance(next(half_done), Waiting)
    for turn in waiting:
        with turn:
            pass
    assert [event for event in half_done if not isinstance(event, Waiting)] == ["in"]


def test_the_model_is_free_while_a_picture_is_decoded(
    answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And while it is searched for marks."""
    from causalclip.examination import stages

    answer("page")
    path = tmp_path / "a.png"
    path.write_bytes(encode(photo(200, 160), "PNG"))
    decodes, go_on = threading.Event(), threading.Event()
    load = stages.load_image

    def slow(*given: Any) -> Any:
        decodes.set()
        go_on.wait(HANGS)
        return load(*given)

    monkeypatch.setattr(stages, "load_image", slow)
    detector = tiny_detector()

    def work(job: Job[Any]) -> Iterator[Any]:
        yield from examine_in_turns(job, path, lambda: detector, part=None)

    read = Job(new_token("detect"), work).read()
    found = [next(read)]
    assert decodes.wait(HANGS)
    with MODEL.enter(Priority.CALIBRATION):
        pass
    go_on.set()
    found += [event for event in read if not isinstance(event, Waiting)]
    assert [event.stage.name for event in found][:2] == ["CLAIMS", "VERDICT"]
    assert found[-1].stage.name == "DONE"


def test_a_blocked_look_does_not_keep_a_newer_request_waiting(answer: Any, tmp_path: Path) -> None:
    """The page hears at once that the older one has ended."""
    answer("page")
    path = tmp_path / "a.png"
    path.write_bytes(encode(photo(200, 160), "PNG"))
    detector = BlockedDetector()

    def work(job: Job[Any]) -> Iterator[Any]:
        yield from examine_in_turns(job, path, lambda: detector, part=None)  # type: ignore[arg-type, return-value]

    read = Job(new_token("detect"), work).read()
    next(read)
    try:
        assert detector.begun.wait(HANGS)
        new_token("detect")
        with pytest.raises(Superseded):
            list(read)
        assert not detector.ended.is_set()
    finally:
        detector.let.set()
