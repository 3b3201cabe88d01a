"""python -m scripts.redteam.fuzz --seed 1 [--calls 2000] [--minutes 3]: generated calls of the app's functions.

The real app runs in a process of its own, which notes what it tries to reach and whether it opens a file that calls
name. What may come of a call is an answer or a sentence. Counted as wrong are errors of the server, calls that are
lost, tries to reach another machine, and the file. Each seed is a piece, and benchmarks/calls.json adds them up; one
that is there is made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from scripts.redteam.generated import PAGES, Generated, Listed, calls, pages
from scripts.redteam.target import BRIEF, ready
from tests.makers.pictures import encode, photo
from tests.serving import ROOT, Served, served

KEPT = ROOT / "benchmarks" / "calls.json"
FULL = "queue is full"
BATCH = 100  # calls
STEP = 50  # calls in which memory may take a step
SETTINGS = settings(
    max_examples=BATCH,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TOGETHER = 48  # calls that are on their way at once: some wait ten seconds for room
STOPPED = 300.0  # seconds after which a queue that is full is one that has stopped


def piece(app: Served, *, number: int, count: int, seconds: float) -> dict[str, Any]:
    """What so many calls come to, or as many as are made in so many seconds."""
    answers, wrong, memory, asked = Counter[str](), Counter[str](), list[float](), list[str]()
    process, until = psutil.Process(app.pid), time.monotonic() + seconds
    together = threading.BoundedSemaphore(TOGETHER)
    limits = httpx.Limits(max_connections=TOGETHER + PAGES + 8, keepalive_expiry=2)
    with (
        httpx.Client(base_url=app.address, timeout=120, limits=limits) as http,
        pages(http),
        ThreadPoolExecutor(TOGETHER) as pool,
    ):
        page = Listed(http.get("config").json(), _uploaded(http))

        def send(call: Generated) -> None:
            try:
                answer = http.post(f"gradio_api/{call.route}", content=call.content, headers=call.headers)
            except httpx.HTTPError as error:
                wrong[f"{call.route} {type(error).__name__}"] += 1
                return
            finally:
                together.release()
            answers[f"{call.route.partition('/')[0]} {answer.status_code}"] += 1
            wrong[f"{call.route} {answer.status_code}"] += answer.status_code >= 500 and FULL not in answer.text

        def make(data: st.DataObject) -> None:
            call = data.draw(calls(page))
            together.acquire()
            memory.append(process.memory_info().rss / 2**20)
            asked.append(call.asks)
            pool.submit(send, call)

        for batch in range(count // BATCH):
            if time.monotonic() < until:
                seed(1000 * number + batch)(SETTINGS(given(data=st.data())(make)))()
    wrong["nobody is answered any more"] += not _answers(app)
    for line in app.traffic.read_text().splitlines():
        wrong[line.replace(str(Path.home()), "~")] += line != "watching"
    fifths = [memory[min(len(memory) - 1, len(memory) * part // 5)] for part in range(6)]
    return {
        "calls": len(memory),
        "answers": dict(sorted(answers.items())),
        "wrong": dict(+wrong),
        "memory_mb": [round(mb) for mb in fifths],
        "grown_mb": round(fifths[-1] - fifths[1]),
        "largest_step": _largest_step(memory, asked),
    }


def _largest_step(memory: Sequence[float], asked: Sequence[str]) -> dict[str, Any]:
    """By how much memory rose most within so many calls, and what was asked about a picture for the first time then."""
    rises = [after - before for before, after in zip(memory, memory[STEP:], strict=False)]
    if not rises:
        return {}
    place = rises.index(max(rises))
    known, late = set(asked[: max(0, place - STEP)]), asked[max(0, place - STEP) : place + STEP]
    return {"mb": round(rises[place]), "at_call": place, "asked_first_then": sorted(set(late) - known - {""})}


def _uploaded(http: httpx.Client) -> str:
    [path] = http.post("gradio_api/upload", files={"files": ("x.jpg", encode(photo(64, 64), "JPEG"))}).json()
    return str(path)


def _answers(app: Served) -> bool:
    """Whether somebody else's picture is still judged: a call may have stopped the queue and said nothing."""
    with httpx.Client(base_url=app.address, timeout=120, limits=BRIEF) as http:
        own = {"X-Forwarded-For": "198.51.100.1"}
        call = {"data": [{"path": _uploaded(http), "meta": {"_type": "gradio.FileData"}}]}
        deadline = time.monotonic() + STOPPED
        while (asked := http.post("gradio_api/call/detect", json=call, headers=own)).status_code != 200:
            if time.monotonic() > deadline:
                return False
            time.sleep(2)
        said = http.get(f"gradio_api/call/detect/{asked.json()['event_id']}", headers=own).text
    return "event: complete" in said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app:
        ready(app.address)
        found = piece(app, number=given.seed, count=given.calls, seconds=60 * given.minutes)
    found |= {"date": date.today().isoformat(), "load": round(os.getloadavg()[0], 1)}
    kept = json.loads(KEPT.read_text())["pieces"] if KEPT.is_file() else {}
    pieces = dict(sorted((kept | {str(given.seed): found}).items(), key=lambda entry: int(entry[0])))
    total = {
        "calls": sum(one["calls"] for one in pieces.values()),
        "wrong": dict(sum((Counter(one["wrong"]) for one in pieces.values()), Counter())),
        "grown_mb_at_most": max(one["grown_mb"] for one in pieces.values()),
    }
    KEPT.write_text(json.dumps(total | {"pieces": pieces}, indent=2) + "\n")
    print(json.dumps(found | {"total": total}, indent=2))


if __name__ == "__main__":
    main()
