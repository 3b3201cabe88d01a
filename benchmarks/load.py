"""Many people at once against the real app.

Every client, again and again, sends a picture of its own, a broken file, one with too many pixels or one with too many
bytes, and waits for its answer: detection or provenance. Pictures differ in every request, so that an answer about
somebody else's would show by its sha256. Afterwards a batch is cut off by killing the server, and the app is started
anew: nothing of the pictures may be left.
"""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.common import ROOT, Options, processor

PORT = 7998
KINDS = ("good",) * 6 + ("broken", "bomb", "heavy")
EXPECTED = {"broken": "cut short", "bomb": "limit is 50 million", "heavy": "20"}
FULL = "queue is full"
WARM_UP = 0.3  # of the run, before memory is compared


def measure(options: Options) -> dict[str, Any]:
    """--clients of them, for --minutes."""
    detector = json.loads((ROOT / "assets" / "models" / "detector" / "config.json").read_text())["revision"]
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), clients=options.clients, seconds=60 * options.minutes)
        killed = kill_in_the_middle(Path(folder))
    return report | {"processor": processor(), "detector": detector, "killed": killed}


@dataclass
class Tally:
    """What all clients saw. waits: seconds to each answer, without the tries that a full queue sent back."""

    outcomes: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, outcome: str, *, wait: float | None = None, fault: str = "") -> None:
        with self.lock:
            self.outcomes[outcome] += 1
            if wait is not None:
                self.waits.append(wait)
            if fault:
                self.faults.append(fault)


def picture(rng: np.random.Generator, kind: str) -> bytes:
    """A file that no other request has; "good" ones of 320 to 1,024 px."""
    buffer = io.BytesIO()
    if kind == "bomb":
        return bomb()
    if kind == "heavy":
        return b"\xff\xd8\xff\xe0" + rng.bytes(21 * 2**20)
    side, (left, top) = int(rng.integers(320, 1024)), rng.integers(0, 100, 2).tolist()
    part = photograph().crop((left, top, left + 400, top + 300))  # what looks like no photograph gets no score
    part.resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=int(rng.integers(80, 96)))
    return buffer.getvalue()[:800] if kind == "broken" else buffer.getvalue()


@cache
def photograph() -> Image.Image:
    """One that scikit-image's wheel carries."""
    import skimage.data

    return Image.fromarray(skimage.data.astronaut())


@cache
def bomb() -> bytes:
    """64 million pixels in a few kilobytes; made once, as the clients share the machine with the app."""
    buffer = io.BytesIO()
    Image.new("L", (8000, 8000)).save(buffer, "PNG")
    return buffer.getvalue()


def ask(http: httpx.Client, address: str, data: bytes, endpoint: str) -> tuple[int, str]:
    """Uploads and asks; returns the HTTP status that ended it and the last event."""
    sent = http.post(f"{address}gradio_api/upload", files={"files": ("x.jpg", data, "image/jpeg")})
    if sent.status_code != 200:
        return sent.status_code, sent.text
    payload = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
    asked = http.post(f"{address}gradio_api/call/{endpoint}", json={"data": [payload]})
    if asked.status_code != 200:
        return asked.status_code, asked.text
    answer = http.get(f"{address}gradio_api/call/{endpoint}/{asked.json()['event_id']}")
    return answer.status_code, answer.text


def client(address: str, number: int, until: float, tally: Tally) -> None:
    """One person, until the time is over."""
    rng = np.random.default_rng(number)
    own = {"X-Forwarded-For": f"192.0.2.{number % 250}"}  # an address of its own, as a proxy would say
    with httpx.Client(timeout=300, headers=own) as http:
        while time.monotonic() < until:
            kind, endpoint = str(rng.choice(KINDS)), "detect" if rng.random() < 0.8 else "provenance"
            data = picture(rng, kind)
            started = time.monotonic()
            try:
                status, text = ask(http, address, data, endpoint)
            except httpx.HTTPError as error:
                tally.note("lost", fault=f"{kind} {endpoint}: {type(error).__name__}")
                continue
            _judge(tally, kind, endpoint, data, status, text, time.monotonic() - started)
            if FULL in text.lower():
                time.sleep(float(rng.uniform(0.5, 3)))


