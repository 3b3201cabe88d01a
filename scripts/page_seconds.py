"""Seconds from a picture's file to its verdict, to a report that can be had and to the last answer,
through headless Chromium, of one or more checkouts in turn: python scripts/page_seconds.py
PICTURE [PICTURE ...] --checkout DIR --checkout DIR

Needs requirements-dev.txt and Chromium. Prints a line a visit, with the machine's load, then the
medians of each checkout. Every visit is a new page; the first one of each is not counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PORT = 7985
READY = 300  # seconds that an app may take to start
# What the page has once each is there. In former revisions the report is hidden until the last.
VERDICT = "document.querySelector('#chips button')"
REPORT = """["#quote section", "#report-html"].every((name) =>
  document.querySelector(name)?.checkVisibility({ visibilityProperty: true }))"""
DONE = "document.querySelector('#status .cc-final')"
STAGES = {"verdict": VERDICT, "report": REPORT, "done": DONE}


@dataclass(frozen=True, slots=True)
class App:
    """A checkout that is served. name: of its folder. process: its id."""

    name: str
    process: int
    address: str

    def processor_seconds(self) -> float:
        """Of the app and of what it has started, until now."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True)
        children: dict[int, list[int]] = defaultdict(list)
        for line in listed.stdout.splitlines():
            process, parent = map(int, line.split())
            children[parent].append(process)
        ticks, left = 0, [self.process]
        while left:
            process = left.pop()
            left += children[process]
            stat = Path(f"/proc/{process}/stat")
            if stat.exists():
                fields = stat.read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(checkout: Path, port: int) -> Iterator[App]:
    """The app of a checkout, once it answers."""
    env = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    address = f"http://127.0.0.1:{port}/"
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=checkout, env=env, stdout=subprocess.DEVNULL
    ) as app:
        try:
            deadline = time.monotonic() + READY
            while not _answers(address):
                if app.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"The app in {checkout} does not start.")
                time.sleep(1)
            yield App(checkout.resolve().name, app.pid, address)
        finally:
            app.terminate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, TimeoutError):
        return False


def visit(browser: Browser, app: App, picture: Path) -> dict[str, float]:
    """Seconds and processor seconds until each of STAGES."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(240_000)
    page.goto(app.address)
    page.locator("html[data-renames]").wait_for(state="attached")
    page.locator("#status h2").wait_for()
    page.wait_for_timeout(1500)  # fonts, and what the page asks when it is opened
    spent, began = app.processor_seconds(), time.monotonic()
    page.locator("#picture input[type=file]").first.set_input_files(picture)
    found = {}
    for name, there in STAGES.items():
        page.wait_for_function(there, polling=20)
        found[name] = time.monotonic() - began
        found[f"{name}, processor"] = app.processor_seconds() - spent
    page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--checkout", action="append", type=Path, help="by default this one")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    checkouts = options.checkout or [Path(__file__).resolve().parent.parent]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    seen: dict[str, list[dict[str, float]]] = defaultdict(list)
    with sync_playwright() as playwright, _served(checkouts) as apps:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for app in apps:
            visit(browser, app, options.pictures[0])
        for turn in range(options.rounds):
            for picture in options.pictures:
                for app in apps if turn % 2 else reversed(apps):
                    found = visit(browser, app, picture)
                    seen[app.name].append(found)
                    line = " ".join(f"{name} {value:.2f}" for name, value in found.items())
                    load = os.getloadavg()[0]
                    print(f"{app.name} {picture.name}: {line} load {load:.1f}", flush=True)
        browser.close()
    for name_of_app, visits in seen.items():
        medians = (f"{name} {statistics.median(v[name] for v in visits):.2f}" for name in visits[0])
        print(f"{name_of_app}, median of {len(visits)}:", ", ".join(medians))


@contextmanager
def _served(checkouts: list[Path]) -> Iterator[list[App]]:
    """All of them, each at a port of its own."""
    if not checkouts:
        yield []
        return
    with serve(checkouts[0], PORT + len(checkouts)) as app, _served(checkouts[1:]) as others:
        yield [app, *others]


if __name__ == "__main__":
    main()
