"""One picture at a time in the model, and the most urgent first."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from causalclip.evidence.stability import check_stability
from tests.conftest import HANGS
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo
from ui.server.gate import MODEL, Gate, Priority, gated


def test_the_urgent_go_first_and_equals_in_order() -> None:
    gate, went = Gate(), []
    inside = gate.enter(Priority.ATTACK)
    wishes = [Priority.STABILITY, Priority.VERDICT, Priority.ATTACK, Priority.VERDICT]
    tickets = [gate.ask(priority) for priority in wishes]
    assert [gate.before(ticket) for ticket in tickets] == [3, 1, 4, 2]
    gate.leave(inside)
    while left := [t for t in tickets if t not in went]:
        (admitted,) = [t for t in left if gate.admitted(t, 0)]
        went.append(admitted)
        gate.leave(admitted)
    assert [tickets.index(ticket) for ticket in went] == [1, 3, 0, 2]


def test_one_that_gives_up_makes_room() -> None:
    gate = Gate(2)
    with gate.enter(Priority.VERDICT), gate.enter(Priority.VERDICT):
        with gate.ask(Priority.VERDICT) as waiting:
            assert next(waiting.waits(0.01)) == 2
        last = gate.ask(Priority.ATTACK)
        assert gate.before(last) == 2
    assert list(last.waits()) == []
    gate.leave(last)


def test_an_error_inside_opens_the_gate() -> None:
    gate = Gate()
    with pytest.raises(ValueError, match="bad"), gate.enter(Priority.VERDICT):
        raise ValueError("bad")
    assert list(gate.ask(Priority.VERDICT).waits(0.01)) == []


def test_a_verdict_overtakes_a_stability_check() -> None:
    """The check of nine copies gives the gate back between its looks."""
    looks, first = [], threading.Event()
    tiny = tiny_detector()

    class Slow:
        def judge_all(self, pictures: list[np.ndarray], **options: Any) -> Any:
            looks.extend(["copy"] * len(pictures))
            first.set()
            time.sleep(0.05)
            return tiny.judge_all(pictures, **options)

        def predict(self, pixels: np.ndarray) -> Any:
            looks.append("verdict")
            return tiny.predict(pixels)

        def __getattr__(self, name: str) -> Any:
            return getattr(tiny, name)

    pixels, detector = photo(96, 72), gated(Slow())  # type: ignore[arg-type]
    check = threading.Thread(target=check_stability, args=(detector, pixels, tiny.predict(pixels)))
    check.start()
    assert first.wait(HANGS)
    detector.predict(pixels)
    check.join()
    assert looks.count("copy") == 9
    assert looks.index("verdict") < 4


def test_a_check_that_is_not_wanted_any_more_ends_between_two_looks() -> None:
    class Enough(Exception):
        pass

    looks = []

    def check() -> None:
        looks.append(1)
        if len(looks) > 3:
            raise Enough

    tiny, pixels = tiny_detector(), photo(96, 72)
    with pytest.raises(Enough):
        check_stability(gated(tiny, check=check), pixels, tiny.predict(pixels))
    with MODEL.ask(Priority.ATTACK) as ticket:  # and the gate is open
        assert list(ticket.waits(0.01)) == []
