"""How long several visitors wait for a first score, for benchmarks/load.py: uploads step by step, as browsers do them.

The clock of a visitor runs from the upload to the first status that holds a score. All visitors of a round upload at
the same moment, each a picture of its own, and a round ends when every answer has been checked for stability.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

SCORED, CHECKED = "cc-scale", "cc-stability"  # of the card with a score, and of the table of the stability check


@dataclass(frozen=True, slots=True)
class Page:
    """The two steps of an upload in the Detect tab (ui/server/turns.py), as the page lists them."""

    address: str
    first: dict[str, Any]
    then: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """When a visitor uploaded, saw a score, and saw the stability check: seconds by one clock for all visitors."""

    started: float
    scored: float
    checked: float


def read_page(address: str) -> Page:
    """Finds the steps by what they take and show."""
    config = httpx.get(f"{address}config", timeout=60).json()
    ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    steps = config["dependencies"]
    first = next(s for s in steps if [ids["picture"], "upload"] in s["targets"] and ids["status"] in s["outputs"])
    return Page(address, first, next(s for s in steps if s["trigger_after"] == first["id"]))


def visit(page: Page, data: bytes, *, session: str, number: int) -> Seen:
    """One upload, watched until the answer has been checked. Raises RuntimeError where it ends without a score."""
    own = {"X-Forwarded-For": f"192.0.2.{number}", "Origin": page.address.rstrip("/")}
    route = f"{page.address}gradio_api"
    with httpx.Client(timeout=600, headers=own) as http:
        started = time.monotonic()
        sent = http.post(f"{route}/upload", files={"files": ("picture.jpg", data, "image/jpeg")})
        if sent.status_code != 200:
            raise RuntimeError(f"An upload was answered {sent.status_code}: {sent.text[:200]}")
        [path] = sent.json()
        picture = {"path": path, "meta": {"_type": "gradio.FileData"}}
        call = {"session_hash": session, "fn_index": page.first["id"], "data": [str(1000 * time.time()), picture]}
        begun = http.post(f"{route}/run/predict", json=call).json()["data"]
        turn = begun[page.first["outputs"].index(page.first["inputs"][0])]
        call |= {"fn_index": page.then["id"], "data": [turn, picture]}
        http.post(f"{route}/queue/join", json=call).raise_for_status()
        seen = _watch(http, f"{route}/queue/data", session)
    return Seen(started, seen[SCORED], seen[CHECKED])


def measure(
    page: Page, sizes: Sequence[int], *, pictures: int, make: Callable[[np.random.Generator], bytes]
) -> list[dict[str, Any]]:
    """A row for each number of visitors, from as many rounds as so many pictures take. make: a picture's file."""
    rng = np.random.default_rng(0)
    visit(page, make(rng), session="warm", number=0)  # the model is loaded by then
    return [_row(size, [_round(page, size, rng, make) for _ in range(-(-pictures // size))]) for size in sizes]


def replay(page: Page, arrivals: Sequence[float], *, make: Callable[[], bytes]) -> list[Seen | str]:
    """Visits that begin so many seconds from now, each whether or not earlier ones have their answers.

    arrivals: sorted. Returns, in their order, what was seen; of a visit that ended otherwise, the error's name.
    """
    begun, name = time.monotonic(), time.time_ns()

    def one(number: int) -> Seen | str:
        time.sleep(max(0.0, begun + arrivals[number] - time.monotonic()))
        try:
            return visit(page, make(), session=f"replay-{name}-{number}", number=number % 250)
        except (httpx.HTTPError, RuntimeError, KeyError) as error:
            return type(error).__name__

    with ThreadPoolExecutor(max(1, len(arrivals))) as pool:
        return list(pool.map(one, range(len(arrivals))))


def _watch(http: httpx.Client, address: str, session: str) -> dict[str, float]:
    """When what was seen first, by the monotonic clock."""
    seen: dict[str, float] = {}
    with http.stream("GET", address, params={"session_hash": session}) as events:
        for line in events.iter_lines():
            for what in (SCORED, CHECKED):
                if what in line:
                    seen.setdefault(what, time.monotonic())
            if '"process_completed"' in line:
                break
    if len(seen) < 2:
        raise RuntimeError("A visitor got no answer.")
    return seen


def _round(page: Page, size: int, rng: np.random.Generator, make: Callable[[np.random.Generator], bytes]) -> list[Seen]:
    together, files = threading.Barrier(size), [make(rng) for _ in range(size)]
    name = rng.integers(1 << 30)

    def one(number: int) -> Seen:
        together.wait()
        return visit(page, files[number], session=f"visitor-{name}-{number}", number=number)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))


def _row(size: int, rounds: list[list[Seen]]) -> dict[str, Any]:
    first = [seen.scored - seen.started for each in rounds for seen in each]
    checked = [seen.checked - seen.started for each in rounds for seen in each]
    return {
        "visitors": size,
        "pictures": len(first),
        "first_p50_s": round(float(np.percentile(first, 50)), 2),
        "first_p95_s": round(float(np.percentile(first, 95)), 2),
        "checked_p95_s": round(float(np.percentile(checked, 95)), 2),
        "checked_too_early": sum(early(each) for each in rounds),
    }


def early(visitors: list[Seen]) -> int:
    """How many of a round's stability checks were over before its last first score."""
    last = max(seen.scored for seen in visitors)
    return sum(seen.checked < last for seen in visitors)
