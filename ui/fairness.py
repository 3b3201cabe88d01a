"""Examinations stage by stage, each stage in its turn among all that the app is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ui.server.turns import DECODED, FILES, MODEL, Priority

if TYPE_CHECKING:
    from causalclip.examination.result import Examination
    from ui.cancellation import CancellationToken


def run_fairly(
    stages: Iterator[Examination], token: CancellationToken
) -> Iterator[Examination | int]:
    """Yield the examination after each stage and, while one waits, how many go in before it.

    What a file says waits for no model; a verdict goes in before the copies of other pictures.

    Raises:
        Superseded: the answer is no longer wanted.
    """
    # 1. What the file says.
    with FILES.ask(Priority.VERDICT) as turn:
        yield from token.waits(turn)
        claims = next(stages, None)
    if claims is None:
        return
    yield claims
    # 2. From here on the picture's pixels are in memory, so not too many are at this point at once.
    priority = Priority.VERDICT
    with DECODED.ask(Priority.VERDICT) as place:
        yield from token.waits(place)
        while True:
            with MODEL.ask(priority) as turn:
                yield from token.waits(turn)
                examination = next(stages, None)
            if examination is None:
                return
            yield examination
            priority = Priority.STABILITY
