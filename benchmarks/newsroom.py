"""How many people so many cores serve: python -m benchmarks.newsroom

An hour of a newsroom, calculated a hundred times: people come at random, look at a few pictures each, and the app lets
one at a time to the model, verdicts before stability checks, as ui/server/gate.py does. What one picture takes is
measured: of benchmarks/load.json, where 16 visitors come at once. Its rows of 4 and 8 visitors are calculated too, to
show how far the calculation is from what was measured. More cores than two are not measured: what they save is
calculated from one thread and two (benchmarks/latency.json), by Amdahl's law.

With --replay 30 --minutes 3 --part 0, that part of an hour of 30 people is replayed at its own pace against the real
app, on this machine. Parts of one detector add up in benchmarks/newsroom.json.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import visitors
from benchmarks.load import app, picture, when_and_where

FOLDER = Path(__file__).parent
KEPT = FOLDER / "newsroom.json"
HOUR, HOURS, SEED = 3600.0, 100, 37
SITTINGS, PICTURES, BETWEEN = 3, 4, 20.0  # of a person in an hour; pictures of a sitting; seconds between them
SIZES, CORES = (10, 30, 100, 300), (1, 2, 4, 8)
BEARABLE = 10.0, 60.0  # seconds to a first verdict in the worst hour, and to a stability check, of 95 %


@dataclass(frozen=True, slots=True)
class Service:
    """Seconds that a picture keeps the model: until its first verdict, and for its stability check."""

    first: float
    check: float

    def on(self, cores: int, parallel: float) -> Service:
        """The same on other cores than two. parallel: the part of the work on one that more cores share."""
        faster = (1 - parallel + parallel / cores) / (1 - parallel + parallel / 2)
        return Service(self.first * faster, self.check * faster)


def serve(arrivals: np.ndarray, service: Service) -> tuple[np.ndarray, np.ndarray]:
    """Seconds from each arrival to its first verdict, and to the end of its check. arrivals: sorted, in seconds."""
    first, checked = np.zeros(len(arrivals)), np.zeros(len(arrivals))
    waiting: list[tuple[int, int]] = []  # (0 for a verdict, 1 for a check; number)
    now, coming = 0.0, 0
    while coming < len(arrivals) or waiting:
        if not waiting:
            now = max(now, arrivals[coming])
        while coming < len(arrivals) and arrivals[coming] <= now:
            heapq.heappush(waiting, (0, coming))
            coming += 1
        kind, number = heapq.heappop(waiting)
        now += service.check if kind else service.first
        (checked if kind else first)[number] = now - arrivals[number]
        if not kind:
            heapq.heappush(waiting, (1, number))
    return first, checked


def hour(people: int, rng: np.random.Generator) -> np.ndarray:
    """When pictures come in an hour of so many people, sorted."""
    begins = rng.uniform(0, HOUR, (people * SITTINGS, 1))
    steps = np.cumsum(rng.exponential(BETWEEN, (people * SITTINGS, PICTURES)), axis=1)
    return np.sort((begins + steps - steps[:, :1]).ravel())


def measured() -> tuple[Service, float, dict[str, Any]]:
    """What a picture takes on two cores, the part of it that cores share, and what it was measured in."""
    report = json.loads((FOLDER / "load.json").read_text())["first_verdicts"]
    rows = report["rows"]
    most = max(rows, key=lambda row: row["visitors"])
    count = 1 + 0.95 * (most["visitors"] - 1)  # the place in the row that 95 % are before
    service = Service(most["first_p95_s"] / count, (most["checked_p95_s"] - most["first_p95_s"]) / count)
    [times, *_] = json.loads((FOLDER / "latency.json").read_text())
    one, two = times["rows"]["as it is"]["cpu"], times["rows"]["as it is"]["warm"]
    return service, 2 * (1 - two / one), report


def table(service: Service, parallel: float) -> list[dict[str, Any]]:
    """A row for each number of people and of cores."""
    rows = []
    for people in SIZES:
        rng = np.random.default_rng(SEED + people)
        hours = [hour(people, rng) for _ in range(HOURS)]
        for cores in CORES:
            waits = [serve(arrivals, service.on(cores, parallel)) for arrivals in hours]
            first, checked = (np.concatenate(kind) for kind in zip(*waits, strict=True))
            worst = max(float(np.percentile(one, 95)) for one, _ in waits)
            rows.append(
                {"people": people, "cores": cores}
                | {f"first_p{p}_s": round(float(np.percentile(first, p)), 1) for p in (50, 95)}
                | {"checked_p95_s": round(float(np.percentile(checked, 95)), 1), "worst_hour_p95_s": round(worst, 1)}
                | {"bearable": worst <= BEARABLE[0] and float(np.percentile(checked, 95)) <= BEARABLE[1]}
            )
    return rows


def replayed(people: int, *, part: int, minutes: float) -> dict[str, Any]:
    """One part of an hour of so many people, on the real app. Seconds of each picture, in the order that they came.

    Raises ValueError where nobody comes in that part.
    """
    arrivals = hour(people, np.random.default_rng(SEED + people))
    begin = 60 * minutes * part
    arrivals = arrivals[(arrivals >= begin) & (arrivals < begin + 60 * minutes)] - begin
    if not len(arrivals):
        raise ValueError(f"Nobody comes in part {part} of an hour of {people} people. Take another part.")
    rng = np.random.default_rng([SEED, people, part])
    with tempfile.TemporaryDirectory() as name, app(Path(name)) as (address, _):
        page = visitors.read_page(address)
        visitors.visit(page, picture(rng, "good"), session="warm", number=0)
        before = os.times()
        seen = visitors.replay(page, arrivals.tolist(), make=lambda: picture(np.random.default_rng(), "good"))
    whole = [one for one in seen if isinstance(one, visitors.Seen)]
    return {
        "minutes": minutes,
        "pictures": len(seen),
        "lost": [one for one in seen if isinstance(one, str)],
        "first_s": [round(one.scored - one.started, 2) for one in whole],
        "checked_s": [round(one.checked - one.started, 2) for one in whole],
        "load": round(os.getloadavg()[0], 1),
        "seconds": round(os.times().elapsed - before.elapsed),
        **when_and_where(),
    }


def added(parts: dict[str, dict[str, Any]], name: str, part: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts of an hour with one more; those of another detector go."""
    return {key: one for key, one in parts.items() if one["detector"] == part["detector"]} | {name: part}


