"""The apps that tests share, and whether there is a browser to test them with."""

import gc
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import HANGS, NGINX, ROOT, Served, served

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# A range of ports for each process: two that take the same one at once would end a test, as MCP's
# server starts once.
os.environ["GRADIO_SERVER_PORT"] = str(7860 + 100 * WORKER)
# as many processes as cores: more threads wait for one another
os.environ.setdefault("OMP_NUM_THREADS", "1")

# of every call that names no limit: five seconds are soon over
for stage in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, stage, HANGS)

# while modules are imported: what they make stays, and to look it through takes a quarter of the
# time
gc.disable()

__all__ = ["HANGS", "ROOT", "Served"]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
PLAYWRIGHT = importlib.util.find_spec("playwright") and importlib.util.find_spec(
    "axe_playwright_python"
)

MISSING = {
    "browser": ""
    if CHROMIUM and PLAYWRIGHT
    else "Chromium"
    if PLAYWRIGHT
    else "Playwright and its axe",
    "deploy": "" if NGINX else "nginx",
}
# use real_app
SHIPPED = {f"tests/{name}.py" for name in ("browser/test_tabs", "ui/test_app")}
# files that take a minute or more: one that began last would leave the other processes idle
LONG = {
    "test_archive",
    "test_attacks",
    "test_benchmarks",
    "test_check",
    "test_defences",
    "test_fuzz",
    "test_goldens",
    "test_keeping",
    "test_layout",
    "test_packaging",
    "test_purifier",
    "test_tab",
    "test_tabs",
    "test_training",
}
collect_ignore = [folder for folder, missing in MISSING.items() if missing]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long files first, all others as they stand."""
    items.sort(key=lambda item: item.path.stem not in LONG)


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()  # nor is it looked through again while tests run


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With --dist loadfile: a file's tests in one process, and all that use the shipped app in one,
    so that it starts once."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Rooms(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "the shipped app" if file in SHIPPED else file

    return Rooms(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for folder in collect_ignore:
        line = f"Left out: the tests in tests/{folder}, because {MISSING[folder]} cannot be found."
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where apps keep uploads and drawings while tests run, and libraries what they download."""
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        patch.setenv("CAUSALCLIP_TOKEN_FILE", str(folder.parent / "token"))
        yield folder


@pytest.fixture(scope="session")
def tiny_page(uploads: Path) -> Iterator[tuple[Any, str]]:
    """The app in this process, with a small random detector: its page, and its address."""
    from tests.makers.detectors import tiny_detector
    from ui import api, app

    detector = tiny_detector()
    page = app.build(lambda: detector)
    yield page, app.launch(page, routes=api.routes(lambda: detector))
    page.close(verbose=False)


@pytest.fixture(scope="session")
def tiny_app(tiny_page: tuple[Any, str]) -> str:
    """Its address."""
    return tiny_page[1]


@pytest.fixture(scope="session")
def whole_page(uploads: Path) -> Iterator[tuple[Any, Any, str]]:
    """With the Purify tab, too; every model small and random: the page, its models, and its
    address."""
    from causalclip.examination.stages import examine_file
    from tests.makers.detectors import tiny_detector
    from tests.makers.models import tiny_models
    from tests.makers.pictures import encode, photo
    from ui import app

    detector, models = tiny_detector(), tiny_models()
    example = examine_file(encode(photo(400, 300), "PNG"), detector)
    page = app.build(lambda: detector, models=models, shown=lambda: example)
    yield page, models, app.launch(page)
    page.close(verbose=False)


@pytest.fixture(scope="session")
def whole_app(whole_page: tuple[Any, Any, str]) -> str:
    """Its address."""
    return whole_page[2]


@pytest.fixture(scope="session")
def real_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`python app.py` with the shipped model."""
    with served(tmp_path_factory.mktemp("real")) as app:
        yield app


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny detector, for commands that load one."""
    from tests.makers.detectors import saved_detector

    folder = tmp_path_factory.mktemp("detector")
    saved_detector(folder)
    return str(folder / "model")


@pytest.fixture
def answer() -> Iterator[Any]:
    """Says whose event is being answered."""
    from ui.server.senders import Client, asking

    def start(session: str | None, address: str = "") -> None:
        asking.set(Client(address, session) if session else Client())

    yield start
    asking.set(Client())
