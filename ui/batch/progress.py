"""How far a batch is, in words."""

from __future__ import annotations

import time
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from causalclip.examine.batch import Done
    from ui.batch.kept import Batch


class Clock:
    """When the table is to be drawn again, and how long the rest will take."""

    def __init__(self) -> None:
        self._drawn = float("-inf")
        self._since, self._checked = time.perf_counter(), 0

    def count(self, done: Done, batch: Batch) -> None:
        """Notes a row."""
        if done.examination is None:
            return
        if not self._checked:  # the first check: from here on, their time counts
            self._since = time.perf_counter()
        self._checked += 1

    def due(self, pause: float) -> bool:
        """Whether the last drawing is so many seconds ago."""
        now = time.perf_counter()
        if now - self._drawn < pause:
            return False
        self._drawn = now
        return True

    def words(self, batch: Batch) -> str:
        """First how many have an answer, then how many are checked."""
        seconds = time.perf_counter() - self._since
        if not self._checked:
            return progress(batch.answered, batch.total, seconds, what="have an answer")
        left = batch.total - batch.done
        about = f", {_about(seconds / self._checked * left)} left" if left and self._checked > 1 else ""
        return f"All have an answer. Checked whether it survives: {batch.done} of {batch.total}{about}."


def progress(done: int, total: int, seconds: float, *, what: str = "done") -> str:
    """`done` of `total` after `seconds`, and how long the others will take if they are like these."""
    said = f"{done} of {total} {what}"
    if not 0 < done < total:
        return f"{said}."
    return f"{said}, {_about(seconds / done * (total - done))} left."


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(5, 5 * ceil(seconds / 5))} seconds"
    return f"about {ceil(seconds / 60)} minutes"
