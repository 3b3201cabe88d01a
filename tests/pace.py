"""How fast this processor is, for tests that hold the app to processor seconds."""

import time

NOMINAL = 0.0095  # seconds that `_work` takes on the processor that the limits were set on


def slowness() -> float:
    """How many times as long this processor takes for the same work, at least 1."""
    return max(1.0, min(_work() for _ in range(5)) / NOMINAL)


def _work() -> float:
    started = time.process_time()
    sum(number * number % 7 for number in range(250_000))
    return time.process_time() - started
