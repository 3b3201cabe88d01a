"""Runs an examination stage by stage, each in its turn among all that the app is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from causalclip.examination.result import Stage
from ui.server.queue import FILES, MODEL, Priority

if TYPE_CHECKING:
    from causalclip.examination.result import Examination
    from ui.cancellation import CancellationToken


def run_fairly(
    stages: Iterator[Examination], token: CancellationToken
) -> Iterator[Examination | int]:
    """Yield the examination after each stage and, while one waits, how many go in before it.

    What a file says waits for no model; a verdict goes in before the copies of other pictures.
    Raises Superseded once the answer is no longer wanted.
    """
    queue, priority = FILES, Priority.VERDICT
    while True:
        with queue.ask(priority) as place:
            yield from token.waits(place)
            found = next(stages, None)
        if found is None:
            return
        yield found
        queue = MODEL
        priority = Priority.VERDICT if found.stage == Stage.CLAIMS else Priority.STABILITY
