"""Pauses in long work, so that a server can let others in or end a run that nobody waits for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_pause: ContextVar[Callable[[], object]] = ContextVar("pause", default=lambda: None)


def pause() -> None:
    """Pause between two parts of long work; raise what the caller's own function raises, to
    end it."""
    _pause.get()()


@contextmanager
def pausing(work: Callable[[], object]) -> Iterator[None]:
    """What runs inside, in this thread, calls `work` between its parts."""
    before = _pause.set(work)
    try:
        yield
    finally:
        _pause.reset(before)