def summed(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A row of the parts of one hour."""
    first, checked = ([s for one in parts.values() for s in one[kind]] for kind in ("first_s", "checked_s"))
    lost = sum(len(one["lost"]) for one in parts.values())
    row: dict[str, Any] = {"pictures": sum(one["pictures"] for one in parts.values()), "lost": lost}
    if first:
        row |= {f"first_p{p}_s": round(float(np.percentile(first, p)), 1) for p in (50, 95)}
        row |= {"checked_p95_s": round(float(np.percentile(checked, 95)), 1)}
    return {"minutes": sum(one["minutes"] for one in parts.values()), **row, "parts": parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replay", type=int, help="so many people", metavar="PEOPLE")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--part", type=int, default=0)
    given = parser.parse_args()
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    hours: dict[str, Any] = kept.get("replayed", {})
    if given.replay:
        try:
            part = replayed(given.replay, part=given.part, minutes=given.minutes)
        except ValueError as error:
            parser.error(str(error))
        parts = hours.get(str(given.replay), {"parts": {}})["parts"]
        hours[str(given.replay)] = summed(added(parts, str(given.part), part))
        found = kept | {"replayed": hours}
    else:
        found = calculated() | ({"replayed": hours} if hours else {})
    KEPT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def calculated() -> dict[str, Any]:
    """The table, and how far it is from what was measured."""
    service, parallel, report = measured()
    checks = []
    for row in report["rows"]:
        first, checked = serve(np.zeros(row["visitors"]), service)
        said = {"first_p95_s": np.percentile(first, 95), "checked_p95_s": np.percentile(checked, 95)}
        checks.append(
            {"visitors at once": row["visitors"]}
            | {f"measured {name}": row[name] for name in said}
            | {f"calculated {name}": round(float(value), 1) for name, value in said.items()}
        )
    return {
        "date": date.today().isoformat(),
        "measured_on": ", ".join(
            [report["processor"]["name"], f"detector {report.get('detector', 'of that day')}", report["date"]]
        ),
        "pattern": f"{SITTINGS} sittings an hour and person, {PICTURES} pictures each, {BETWEEN:g} s between them",
        "service_on_two_cores_s": {"first": round(service.first, 3), "check": round(service.check, 3)},
        "shared_by_cores": round(parallel, 3),
        "checked_against": checks,
        "rows": table(service, parallel),
    }


if __name__ == "__main__":
    main()
