"""The model's door: one picture at a time goes in, and of those that wait the most urgent one first.

Gradio's own queue knows neither priorities nor the number of those before you, so the page's events run side by side
and wait here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np

    from causalclip.detector import Detector

PATIENCE = 0.5  # seconds after which one that waits hears how many are before it
TOGETHER = 3  # copies of a picture that are judged before the gate is given back
HELD = 2  # pictures that are decoded at once: one at the model, one on its way there


class Priority(IntEnum):
    """What goes in first."""

    VERDICT = 0
    MAP = 1  # needs no model, but drawn beside it would keep others from their verdicts
    BATCH = 2
    STABILITY = 3
    ATTACK = 4
    YARDSTICK = 5


class Gate:
    """Lets `width` tickets in at once; of those that wait, the lowest priority number first, then who came first."""

    def __init__(self, width: int = 1) -> None:
        self.width = width
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: list[Ticket] = []
        self._inside: list[Ticket] = []

    def ask(self, priority: Priority) -> Ticket:
        """A ticket, to be used in a `with`: it waits from here on, and is in once its `waits` has ended."""
        with self._changed:
            ticket = Ticket(self, priority, next(self._numbers))
            self._waiting.append(ticket)
            self._admit()
        return ticket

    def enter(self, priority: Priority) -> Ticket:
        """`ask`, and wait until it is in."""
        ticket = self.ask(priority)
        for _ in ticket.waits():
            pass
        return ticket

    def before(self, ticket: Ticket) -> int:
        """How many are in or go in before this one."""
        with self._changed:
            return len(self._inside) + sum(other.order < ticket.order for other in self._waiting)

    def admitted(self, ticket: Ticket, seconds: float) -> bool:
        """Whether it is in, after so many seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: ticket in self._inside, seconds)

    def leave(self, ticket: Ticket) -> None:
        """Makes room for the next; also for one that waits no longer."""
        with self._changed:
            for tickets in (self._waiting, self._inside):
                if ticket in tickets:
                    tickets.remove(ticket)
            self._admit()

    def _admit(self) -> None:
        while self._waiting and len(self._inside) < self.width:
            ticket = min(self._waiting, key=lambda ticket: ticket.order)
            self._waiting.remove(ticket)
            self._inside.append(ticket)
        self._changed.notify_all()


class Ticket:
    """A place before or inside the gate. order: smaller goes in first."""

    def __init__(self, gate: Gate, priority: Priority, number: int) -> None:
        self._gate = gate
        self.order = (int(priority), number)

    def waits(self, seconds: float = PATIENCE) -> Iterator[int]:
        """Yields, every so many seconds until it is in, how many go in before it."""
        while not self._gate.admitted(self, seconds):
            yield self._gate.before(self)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.leave(self)


MODEL = Gate()
PICTURES = Gate(HELD)
ATTACKS = Gate(HELD)  # runs of Purify, which take long and hold small pictures: nobody else waits for one to end


class _Gated:
    """A detector whose every look at a picture, or at a few copies of one, goes through the gate alone."""

    def __init__(self, detector: Detector, verdict: Priority, check: Callable[[], None]) -> None:
        self._detector, self._verdict, self._check = detector, verdict, check

    def predict(self, pixels: np.ndarray) -> Any:
        return self._alone(self._verdict, lambda: self._detector.predict(pixels))

    def judge(self, pixels: np.ndarray) -> Any:
        return self._alone(self._verdict, lambda: self._detector.judge(pixels))

    def judge_all(self, pictures: Iterable[np.ndarray], **options: Any) -> list[Any]:
        found, left = [], iter(pictures)
        while few := list(itertools.islice(left, TOGETHER)):
            found += self._alone(Priority.STABILITY, partial(self._detector.judge_all, few, **options))
        return found

    def _alone(self, priority: Priority, look: Callable[[], Any]) -> Any:
        self._check()
        with MODEL.enter(priority):
            self._check()
            return look()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)


def gated(
    detector: Detector, *, verdict: Priority = Priority.VERDICT, check: Callable[[], None] = lambda: None
) -> Detector:
    """The detector, which gives the gate back between its looks: re-encoded copies wait behind anybody's verdict.

    Args:
        verdict: how urgent a whole verdict is.
        check: called before each picture; ends the work by what it raises.
    """
    return cast("Detector", _Gated(detector, verdict, check))
