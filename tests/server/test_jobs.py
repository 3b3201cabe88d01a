"""Work that a page waits for: who reads no more has ended it."""

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from tests.makers.detectors import BlockedDetector, tiny_detector
from tests.makers.pictures import encode, photo
from tests.serving import HANGS
from ui.jobs import Cancelled, Job, Waiting, cancel_jobs, examine_in_turns, run_in, run_job
from ui.places import MAX_WAITING_OF_ONE, MODEL, Place, Priority
from ui.server.senders import current_client


@contextmanager
def held(place: Place, priority: Priority) -> Iterator[None]:
    """A place that somebody else has."""
    with place.ask(priority) as stay:
        list(stay.waits())
        yield


def counted(numbers: int) -> Any:
    """Work that yields so many numbers."""
    return lambda job: iter(range(numbers))


def test_a_page_reads_events_in_their_order_and_as_who_has_asked(answer: Any) -> None:
    answer("page", "192.0.2.1")
    assert list(Job(counted(20)).read()) == list(range(20))
    clients = Job(lambda job: iter([current_client()])).read()
    assert list(clients) == [current_client()]


def test_an_error_of_the_work_is_raised_to_its_reader_and_keeps_no_pixels(answer: Any) -> None:
    answer("page")
    kept: list[weakref.ref[Any]] = []

    def work(job: Job[int]) -> Iterator[int]:
        pixels = np.zeros((10, 10))
        kept.append(weakref.ref(pixels))
        yield 1
        raise ValueError("broken")

    read = Job(work).read()
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
    is_replaced = threading.Event()

    def work(job: Job[int]) -> Iterator[int]:
        try:
            for look in range(10):
                with job.enter(MODEL, Priority.VERDICT):
                    looks.append(look)
                yield look
                go_on.wait(HANGS)
        finally:
            over.set()

    read = Job(work, lambda: not is_replaced.is_set()).read()
    assert next(read) == 0
    is_replaced.set()
    go_on.set()
    with pytest.raises(Cancelled):
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

    with held(MODEL, Priority.VERDICT):
        read = Job(work).read()
        assert next(read) == Waiting(0)  # what is before is of the same page
        read.close()  # type: ignore[attr-defined]
        assert over.wait(HANGS)
    with held(MODEL, Priority.VERDICT):  # nobody has been left inside
        pass


def test_an_answer_that_is_shown_stays_while_a_later_step_waits(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("page")
    events = [Waiting(2), "answer", Waiting(1), "more"]
    monkeypatch.setattr(Job, "read", lambda job: iter(events))
    shown = Job(lambda job: iter(())).show(lambda before: f"{before} before")
    assert list(shown) == ["2 before", "answer", "more"]


def test_the_jobs_of_a_session_that_has_left_end(answer: Any) -> None:
    """Others' go on."""
    go_on, steps = threading.Event(), list[str]()

    def work(job: Job[int]) -> Iterator[int]:
        while not go_on.wait(0.01):
            job.check()
        steps.append(job.client.session)
        yield 1

    answer("leaves")
    left = Job(work).read()
    ends = threading.Timer(0.2, cancel_jobs, ["leaves"])
    ends.start()
    with pytest.raises(Cancelled):
        next(left)
    answer("stays")
    stays = Job(work).read()
    threading.Timer(0.2, go_on.set).start()
    assert next(stays) == 1
    assert steps == ["stays"]


def test_a_function_in_a_job_holds_its_place_and_gives_it_back(answer: Any) -> None:
    answer("page", "192.0.2.1")
    assert run_in(MODEL, Priority.VERDICT, lambda: len(MODEL._inside)) == 1
    with pytest.raises(ZeroDivisionError):
        run_in(MODEL, Priority.VERDICT, lambda: 1 // 0)
    assert run_job(lambda job: len(MODEL._inside)) == 0


def test_between_two_steps_others_go_first(answer: Any) -> None:
    """A verdict waits for one step of long work at most."""
    answer("page", "192.0.2.1")
    went, first, go_on = list[str](), threading.Event(), threading.Event()

    def steps() -> Iterator[int]:
        for number in range(3):
            went.append(f"step {number}")
            first.set()
            go_on.wait(HANGS)
            yield number

    read = Job(lambda job: job.step(MODEL, Priority.ATTACK, steps())).read()
    reader = threading.Thread(target=list, args=(read,))
    reader.start()
    assert first.wait(HANGS)
    with MODEL.ask(Priority.VERDICT) as verdict:
        go_on.set()
        list(verdict.waits())
        went.append("verdict")
    reader.join(HANGS)
    assert went == ["step 0", "verdict", "step 1", "step 2"]


def test_only_work_that_holds_nothing_yet_is_refused(answer: Any) -> None:
    """What is half done goes on, however many wait."""
    answer("page", "192.0.2.1")
    outer, inner = Place(), Place()

    def nested(job: Job[str]) -> Iterator[str]:
        with job.enter(outer, Priority.VERDICT), job.enter(inner, Priority.VERDICT):
            yield "in"

    def alone(job: Job[str]) -> Iterator[str]:
        with job.enter(inner, Priority.VERDICT):
            yield "in"

    with held(inner, Priority.VERDICT):
        waiting = [inner.ask(Priority.VERDICT) for _ in range(MAX_WAITING_OF_ONE)]
        with pytest.raises(gr.Error, match="your own requests"):
            next(Job(alone).read())
        half_done = Job(nested).read()
        assert isinstance(next(half_done), Waiting)
    for stay in waiting:
        with stay:
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

    read = Job(work).read()
    found = [next(read)]
    assert decodes.wait(HANGS)
    with held(MODEL, Priority.CALIBRATION):
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
    is_replaced = threading.Event()

    def work(job: Job[Any]) -> Iterator[Any]:
        yield from examine_in_turns(job, path, lambda: detector, part=None)  # type: ignore[arg-type, return-value]

    read = Job(work, lambda: not is_replaced.is_set()).read()
    next(read)
    try:
        assert detector.begun.wait(HANGS)
        is_replaced.set()
        with pytest.raises(Cancelled):
            list(read)
        assert not detector.ended.is_set()
    finally:
        detector.let.set()
