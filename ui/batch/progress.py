"""How far a batch is, in words."""

from __future__ import annotations

import time
from math import ceil
from typing import TYPE_CHECKING

from causalclip.languages import N_, _, ngettext, number

if TYPE_CHECKING:
    from causalclip.examine.batch import Done
    from ui.batch.kept import Batch


ANSWERED = N_("{done} of {total} have an answer.")
ANSWERED_LEFT = N_("{done} of {total} have an answer, {about} left.")
CHECKED = N_("All have an answer. Checked whether it survives: {done} of {total}.")
CHECKED_LEFT = N_("All have an answer. Checked whether it survives: {done} of {total}, {about} left.")


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
            return progress(batch.answered, batch.total, seconds)
        left = batch.total - batch.done
        about = _about(seconds / self._checked * left) if left and self._checked > 1 else ""
        said = CHECKED_LEFT if about else CHECKED
        return _(said, done=number(batch.done), total=number(batch.total), about=about)


def how_far(batch: Batch) -> str:
    """How many have an answer, or, where all have, how many are checked."""
    if batch.answered < batch.total or not batch.total:
        return _(ANSWERED, done=number(batch.answered), total=number(batch.total))
    return _(CHECKED, done=number(batch.done), total=number(batch.total))


def progress(done: int, total: int, seconds: float) -> str:
    """`done` of `total` have an answer after `seconds`, and how long the others take if they are like these."""
    about = _about(seconds / done * (total - done)) if 0 < done < total else ""
    return _(ANSWERED_LEFT if about else ANSWERED, done=number(done), total=number(total), about=about)


def _about(seconds: float) -> str:
    if seconds < 90:
        return ngettext("about {n} second", "about {n} seconds", max(5, 5 * ceil(seconds / 5)))
    return ngettext("about {n} minute", "about {n} minutes", ceil(seconds / 60))
