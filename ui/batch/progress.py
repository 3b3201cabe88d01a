"""How far a batch is, in words."""

from __future__ import annotations

from math import ceil


def progress(done: int, total: int, seconds: float) -> str:
    """`done` of `total` after `seconds`, and how long the others will take if they are like these."""
    said = f"{done} of {total} done"
    if not 0 < done < total:
        return f"{said}."
    return f"{said}, {_about(seconds / done * (total - done))} left."


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(5, 5 * ceil(seconds / 5))} seconds"
    return f"about {ceil(seconds / 60)} minutes"
