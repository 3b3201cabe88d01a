"""Attacks the real app in a process of its own, on this machine alone, for less than ten minutes:
make redteam

First the app alone, then behind the nginx of deploy/. Prints what was tried and whether it held or
is open; the exit code is 1 if something is open. With names behind it, only the tries of those
names, and in the places of those names: python -m scripts.redteam behind-nginx never-reading. With
--list, all names and what they try. What each came to last is kept in benchmarks/redteam.json."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.redteam import connections, doors, fairness, uploads
from scripts.redteam.target import Target, ready
from tests.serving import ROOT, proxied, served

Try = Callable[[Target], tuple[bool, str]]
# its memory is that of a new process
FIRST: tuple[Try, ...] = (connections.fifty_megapixels_twelve_times,)
# a minute each, until something is deleted; the others go on meanwhile
WAITING: tuple[Try, ...] = (
    uploads.pages_left_four_ways,
    connections.page_closed_in_a_batch,
    uploads.empty_files,
)
_SECONDS: tuple[Try, ...] = (
    doors.fetched_addresses,
    doors.other_hosts_and_sites,
    doors.closed_routes,
    doors.forged_pictures,
    doors.guessed_uploads,
    connections.two_functions_in_one_call,
    connections.odd_numbers,
    connections.lying_headers,
    connections.unread_answers,
    connections.forged_reports,
    connections.maps_named_as_paths,
    uploads.past_the_quotas,
    fairness.crowded_pairing,
    fairness.log_volume,
    uploads.bad_members_of_a_zip,
)
MEANWHILE: tuple[Try, ...] = (
    *_SECONDS,
    doors.reports_to_others,
    doors.every_field,
    connections.invented_sessions,
    connections.attacks_at_once,
    connections.questions_at_once,
)
_CROWDED: tuple[Try, ...] = (connections.never_reading, connections.half_open_connections)
LAST: tuple[Try, ...] = (  # what they measure, or whom they shut out, the others would change
    *_CROWDED,
    connections.pages_that_do_not_come,
    connections.calls_of_closed_pages,
    fairness.metadata_bombs,
    fairness.agents_account,
    fairness.sixteen_pages,
    fairness.strips_to_purify,
    fairness.many_parts,
    fairness.many_profiles,
    fairness.tables_again,
    uploads.reports_that_count,
    uploads.raced_uploads,
    connections.stalled_uploads,
)
ALL: tuple[Try, ...] = (*FIRST, *WAITING, *MEANWHILE, *LAST)
QUICK: tuple[Try, ...] = (*_SECONDS, *_CROWDED)  # these run with the tests


KEPT = ROOT / "benchmarks" / "redteam.json"
_writing = threading.Lock()


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
def behind_nginx() -> Iterator[Target]:
    """A new app with the proxy before it."""
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name)) as app,
        proxied(app.address) as proxy,
    ):
        ready(app.address)
        yield Target(app, Path(name) / "kept", proxy.address)


def named(one: Any) -> str:
    """What a try or a place is called on the command line and in the file."""
    return str(one.__name__).replace("_", "-")


PLACES = {named(place): place for place in (alone, behind_nginx)}
TRIES = {named(one): one for one in ALL}


def main(names: Sequence[str] = ()) -> int:
    """names: of tries and of places; all by default."""
    if names == ["--list"]:
        print(*(f"{name}: {one.__doc__}" for name, one in TRIES.items()), sep="\n")
        return 0
    if unknown := set(names) - {*PLACES, *TRIES}:
        print(
            f"There is no {', '.join(sorted(unknown))}. These are there: "
            f"{', '.join([*PLACES, *TRIES])}."
        )
        return 2
    places = [name for name in PLACES if name in names] or list(PLACES)
    tries = [one for name, one in TRIES.items() if name in names] or list(ALL)
    held = [_attacked(place, tries) for place in places]
    return 0 if all(held) else 1


def _attacked(place: str, tries: Sequence[Try]) -> bool:
    """Whether all held: first what needs a new process, then what waits while others go on, last
    what needs quiet."""
    started, cores = time.monotonic(), os.times()
    with PLACES[place]() as target, ThreadPoolExecutor(len(WAITING)) as pool:
        held = [_said(one, target, place) for one in FIRST if one in tries]
        waiting = [pool.submit(_said, one, target, place) for one in WAITING if one in tries]
        held += [_said(one, target, place) for one in MEANWHILE if one in tries]
        held += [each.result() for each in waiting]
        held += [_said(one, target, place) for one in LAST if one in tries]
    spent = sum(os.times()[:4]) - sum(cores[:4])
    whole = {
        "held": sum(held),
        "of": len(held),
        "seconds": round(time.monotonic() - started),
        **_when(),
    }
    print(
        f"{place}: {sum(held)} of {len(held)} held, in {whole['seconds']} s; load {whole['load']}",
        flush=True,
    )
    if len(tries) == len(ALL):
        _keep(place, "whole", whole | {"processor_s": round(spent)})
    return all(held)


def _said(one: Try, target: Target, place: str) -> bool:
    started = time.monotonic()
    held, said = attempt(one, target)
    seconds, words = time.monotonic() - started, str(one.__doc__)
    print(
        f"{'held' if held else 'OPEN':5}{seconds:6.1f} s  {place}, {named(one)}: {words}: {said}",
        flush=True,
    )
    found = {"held": held, "tried": words, "found": said, "seconds": round(seconds, 1)}
    _keep(place, named(one), found | _when())
    return held


def _when() -> dict[str, Any]:
    return {"date": datetime.now(UTC).date().isoformat(), "load": round(os.getloadavg()[0], 1)}


def _keep(place: str, name: str, found: dict[str, Any]) -> None:
    """At once, as a run may be ended before its end."""
    with _writing:
        kept: dict[str, dict[str, Any]] = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
        now = kept.get(place, {}) | {name: found}
        known = {one: said for one, said in now.items() if one in {"whole", *TRIES}}
        places = {one: said for one, said in kept.items() if one in PLACES} | {place: known}
        KEPT.write_text(json.dumps(places, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
