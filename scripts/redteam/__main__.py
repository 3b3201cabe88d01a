"""Attacks the real app in a process of its own, on this machine alone, for less than five minutes: make redteam

Prints what was tried and whether it held; the exit code is 1 if something did not.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from scripts.redteam import doors, floods
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
    floods.quotas,
    floods.bomb,
    floods.pixels,
    floods.hog,
    floods.sessions,
    floods.leftovers,
)


def attempt(one: Try, target: Target) -> tuple[bool, str]:
    """One try; an error of the attacker's own is no success of the app's."""
    try:
        return one(target)
    except Exception as error:
        return False, f"the try itself failed: {type(error).__name__}: {error}"


def main() -> int:
    held = True
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app:
        target = Target(app, Path(name) / "kept")
        for one in TRIES:
            started = time.monotonic()
            well, said = attempt(one, target)
            held = held and well
            words = (one.__doc__ or one.__name__).splitlines()[0]
            print(f"{'held' if well else 'OPEN':5}{time.monotonic() - started:6.1f} s  {words}: {said}", flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
