"""The apps that tests share, and whether there is a browser to test them with."""

import http.client
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PLAYWRIGHT = importlib.util.find_spec("playwright") and importlib.util.find_spec("axe_playwright_python")

collect_ignore = [] if CHROMIUM and PLAYWRIGHT else ["browser"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if collect_ignore:
        missing = "Chromium" if PLAYWRIGHT else "Playwright and its axe"
        terminalreporter.write_line(f"Left out: the browser tests, because {missing} cannot be found.")


@pytest.fixture(scope="session", autouse=True)
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the apps keep uploads and drawings while tests run."""
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_page(uploads: Path) -> Iterator[tuple[Any, str]]:
    """The app in this process, with a small random detector: its page, and its address."""
    import app
    from tests.makers.detectors import tiny_detector

    detector = tiny_detector()
    page = app.build(lambda: detector)
    yield page, app.launch(page)
    page.close(verbose=False)


@pytest.fixture(scope="session")
def tiny_app(tiny_page: tuple[Any, str]) -> str:
    """Its address."""
    return tiny_page[1]


class Raw:
    """Sends a request with its path as it is written, which most clients tidy up; returns status and body."""

    def __init__(self, address: str) -> None:
        self.place = urlsplit(address)

    def __call__(self, method: str, path: str, *, host: str | None = None, body: bytes = b"", **headers: str) -> Any:
        assert self.place.hostname
        connection = http.client.HTTPConnection(self.place.hostname, self.place.port, timeout=60)
        connection.putrequest(method, path, skip_host=True)
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        for key, value in {"Host": self.place.netloc if host is None else host, **names}.items():
            connection.putheader(key, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer.status, text


@pytest.fixture(scope="session")
def raw(tiny_app: str) -> Raw:
    """A client of `tiny_app` that behaves badly."""
    return Raw(tiny_app)


WATCH = """
import os, sys

LOOPBACK = {"localhost", "127.0.0.1", "0.0.0.0", "::1", "::", "", None}

def watch(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOOPBACK:
        note(f"{event} {host}")
        raise OSError("This process may not reach the network.")

def note(line):
    with open(os.environ["TRAFFIC"], "a") as file:
        file.write(line + "\\n")

sys.addaudithook(watch)
note("watching")
"""


@dataclass(frozen=True)
class Served:
    """An app in a process of its own.

    output: what it has printed and logged. traffic: "watching", and a line for every try to reach another machine.
    seconds: of processor time until it answered.
    """

    address: str
    output: Path
    traffic: Path
    seconds: float
    pid: int


@pytest.fixture(scope="session")
def real_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`python app.py` with the shipped model, as a user starts it, on a port that the environment names.

    Python itself reports and refuses what it tries to reach beyond this machine (sys.addaudithook).
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("real")
    (folder / "sitecustomize.py").write_text(WATCH)
    output, traffic = folder / "output.txt", folder / "traffic.txt"
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    environment |= {"PYTHONPATH": str(folder), "TRAFFIC": str(traffic)}
    environment |= {"GRADIO_ANALYTICS_ENABLED": "True", "HF_HUB_DISABLE_TELEMETRY": "0"}  # reports nothing even so
    with output.open("w") as log:
        command = [sys.executable, "app.py"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}/"
        wait_for(address, process, output)
        times = psutil.Process(process.pid).cpu_times()
        yield Served(address, output, traffic, times.user + times.system, process.pid)
    finally:
        process.terminate()
        process.wait(20)


def wait_for(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    for _ in range(600):
        if address in output.read_text():
            return
        try:
            process.wait(0.25)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"The app did not start:\n{output.read_text()}")
