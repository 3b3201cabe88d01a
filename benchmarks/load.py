"""Many clients at once against the real app, over /api/v1/examine.

Every client, again and again, sends a picture of its own, a broken file, one with too many pixels
or one with too many bytes, and waits for its answer. Pictures differ in every request, so that an
answer about somebody else's would show by its sha256.
"""

import hashlib
import io
import os
import threading
import time
from collections import Counter
from functools import cache
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.common import Options, processor, running_app
from causalclip.paths import DEFAULT_HEAD, HEADS, detector_folder, revision_of

VISITORS = ("good",) * 6 + ("broken", "bomb", "heavy")
# statuses of what cannot be judged, and of a queue that is full
REFUSED, FULL = (413, 415, 422), (429, 503)
WARM_UP = 0.3  # of the run, before memory is compared


def measure(options: Options) -> dict[str, Any]:
    """Measure the app under --clients that ask it for --minutes: outcomes, waits, memory,
    processor."""
    # 1. The clients ask, while memory is read every second
    seconds, outcomes = 60 * options.minutes, list[tuple[str, float]]()
    memory: list[tuple[float, float]] = []
    with running_app() as (process, address):
        app, start = psutil.Process(process.pid), time.monotonic()
        spent = sum(app.cpu_times()[:2])
        arguments = address, start + seconds, outcomes
        threads = [
            threading.Thread(target=client, args=(i, *arguments)) for i in range(options.clients)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            memory.append((time.monotonic() - start, app.memory_info().rss / 2**20))
            time.sleep(1)
        spent, duration = sum(app.cpu_times()[:2]) - spent, time.monotonic() - start

    # 2. The waits, and memory early and late
    waits = [wait for outcome, wait in outcomes if not outcome.startswith("told")]
    inside = [mb for at, mb in memory if WARM_UP * seconds <= at <= seconds]
    third = max(1, len(inside) // 3)
    early, late = float(np.median(inside[:third])), float(np.median(inside[-third:]))
    return {
        "outcomes": dict(sorted(Counter(outcome for outcome, _ in outcomes).items())),
        "p50_s": round(float(np.percentile(waits, 50)), 2),
        "p95_s": round(float(np.percentile(waits, 95)), 2),
        "longest_s": round(max(waits), 2),
        "peak_mb": round(max(mb for _, mb in memory)),
        "warm_mb": round(early),
        "growth": round(late / early - 1, 4),
        "processor_s": round(spent),
        "of_the_machine": round(spent / duration / (os.cpu_count() or 1), 2),
        "load": round(os.getloadavg()[1], 1),
        "clients": options.clients,
        "minutes": options.minutes,
        "processor": processor(),
        "detector": revision_of(detector_folder(HEADS[DEFAULT_HEAD])),
    }


def client(number: int, address: str, until: float, outcomes: list[tuple[str, float]]) -> None:
    """One person, until the time is over; notes what each request came to, and after how many
    seconds."""
    rng = np.random.default_rng(number)
    # an address of its own, as a proxy would say
    own = {"X-Forwarded-For": f"192.0.2.{number % 250}"}
    with httpx.Client(timeout=300, headers=own) as http:
        while time.monotonic() < until:
            kind = str(rng.choice(VISITORS))
            data, start = picture(rng, kind), time.monotonic()
            try:
                answer = http.post(
                    f"{address}api/v1/examine", files={"picture": ("x.jpg", data, "image/jpeg")}
                )
                outcome = judge(kind, data, answer)
            except httpx.HTTPError as error:
                outcome = f"lost: {type(error).__name__}"
            outcomes.append((outcome, time.monotonic() - start))
            if outcome.startswith("told"):
                time.sleep(float(rng.uniform(0.5, 3)))


def judge(kind: str, data: bytes, answer: httpx.Response) -> str:
    """Return what a request came to."""
    if answer.status_code in FULL:
        return "told that the queue is full"
    if kind != "good":
        has_sentence = answer.status_code in REFUSED and answer.json().get("error")
        return (
            "refused with a sentence"
            if has_sentence
            else f"refused otherwise: {answer.status_code}"
        )
    if answer.status_code != 200:
        return f"not answered: {answer.status_code}"
    return (
        "answered" if hashlib.sha256(data).hexdigest() in answer.text else "somebody else's answer"
    )


def picture(rng: np.random.Generator, kind: str) -> bytes:
    """A file that no other request has; "good" ones of 320 to 1,024 px."""
    if kind == "bomb":
        return bomb()
    if kind == "heavy":
        return b"\xff\xd8\xff\xe0" + rng.bytes(21 * 2**20)
    buffer, side, (left, top) = (
        io.BytesIO(),
        int(rng.integers(320, 1024)),
        rng.integers(0, 100, 2).tolist(),
    )
    # what looks like no photograph gets no score
    part = photograph().crop((left, top, left + 400, top + 300))
    part.resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(
        buffer, "JPEG", quality=int(rng.integers(80, 96))
    )
    return buffer.getvalue()[:800] if kind == "broken" else buffer.getvalue()


@cache
def photograph() -> Image.Image:
    """One that scikit-image's wheel carries."""
    import skimage.data

    return Image.fromarray(skimage.data.astronaut())


@cache
def bomb() -> bytes:
    """Return a picture of 64 million pixels in a few kilobytes; made once, as the clients share the
    machine with the app."""
    buffer = io.BytesIO()
    Image.new("L", (8000, 8000)).save(buffer, "PNG")
    return buffer.getvalue()
