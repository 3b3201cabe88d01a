"""Jobs: whatever waits for a place or for the model, for the page and for programs alike.

A job works in a thread of its own while somebody reads its events. It asks for each place when it
needs one and gives it back as soon as it can; the model is held for one look. Where nobody reads
any more, or the answer is no longer wanted, it ends where it waits or at its next step.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import gradio as gr

from causalclip.examination.result import Stage
from causalclip.examination.stages import examine
from causalclip.images.formats import Box
from ui.places import DECODED, FILES, MODEL, PATIENCE, PICTURES, Place, Priority
from ui.server.memory import give_back_memory
from ui.server.senders import current_client

if TYPE_CHECKING:
    import numpy as np

    from causalclip.detector import Detector
    from causalclip.examination.result import Examination

S = TypeVar("S")
T = TypeVar("T")
COPIES_OF_A_LOOK = 3  # copies of a picture that are judged before the model is given back
LEFT = "Nobody waits for this answer any more."
_running: set[Job[Any]] = set()
_lock = threading.Lock()


class Cancelled(BaseException):
    """Nobody waits for the answer any more.

    As with asyncio.CancelledError, nothing that handles errors may take it for one.
    """


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event: the job waits, and `before` others go in first."""

    before: int


@dataclass(frozen=True, slots=True)
class _Ended:
    """The last event, with the error that has ended the work."""

    error: BaseException | None


