"""Deletes files that have grown old, whoever made them, in a thread of its own.

Gradio's own deletion (`delete_cache`, 6.31) is not enough for a promise. It walks the sets of files that the page's
components know: what is answered as `gr.update(value=...)` belongs to a component that is not among them, and is never
deleted, not even at the end. And its task ends for good, silently, at the first error, such as a set that another
thread adds to at that moment. So what counts here is the folder, and no error ends the sweeping.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

log = logging.getLogger(__name__)


def sweep(folder: Path, *, older_than: float, now: float, spare: Path | None = None) -> None:
    """Deletes what is in `folder`, at any depth, and was last changed more than `older_than` seconds before `now`.

    Empty folders go by the same rule. A link is deleted itself and never followed; `spare` and what is in it stays.
    What cannot be deleted now is left to the next call.
    """
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(root, name) != str(spare)]
        found += (os.path.join(root, name) for name in (*folders, *files))
    # The ages of all first: what is deleted in a folder changes its own time. What is in a folder goes before it.
    for path in reversed([path for path in found if _age(path, now) > older_than]):
        try:
            (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTEMPTY}:
                log.warning("An old file could not be deleted yet: %s", type(error).__name__)


def _age(path: str, now: float) -> float:
    """Seconds since the last change of content or name; 0 where it is gone.

    Both times, because a copy may carry its source's mtime, and ctime is the day of creation on Windows. A file from
    the future, after the clock was set back, counts by its distance: it would stay for good.
    """
    try:
        stat = os.lstat(path)
    except OSError:
        return 0.0
    return abs(now - max(stat.st_mtime, stat.st_ctime))


class Sweeper(threading.Thread):
    """Sweeps a folder again and again, for as long as the process lives.

    limit: seconds that a file may live; it is gone after limit + `period` at most.
    chores: called first in every round; an error in one ends nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit: float,
        spare: Path | None = None,
        chores: Collection[Callable[[], None]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name="sweeper", daemon=True)
        self.chores = (*chores, lambda: sweep(folder, older_than=limit, now=clock(), spare=spare))
        self.limit = limit
        self.period = min(10.0, limit / 4)

    def round(self) -> None:
        """One round, now."""
        for chore in self.chores:
            try:
                chore()
            except Exception as error:  # the next round must come; a message may hold a file's name
                log.error("Sweeping failed: %s", type(error).__name__)

    def run(self) -> None:
        while True:
            time.sleep(self.period)
            self.round()
