"""Attacks the real app in a process of its own, on this machine alone, for less than ten minutes: make redteam

Prints what was tried and whether it held or is open; the exit code is 1 if something is open. With names behind it,
only the tries of those names: python -m scripts.redteam unread half_open
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.redteam import crowds, doors, floods
from scripts.redteam.target import Target
from tests.serving import served

Try = Callable[[Target], tuple[bool, str]]
TRIES: tuple[Try, ...] = (
    doors.addresses,
    doors.strangers,
    doors.closed,
    doors.forged,
    doors.twins,
    doors.telemetry,
    doors.fields,
    crowds.mismatched,
    crowds.numbers,
    crowds.headers,
    crowds.unread,
    crowds.half_open,
    crowds.raced,
    floods.quotas,
    floods.bomb,
    floods.pixels,
    floods.hog,
    floods.sessions,
    floods.leftovers,
    crowds.closed_in_between,
    crowds.stalled,
    crowds.empty,
)


def attempt(one: Try, target: Target) -> tuple[bool, str]:
    """One try; an error of the attacker's own is no success of the app's."""
    try:
        return one(target)
    except Exception as error:
        return False, f"the try itself failed: {type(error).__name__}: {error}"


def main(names: Sequence[str] = ()) -> int:
    """names: of tries; all by default."""
    held = True
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app:
        target = Target(app, Path(name) / "kept")
        for one in (one for one in TRIES if not names or one.__name__ in names):
            started = time.monotonic()
            well, said = attempt(one, target)
            held = held and well
            words = (one.__doc__ or one.__name__).splitlines()[0]
            print(f"{'held' if well else 'open':5}{time.monotonic() - started:6.1f} s  {words}: {said}", flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
