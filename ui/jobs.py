"""Jobs: work that a page waits for, done in a thread of its own while the page reads its events.

A job asks for each place and for the model when it needs one, and gives it back as soon as it can.
Where nobody reads any more, or the answer is no longer wanted, it ends where it waits or at its
next step.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from causalclip.examination.stages import examine
from causalclip.images.formats import Box
from ui.cancellation import CancellationToken, Superseded
from ui.detector import DeferredDetector, queue_detector
from ui.server.turns import DECODED, FILES, PATIENCE, PICTURES, Priority, Turn, Turns

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.examination.result import Examination

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event: the job waits, and `before` others go in first."""

    before: int


@dataclass(frozen=True, slots=True)
class _Ended:
    """The last event, with the error that has ended the work."""

    error: BaseException | None


class Job(Generic[T]):
    """One piece of work for one request of a page.

    Args:
        token: of the request; the work ends once it is no longer the newest.
        work: work(job) yields events; it asks the job for what it needs.
    """

    def __init__(self, token: CancellationToken, work: Callable[[Job[T]], Iterator[T]]) -> None:
        self._token = token
        self._work = work
        # One event at a time: each may hold a drawing, and the page may be slow.
        self._events: queue.Queue[Any] = queue.Queue(maxsize=1)
        self._is_left = threading.Event()
        self._held = 0  # turns that the work has now

    def read(self) -> Iterator[T | Waiting]:
        """Start the work, and yield its events.

        Raises:
            Superseded: the answer is no longer wanted; the work may still be in its last step.
            Exception: whatever the work raises.
        """
        # The thread knows, as this one does, who asks and in which language.
        threading.Thread(target=copy_context().run, args=(self._run,), daemon=True).start()
        try:
            while not isinstance(event := self._next_event(), _Ended):
                yield event
            try:
                if event.error is not None:
                    raise event.error
            finally:
                del event  # it would hold the error, and the pixels in its traceback
        finally:
            self._is_left.set()

    def show(self, waiting: Callable[[int], T]) -> Iterator[T]:
        """Yield the events as `read` does, with waiting(before) for each Waiting."""
        for event in self.read():
            yield waiting(event.before) if isinstance(event, Waiting) else event

    def check(self) -> None:
        """Raise Superseded where nobody waits for the answer any more."""
        if self._is_left.is_set():
            raise Superseded
        self._token.check()

    @contextmanager
    def enter(self, turns: Turns, priority: Priority) -> Iterator[Turn]:
        """Hold a turn in a `with`, once it is in; tell the page meanwhile how many are before it.

        Raises:
            Superseded: nobody waits for the answer any more.
            gr.Error: too many wait.
        """
        self.check()
        with turns.ask(priority, may_refuse=not self._held) as turn:
            for before in turn.waits():
                self.check()
                if self._events.empty():
                    self._tell(Waiting(before))
            self.check()
            self._held += 1
            try:
                yield turn
            finally:
                self._held -= 1

    def _next_event(self) -> Any:
        """Return the next event; raise Superseded once the answer is no longer wanted."""
        while True:
            try:
                return self._events.get(timeout=PATIENCE)
            except queue.Empty:
                self._token.check()

    def _run(self) -> None:
        """Do the work, and tell the page each event and how it has ended."""
        try:
            for event in self._work(self):
                self._tell(event)
            ended = _Ended(None)
        except BaseException as error:  # Superseded, too
            ended = _Ended(error)
        try:
            self._tell(ended)
        except Superseded:
            return
        finally:
            del ended  # the error's traceback has this frame: they would hold each other

    def _tell(self, event: Any) -> None:
        """Hand an event to the page once it has taken the last one; raise Superseded where it
        reads no more."""
        while not self._is_left.is_set():
            try:
                self._events.put(event, timeout=PATIENCE)
            except queue.Full:
                continue
            return
        raise Superseded


def examine_in_turns(
    job: Job[Examination], source: Path, load: Callable[[], Detector], *, part: Box | None
) -> Iterator[Examination]:
    """Yield the examination after each stage, each stage in its turn.

    What a file says waits for no model. Few pictures are decoded at once, and the model is held
    for one look. A verdict goes in before the copies of other pictures.

    Args:
        load: returns the loaded detector; asked once the model is needed.
        part: as of `examine`.
    """
    detector = queue_detector(cast("Detector", DeferredDetector(load)), enter=job.enter)
    stages = examine(source, detector, part=part)
    # 1. What the file says.
    with job.enter(FILES, Priority.VERDICT):
        claims = next(stages)
    yield claims
    # 2. The verdict, with all pixels in memory.
    with job.enter(DECODED, Priority.VERDICT):
        with job.enter(PICTURES, Priority.VERDICT):
            verdict = next(stages)
        yield verdict
        # 3. The copies, of small pixels.
        yield from stages
