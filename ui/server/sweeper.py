"""Deletes files that have grown old, whoever made them, in a thread of its own.

Gradio's own deletion (`delete_cache`, 6.31) is not enough for a promise. It walks the sets of files that the page's
components know: what is answered as `gr.update(value=...)` belongs to a component that is not among them, and is never
deleted, not even at the end. And its task ends for good, silently, at the first error, such as a set that another
thread adds to at that moment. So what counts here is the folder, and no error ends the sweeping.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

log = logging.getLogger(__name__)


def sweep(folder: Path, *, older_than: float, now: float, spare: Collection[Path] = ()) -> None:
    """Deletes what is in `folder`, at any depth, and was last changed more than `older_than` seconds before `now`.

    Empty folders go by the same rule. A link is deleted itself and never followed; `spare` and what is in it stays.
    What cannot be deleted now is left to the next call.
    """
    spared = [os.path.abspath(path) for path in spare]
    for entry in _entries(folder):
        if os.path.abspath(entry.path) in spared:
            continue
        try:
            old = _age(entry, now) > older_than  # before the files in it go, which changes a folder's own time
            if entry.is_dir(follow_symlinks=False):
                sweep(Path(entry.path), older_than=older_than, now=now, spare=spare)
                if old and not _entries(entry.path):
                    os.rmdir(entry.path)
            elif old:
                os.unlink(entry.path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("An old file could not be deleted yet: %s", type(error).__name__)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []  # gone, or not ours to read


def _age(entry: os.DirEntry[str], now: float) -> float:
    """Seconds since the last change of content or name.

    Both times, because a copy may carry its source's mtime, and ctime is the day of creation on Windows. A file from
    the future, after the clock was set back, counts by its distance: it would stay for good.
    """
    stat = entry.stat(follow_symlinks=False)
    return abs(now - max(stat.st_mtime, stat.st_ctime))


class Sweeper:
    """Sweeps a folder again and again until it is stopped.

    limit: seconds that a file may live; it is gone after limit + `period` at most.
    chores: called after every round; an error in one ends nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit: float,
        spare: Collection[Path] = (),
        chores: Collection[Callable[[], None]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.limit, self.spare, self.chores = folder, limit, tuple(spare), tuple(chores)
        self.period = min(10.0, limit / 4)
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops it, and waits until a round that has begun is over."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def round(self) -> None:
        """One round, now."""
        self._try(lambda: sweep(self.folder, older_than=self.limit, now=self._clock(), spare=self.spare))
        for chore in self.chores:
            self._try(chore)

    def _try(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # the next round must come; a message may hold a file's name
            log.error("Sweeping failed: %s", type(error).__name__)

    def _run(self) -> None:
        while not self._stopped.wait(self.period):
            self.round()
