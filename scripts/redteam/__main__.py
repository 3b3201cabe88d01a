"""Attacks the real app in a process of its own, on this machine alone, for less than ten minutes: make redteam

First the app alone, then behind the nginx of deploy/. Prints what was tried and whether it held or is open; the exit
code is 1 if something is open. With names behind it, only the tries of those names, and in the places of those names
("alone", "behind"): python -m scripts.redteam behind unread. What each came to last is kept in benchmarks/redteam.json.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.redteam import crowds, doors, files, floods
from scripts.redteam.target import Target, at_once, ready
from tests.proxy import proxied
from tests.serving import ROOT, served

Try = Callable[[Target], tuple[bool, str]]
QUICK: tuple[Try, ...] = (  # seconds: these run with the tests
    doors.addresses,
    doors.strangers,
    doors.closed,
    doors.forged,
    doors.twins,
    crowds.mismatched,
    crowds.numbers,
    crowds.headers,
    crowds.unread,
    crowds.half_open,
    floods.quotas,
    files.members,
    files.pipes,
)
TRIES: tuple[Try, ...] = (
    floods.pixels,  # first of all, as memory is compared with a new process's
    *QUICK,
    doors.telemetry,
    doors.fields,
    crowds.raced,
    crowds.evicted,
    floods.bomb,
    floods.hog,
    floods.leftovers,
    crowds.stalled,
)
TOGETHER: tuple[Try, ...] = (crowds.closed_in_between, crowds.empty)  # each waits for a minute
NAMES = {one.__name__ for one in (*TRIES, *TOGETHER)}
KEPT = ROOT / "benchmarks" / "redteam.json"


def attempt(one: Try, target: Target) -> tuple[bool, str]:
    """One try; an error of the attacker's own is no success of the app's."""
    try:
        return one(target)
    except Exception as error:
        return False, f"the try itself failed: {type(error).__name__}: {error}"


@contextlib.contextmanager
def alone() -> Iterator[Target]:
    """A new app."""
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app:
        ready(app.address)
        yield Target(app, Path(name) / "kept", app.address)


@contextlib.contextmanager
def behind() -> Iterator[Target]:
    """A new app with the proxy before it."""
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app, proxied(app.address) as proxy:
        ready(app.address)
        yield Target(app, Path(name) / "kept", proxy.address)


PLACES = {"alone": alone, "behind the proxy": behind}


def main(names: Sequence[str] = ()) -> int:
    """names: of tries and of places; all by default."""
    places = {name: start for name, start in PLACES.items() if start.__name__ in names} or PLACES
    tries = [one for one in (*TRIES, *TOGETHER) if one.__name__ in names] or [*TRIES, *TOGETHER]
    held = True
    for place, start in places.items():
        with start() as target:
            found = _all(target, place, tries)
        _keep(place, found)
        held = held and all(said["held"] for said in found.values())
    return 0 if held else 1


def _all(target: Target, place: str, tries: Sequence[Try]) -> dict[str, dict[str, Any]]:
    """What each came to: one after the other, and at last those that wait most of their time."""
    found = {one.__name__: _said(one, target, place) for one in tries if one not in TOGETHER}
    if last := [one for one in tries if one in TOGETHER]:
        said = at_once(lambda i: _said(last[i], target, place), len(last))
        found |= {one.__name__: each for one, each in zip(last, said, strict=True)}
    return found


def _keep(place: str, found: dict[str, dict[str, Any]]) -> None:
    kept: dict[str, dict[str, Any]] = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    kept[place] = {name: said for name, said in (kept.get(place, {}) | found).items() if name in NAMES}
    KEPT.write_text(json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def _said(one: Try, target: Target, place: str) -> dict[str, Any]:
    started, spent = time.monotonic(), target.processor()
    held, said = attempt(one, target)
    seconds, spent = time.monotonic() - started, target.processor() - spent
    words = (one.__doc__ or one.__name__).splitlines()[0]
    print(f"{'held' if held else 'open':5}{seconds:6.1f} s  {place}: {words}: {said}", flush=True)
    when = datetime.now(UTC).date().isoformat()
    load = round(os.getloadavg()[0], 1)
    took = {"seconds": round(seconds, 1), "processor_s": round(spent, 1), "load": load}
    return {"held": held, "tried": words, "found": said, "date": when, **took}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
