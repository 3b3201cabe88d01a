"""What a call costs in processor seconds and memory, and how fast this processor is."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

MEASURE = """
import contextlib, json, os, pathlib, resource, sys, threading, time
from causalclip.images.loading import (load_image)
from causalclip.images.formats import (ImageError)
from causalclip.provenance.reading import read_provenance

PROC, PAGE = pathlib.Path("/proc"), resource.getpagesize()

def held():
    total, family = 0, [os.getpid()]
    for process in family:  # which grows; psutil asks all processes of the machine for its children
        with contextlib.suppress(OSError):  # it has just ended
            pages = (PROC / f"{process}/statm").read_text().split()
            total += PAGE * (int(pages[1]) - int(pages[2]))
            for thread in (PROC / f"{process}/task").iterdir():
                family += map(int, (thread / "children").read_text().split())
    return total

def watch():
    while running:
        highest.append(held())
        time.sleep(0.01)

folder, loads = pathlib.Path(sys.argv[1]), sys.argv[2] == "load"
read_provenance(b"", "JPEG")  # the server is there then, as in an app
for path in sorted(folder.iterdir()):
    data, running, highest, result, notes = path.read_bytes(), True, [held()], "", []
    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    try:
        if loads:
            result = str(load_image(data).pixels.shape)
        else:
            provenance = read_provenance(data, path.name.rpartition(" ")[2])
            result, notes = provenance.credentials.state, provenance.notes
    except ImageError as error:
        result = type(error).__name__
    seconds, running = time.monotonic() - started, False
    watcher.join()
    print(json.dumps([path.name, result, notes, seconds, max(highest) - highest[0]]), flush=True)
"""


@dataclass(frozen=True)
class Cost:
    """result: the shape, the error's name, or the state of Content Credentials. memory: bytes more
    than before."""

    name: str
    result: str
    notes: list[str]
    seconds: float
    memory: int


def cost_of(files: dict[str, bytes], folder: Path, *, load: bool) -> list[Cost]:
    """Loads the pictures, or reads what files say whose names end in a space and their format, one
    after the other."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    command = [sys.executable, "-c", MEASURE, str(folder), "load" if load else "read"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    costs = [Cost(*json.loads(line)) for line in done.stdout.splitlines()]
    for cost in costs:
        print(
            f"{cost.name}: {cost.result} {cost.notes} in {cost.seconds:.2f} s, "
            f"+{cost.memory / 2**20:.0f} MB"
        )
    assert len(costs) == len(files)
    return costs


NOMINAL = 0.0095  # seconds that `_work` takes on the processor that the limits were set on


def slowness() -> float:
    """How many times as long this processor takes for the same work, at least 1."""
    return max(1.0, min(_work() for _ in range(5)) / NOMINAL)


def delay() -> float:
    """How many times as long work takes here now, on this processor and beside other work."""
    started = time.monotonic()
    for _ in range(50):
        _work()
    return max(1.0, (time.monotonic() - started) / 50 / NOMINAL)


def _work() -> float:
    started = time.process_time()
    sum(number * number % 7 for number in range(250_000))
    return time.process_time() - started