def _judge(tally: Tally, kind: str, endpoint: str, data: bytes, status: int, text: str, wait: float) -> None:
    if FULL in text.lower():
        tally.note("told that the queue is full")
    elif status >= 500:
        tally.note("server error", fault=f"{kind}: {status} {text[:200]}")
    elif kind in {"broken", "bomb"} and endpoint == "provenance" and "event: complete" in text:
        tally.note("answered", wait=wait)  # what a file says of itself is read without its pixels
    elif kind != "good":
        said = EXPECTED[kind] in text
        tally.note(
            "refused with a sentence" if said else "refused without one", wait=wait, fault="" if said else text[:200]
        )
    elif "event: complete" not in text:
        tally.note("lost", fault=f"{kind}: {status} {text[:200]}")
    elif '"sha256"' in text and hashlib.sha256(data).hexdigest() not in text:
        tally.note("somebody else's answer", fault=kind)
    else:
        tally.note("answered", wait=wait)


@contextmanager
def app(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`python app.py`, with its models loaded: before that, nobody's proxy sends anybody there."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(PORT), "GRADIO_TEMP_DIR": str(folder)}
    process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{PORT}/"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{address}healthz", timeout=5).is_success:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        yield address, process
    finally:
        process.terminate()
        process.wait(30)


def run(folder: Path, *, clients: int, seconds: float) -> dict[str, Any]:
    """The load, measured."""
    tally = Tally()
    with app(folder) as (address, process):
        watched, started = psutil.Process(process.pid), time.monotonic()
        spent = sum(watched.cpu_times()[:2])
        until = started + seconds
        threads = [threading.Thread(target=client, args=(address, i, until, tally)) for i in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            tally.memory.append((time.monotonic() - started, watched.memory_info().rss / 2**20))
            time.sleep(1)
        spent, lasted = sum(watched.cpu_times()[:2]) - spent, time.monotonic() - started
    share = {"processor_s": round(spent), "of_the_machine": round(spent / lasted / (os.cpu_count() or 1), 2)}
    share |= {"load": round(os.getloadavg()[1], 1)}
    return _report(tally, seconds) | share | {"clients": clients, "minutes": round(seconds / 60, 1)}


def _report(tally: Tally, seconds: float) -> dict[str, Any]:
    inside = [(at, mb) for at, mb in tally.memory if WARM_UP * seconds <= at <= seconds]
    third = max(1, len(inside) // 3)
    early, late = (float(np.median([mb for _, mb in part])) for part in (inside[:third], inside[-third:]))
    return {
        "outcomes": dict(sorted(tally.outcomes.items())),
        "p50_s": round(float(np.percentile(tally.waits, 50)), 2),
        "p95_s": round(float(np.percentile(tally.waits, 95)), 2),
        "longest_s": round(max(tally.waits), 2),
        "peak_mb": round(max(mb for _, mb in tally.memory)),
        "warm_mb": round(early),
        "growth": round(late / early - 1, 4),
        "tenths_mb": [round(float(np.median(part))) for part in np.array_split([mb for _, mb in tally.memory], 10)],
        "faults": tally.faults[:10],
    }


def kill_in_the_middle(folder: Path) -> dict[str, Any]:
    """Kills the server while it works on pictures, starts it again, and counts what is left of them."""
    rng = np.random.default_rng(0)

    def left() -> int:
        return sum(path.suffix in {".jpg", ".png"} for path in folder.glob("causalclip-run-*/uploads/**/*"))

    with app(folder) as (address, process):
        threads = [
            threading.Thread(target=client, args=(address, int(rng.integers(1 << 30)), time.monotonic() + 5, Tally()))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        time.sleep(5)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        for thread in threads:
            thread.join()
    before = left()
    with app(folder) as (address, _):
        time.sleep(3)
        status, text = ask(httpx.Client(timeout=120), address, picture(rng, "good"), "detect")
        answered = status == 200 and "event: complete" in text
        runs = sum(path.is_dir() for path in folder.glob("causalclip-run-*"))
    return {"files_left_by_the_kill": before, "answers_after": answered, "folders_after_restart": runs}