class Job(Generic[T]):
    """One piece of work for whoever is being answered.

    Args:
        work: work(job) yields events; it asks the job for what it needs.
        is_wanted: returns whether the answer is still wanted; asked between steps.
    """

    def __init__(
        self, work: Callable[[Job[T]], Iterator[T]], is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        self.client = current_client()
        self._work = work
        self._is_wanted = is_wanted
        # One event at a time: each may hold a drawing, and the page may be slow.
        self._events: queue.Queue[Any] = queue.Queue(maxsize=1)
        self._is_cancelled = threading.Event()
        self._held = 0  # places that the work has now

    # Whoever waits for it ------------------------------------------------------------------------

    def read(self) -> Iterator[T | Waiting]:
        """Start the work, and yield its events.

        Raises:
            Cancelled: the answer is no longer wanted; the work may still be in its last step.
            Exception: whatever the work raises.
        """
        with _lock:
            _running.add(self)
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
            self.cancel()

    def show(self, waiting: Callable[[int], T]) -> Iterator[T]:
        """Yield the events as `read` does, with waiting(before) for each Waiting that comes before
        all others: what is shown by then stays."""
        has_begun = False
        for event in self.read():
            if not isinstance(event, Waiting):
                has_begun = True
                yield event
            elif not has_begun:
                yield waiting(event.before)

    def last(self, waiting: Callable[[int], S]) -> Generator[S, None, T]:
        """Yield waiting(before) for each Waiting, and return the last event."""
        for event in self.read():
            if isinstance(event, Waiting):
                yield waiting(event.before)
            else:
                last = event
        return last

    def result(self) -> T:
        """Do the work and return its last event.

        Raises:
            gr.Error: nobody waits for it any more.
            Exception: whatever the work raises.
        """
        try:
            for event in self.read():
                last = event
        except Cancelled:
            raise gr.Error(LEFT, print_exception=False) from None
        assert not isinstance(last, Waiting)  # the work has yielded something
        return last

    def cancel(self) -> None:
        """End the work where it waits or at its next step."""
        self._is_cancelled.set()
        with _lock:
            _running.discard(self)

    def _next_event(self) -> Any:
        """Return the next event; raise Cancelled once the answer is no longer wanted."""
        while True:
            try:
                return self._events.get(timeout=PATIENCE)
            except queue.Empty:
                self.check()

    # The work ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise Cancelled where nobody waits for the answer any more."""
        if self._is_cancelled.is_set() or not self._is_wanted():
            raise Cancelled

    @contextmanager
    def enter(self, place: Place, priority: Priority) -> Iterator[None]:
        """Hold a place in a `with`, once the job is in; tell the reader meanwhile how many are
        before it.

        Raises:
            Cancelled: nobody waits for the answer any more.
            QueueFull: too many wait.
        """
        self.check()
        with place.ask(priority, may_refuse=not self._held) as stay:
            for before in stay.waits():
                self.check()
                if self._events.empty():
                    self._tell(Waiting(before))
            self.check()
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1
                # Not between two places: what comes next would take the same memory anew.
                if place.holds_picture and not self._held:
                    give_back_memory()

    def step(self, place: Place, priority: Priority, items: Iterator[S]) -> Iterator[S]:
        """Yield the items; a place is held while each is made, and given back between two."""
        end = object()
        with closing(items):
            while True:
                with self.enter(place, priority):
                    item = next(items, end)
                if item is end:
                    return
                yield cast("S", item)

    def look_by_look(
        self, load: Callable[[], Detector], verdict: Priority = Priority.VERDICT
    ) -> Detector:
        """Return a detector whose every look at a picture, or at a few copies of one, waits for
        the model.

        Args:
            load: returns the loaded detector; asked once a look is needed.
            verdict: how urgent a whole verdict is.
        """
        return cast("Detector", _LookByLook(self, load, verdict))

    def _run(self) -> None:
        """Do the work, and tell the reader each event and how it has ended."""
        try:
            with closing(self._work(self)) as events:
                for event in events:
                    self._tell(event)
            ended = _Ended(None)
        except BaseException as error:  # Cancelled, too
            ended = _Ended(error)
        try:
            self._tell(ended)
        except Cancelled:
            return
        finally:
            del ended  # the error's traceback has this frame: they would hold each other

    def _tell(self, event: Any) -> None:
        """Hand an event to the reader once it has taken the last one; raise Cancelled where nobody
        reads any more."""
        while not self._is_cancelled.is_set():
            try:
                self._events.put(event, timeout=PATIENCE)
            except queue.Full:
                continue
            return
        raise Cancelled


@contextmanager
def closing(items: Iterator[S]) -> Iterator[Iterator[S]]:
    """Close a generator at the end of a `with`, whoever else may still hold it."""
    try:
        yield items
    finally:
        if isinstance(items, Generator):
            items.close()


class _LookByLook:
    """A detector whose every look waits for the model."""

    def __init__(self, job: Job[Any], load: Callable[[], Detector], verdict: Priority) -> None:
        self._job = job
        self._load = load
        self._verdict = verdict

    def predict(self, pixels: np.ndarray) -> Any:
        detection = self._look(self._verdict, lambda: self._load().predict(pixels))
        return replace(detection, picture=None)  # sessions keep detections, not pixels

    def score(self, pixels: np.ndarray) -> Any:
        return self._look(self._verdict, lambda: self._load().score(pixels))

    def represent(self, pixels: np.ndarray) -> Any:
        return self._look(self._verdict, lambda: self._load().represent(pixels))

    def score_batch(self, pictures: Iterable[np.ndarray], **options: Any) -> list[Any]:
        verdicts: list[Any] = []
        pictures_left = iter(pictures)
        while copies := list(itertools.islice(pictures_left, COPIES_OF_A_LOOK)):
            judge = partial(self._load().score_batch, copies, **options)
            verdicts += self._look(Priority.STABILITY, judge)
        return verdicts

    def _look(self, priority: Priority, look: Callable[[], Any]) -> Any:
        """Return what a look gives, once the model is free for it."""
        with self._job.enter(MODEL, priority):
            return look()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


def run_job(function: Callable[[Job[T]], T]) -> T:
    """Return function(job), done in a job; raises as `Job.result` does."""
    return Job[T](lambda job: iter([function(job)])).result()


def run_in(place: Place, priority: Priority, function: Callable[[], T]) -> T:
    """Return function(), done in a job that holds a place meanwhile."""

    def work(job: Job[T]) -> T:
        with job.enter(place, priority):
            return function()

    return run_job(work)


def cancel_jobs(session: str) -> None:
    """End all jobs of a session: its page was closed, or its program has left."""
    with _lock:
        theirs = [job for job in _running if job.client.session == session]
    for job in theirs:
        job.cancel()


def examine_in_turns(
    job: Job[Any],
    source: Path | Callable[[], bytes],
    load: Callable[[], Detector],
    *,
    part: Box | None = None,
    until: Stage = Stage.DONE,
    name: str = "",
) -> Iterator[Examination]:
    """Yield the examination after each stage, each stage in its turn.

    What a file says waits for no model. Few pictures are decoded at once, and the model is held
    for one look. A verdict goes in before the copies of other pictures.

    Args:
        source: the path of a picture's file, or what reads it, once it is its turn.
        load: returns the loaded detector; asked once the model is needed.
        part, until, name: as of `examine`.
    """
    # 1. What the file says.
    with job.enter(FILES, Priority.VERDICT):
        file = source if isinstance(source, Path) else source()
        stages = examine(file, job.look_by_look(load), part=part, until=until, name=name)
        claims = next(stages)
    yield claims
    # 2. The verdict, with all pixels in memory.
    with job.enter(DECODED, Priority.VERDICT):
        with job.enter(PICTURES, Priority.VERDICT):
            verdict = next(stages)
        yield verdict
        # 3. The copies, of small pixels.
        yield from stages
