"""The app in a process of its own, as a user starts it: watched for what it reaches, keeping files
for seconds, or behind the shipped nginx."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
# seconds after which what is waited for will not come, on a slow and busy machine either
HANGS = 120
READY = re.compile(r"is ready: open (\S+)")

WATCH = """
import os, sys

NAMED = "/etc/hostname"  # that hostile calls name
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
"""  # noqa: E501


@dataclass(frozen=True)
class Served:
    """An app in a process of its own.

    output: what it has printed and logged. traffic: "watching", and a line for every try to reach
    another machine, for every time that it opens the file that hostile calls name, and for every
    file that it writes out of its own folder.
    """

    address: str
    output: Path
    traffic: Path
    pid: int


@contextmanager
def started(
    output: Path, environment: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`python app.py` with this environment, too: its process, and where it says that it is."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"} | environment
    environment.pop("OMP_NUM_THREADS", None)  # that is for tests
    with output.open("w") as log:
        command = [sys.executable, "app.py"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process, address_of(process, output)
    finally:
        process.terminate()
        process.wait(HANGS)


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """The app with the shipped model, as a user starts it, on the first free port that it finds.

    Python itself reports and refuses what it tries to reach beyond this machine (sys.addaudithook).
    """
    (folder / "sitecustomize.py").write_text(WATCH)
    output, traffic, kept = folder / "output.txt", folder / "traffic.txt", folder / "kept"
    environment = {"PYTHONPATH": str(folder), "TRAFFIC": str(traffic), "GRADIO_TEMP_DIR": str(kept)}
    environment |= {"CAUSALCLIP_TOKEN_FILE": str(kept / "token")}
    # reports nothing even so
    environment |= {"GRADIO_ANALYTICS_ENABLED": "True", "HF_HUB_DISABLE_TELEMETRY": "0"}
    with started(output, environment) as (process, address):
        yield Served(address, output, traffic, process.pid)


def address_of(process: subprocess.Popen[bytes], output: Path) -> str:
    """What an app says when it is ready. A port that was looked for before it starts could be taken
    by then."""
    for _ in range(2400):  # ten minutes: a machine may be busy
        if said := READY.search(output.read_text()):
            return said[1]
        try:
            process.wait(0.25)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"The app did not start:\n{output.read_text()}")


def until(done: Callable[[], object], *, seconds: float = HANGS) -> bool:
    """Waits; whether it came true."""
    deadline = time.monotonic() + seconds
    while not (come := done()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(come)


CONFIGURATION = ROOT / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NOBODY = 65534
FIRST = 18_080 + 100 * (os.getpid() % 100)  # of a hundred ports for each process that runs tests


@dataclass(frozen=True)
class Proxied:
    """nginx before an app. log: what it has written."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


def configured(app: str, port: int) -> str:
    """The shipped configuration, with the app and the port where they are here."""
    text = CONFIGURATION.read_text()
    changes = {
        "server app:7860 ": f"server {urlsplit(app).netloc} ",
        "listen 8080 ": f"listen 127.0.0.1:{port} ",
    }
    for shipped, here in changes.items():
        if text.count(shipped) != 1:
            raise ValueError(f"{CONFIGURATION.name} has not exactly one {shipped.strip()!r}.")
        text = text.replace(shipped, here)
    return text


@contextmanager
def proxied(app: str, *, site: Mapping[str, str] | None = None) -> Iterator[Proxied]:
    """nginx before the app at that address, without root's rights. site: files of deploy/site, by
    name."""
    if NGINX is None:
        raise FileNotFoundError("nginx is not installed: apt-get install nginx-light")
    # Not in a folder of the tests' own, which nginx as nobody could not enter.
    with tempfile.TemporaryDirectory(prefix="causalclip-nginx-", dir="/tmp") as name:
        port = _free_port()
        folder, log = Path(name), Path(name) / "log"
        (folder / "nginx.conf").write_text(configured(app, port))
        (folder / "site").mkdir()
        for file, text in (site or {}).items():
            (folder / "site" / file).write_text(text)
        is_root = os.geteuid() == 0
        if is_root:
            shutil.chown(folder, NOBODY, NOBODY)
        rights = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root else {}
        command = [NGINX, "-p", name, "-c", f"{name}/nginx.conf", "-e", "stderr"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, **rights)  # type: ignore[call-overload]
        try:
            _wait(port, process, log)
            yield Proxied(f"http://127.0.0.1:{port}/", process, log)
        finally:
            process.terminate()
            process.wait(HANGS)


def _free_port() -> int:
    """Below those that the system gives to connections: nobody takes it before nginx does."""
    for port in range(FIRST, FIRST + 100):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise OSError(f"No port from {FIRST} on is free.")


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(10 * HANGS):
        if process.poll() is not None:
            break
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nginx did not start:\n{log.read_text()}")
