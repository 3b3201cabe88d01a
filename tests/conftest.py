"""The apps that tests share, and whether there is a browser to test them with."""

import gc
import http.client
import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.proxy import NGINX
from tests.serving import ROOT, WATCH, Served, served, wait_for

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many processes as cores: more threads wait for one another

gc.disable()  # while modules are imported: what they make stays, and to look it through takes a quarter of the time

__all__ = ["ROOT", "WATCH", "Raw", "Served", "wait_for"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PLAYWRIGHT = importlib.util.find_spec("playwright") and importlib.util.find_spec("axe_playwright_python")

MISSING = {
    "browser": "" if CHROMIUM and PLAYWRIGHT else "Chromium" if PLAYWRIGHT else "Playwright and its axe",
    "deploy": "" if NGINX else "nginx",
}
collect_ignore = [folder for folder, missing in MISSING.items() if missing]


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()  # nor is it looked through again while tests run


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for folder in collect_ignore:
        line = f"Left out: the tests in tests/{folder}, because {MISSING[folder]} cannot be found."
        terminalreporter.write_line(line)


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
    yield page, app.launch(page, routes=app.routes(lambda: detector))
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


@pytest.fixture(scope="session")
def real_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`python app.py` with the shipped model."""
    with served(tmp_path_factory.mktemp("real")) as app:
        yield app
