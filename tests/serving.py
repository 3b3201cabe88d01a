"""The app in a process of its own, as a user starts it, watched for what it tries to reach."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
HANGS = 120  # seconds after which what is waited for will not come, on a slow and busy machine either
READY = re.compile(r"is ready: open (\S+)")

WATCH = """
import os, sys

NAMED = "/etc/hostname"  # that scripts/redteam/hostile.py has the app open
OWN = (os.environ["TRAFFIC"], os.environ.get("GRADIO_TEMP_DIR", "/"))  # where the app may write
LOOPBACK = {"localhost", "127.0.0.1", "0.0.0.0", "::1", "::", "", None}

def watch(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "open":
        path, writes = arguments[0], (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if path == NAMED or (writes and is_outside(path)):
            note(f"open {os.fspath(path)}")
        return
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOOPBACK:
        note(f"{event} {host}")
        raise OSError("This process may not reach the network.")

def is_outside(path):
    if isinstance(path, int):
        return False
    path = os.path.abspath(os.fsdecode(path))
    return not path.startswith((*OWN, "/dev/")) and "/__pycache__/" not in path

def note(line):
    with open(os.environ["TRAFFIC"], "a") as file:
        file.write(line + "\\n")

sys.addaudithook(watch)
note("watching")
"""


@dataclass(frozen=True)
class Served:
    """An app in a process of its own.

    output: what it has printed and logged. traffic: "watching", and a line for every try to reach another machine, for
    every time that it opens the file that hostile calls name, and for every file that it writes out of its own folder.
    seconds: of processor time until it answered.
    """

    address: str
    output: Path
    traffic: Path
    seconds: float
    pid: int


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """`python app.py` with the shipped model, as a user starts it, on the first free port that it finds.

    Python itself reports and refuses what it tries to reach beyond this machine (sys.addaudithook).
    """
    (folder / "sitecustomize.py").write_text(WATCH)
    output, traffic = folder / "output.txt", folder / "traffic.txt"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment |= {"PYTHONPATH": str(folder), "TRAFFIC": str(traffic), "GRADIO_TEMP_DIR": str(folder / "kept")}
    environment |= {"CAUSALCLIP_PAIRED": str(folder / "kept" / "paired.json")}
    environment |= {"GRADIO_ANALYTICS_ENABLED": "True", "HF_HUB_DISABLE_TELEMETRY": "0"}  # reports nothing even so
    environment.pop("OMP_NUM_THREADS", None)  # that is for tests
    with output.open("w") as log:
        command = [sys.executable, "app.py"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = address_of(process, output)
        times = psutil.Process(process.pid).cpu_times()
        yield Served(address, output, traffic, times.user + times.system, process.pid)
    finally:
        process.terminate()
        process.wait(HANGS)


def address_of(process: subprocess.Popen[bytes], output: Path) -> str:
    """What an app says when it is ready. A port that was looked for before it starts could be taken by then."""
    for _ in range(2400):  # ten minutes: a machine may be busy
        if said := READY.search(output.read_text()):
            return said[1]
        try:
            process.wait(0.25)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"The app did not start:\n{output.read_text()}")
