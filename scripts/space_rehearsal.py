"""Builds a Space as Hugging Face does, starts it and judges a picture in a browser: make
space-rehearsal [GPU=1]

Prints seconds and memory. Needs requirements-dev.txt, Chromium, and a package index. It is as
Spaces is in this:

* a clean environment of the Python that README.md names, with requirements.txt and what Spaces
  adds, in one call of pip;
* the variables that Spaces sets, among them the names of the Space;
* a browser that opens the page under the Space's own name.

With GPU=1 it is a ZeroGPU Space: PyTorch's build with CUDA, the package `spaces` switched on, and a
stand-in for the service that lends a card, which is asked for one and has none. What runs on the
card is not rehearsed. Where PyTorch's index does not answer, pip's own choice of the same version
is installed, and a line says so.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from tempfile import TemporaryDirectory

import psutil
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from skimage.data import astronaut
from uv import find_uv_bin

from scripts.install import INDEX, reaches
from scripts.space import ADDED, ROOT, assemble

NAME = "rehearsal-causalclip.hf.space"
READY = re.compile(r"is ready: open http://[^:]+:(\d+)")
PATIENCE = 600  # seconds for the start, and for an answer
VARIABLES = {
    "SYSTEM": "spaces",
    "SPACE_ID": "rehearsal/causalclip",
    "SPACE_HOST": NAME,
    "SPACE_AUTHOR_NAME": "rehearsal",
    "SPACE_REPO_NAME": "causalclip",
    "GRADIO_SERVER_NAME": "0.0.0.0",
    "GRADIO_ALLOW_FLAGGING": "never",
    "GRADIO_NUM_PORTS": "1",
    "PYTHONUNBUFFERED": "1",
    "CPU_CORES": "2",
    "MEMORY": "16Gi",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "dist" / "rehearsal", help="kept for the next time"
    )
    parser.add_argument("--gpu", action="store_true", help="as a Space with ZeroGPU")
    parser.add_argument("--python", help="another Python than README.md names, such as 3.11")
    parser.add_argument(
        "--built", action="store_true", help="start what was installed the last time"
    )
    options = parser.parse_args()
    space, python = options.out / "space", options.out / "venv" / "bin" / "python"

    # 1. Assemble
    assemble(space, gpu=options.gpu)
    front_matter = dict(
        re.findall(
            r'^(\w+): "?([^"\n]+)', (space / "README.md").read_text(encoding="utf-8"), re.MULTILINE
        )
    )

    # 2. Install
    version = options.python or front_matter["python_version"]
    if not options.built:
        begun = time.monotonic()
        _build_environment(python, version, space, sdk=front_matter["sdk_version"])
        print(f"installed in {time.monotonic() - begun:.0f} s", flush=True)

    # 3. Start, and judge a picture
    with TemporaryDirectory() as folder, lender(options.gpu) as (asked, lent_by):
        picture = Path(folder, "picture.png")
        Image.fromarray(astronaut()).save(picture)
        begun = time.monotonic()
        with started(python, space, Path(folder, "log"), lent_by) as (process, port):
            print(f"ready after {time.monotonic() - begun:.1f} s, {memory(process)}", flush=True)
            with opened(port) as page:
                print(
                    f"answered after {judge(page, picture):.1f} s: {headline(page)!r}, "
                    f"{memory(process)}",
                    flush=True,
                )
                if options.gpu:
                    print(
                        f"without a card, Purify says {purify(page, asked)!r}; lender: {asked}",
                        flush=True,
                    )
        if options.gpu and "/startup-report" not in asked:
            sys.exit(
                "The app never reported to the service that lends the card: ZeroGPU would not "
                "start."
            )


def _build_environment(python: Path, version: str, space: Path, *, sdk: str) -> None:
    """Makes a clean environment and installs into it as Spaces does, in one call of pip.

    Args:
        python: the interpreter that is made.
        version: of Python, such as "3.12".
        space: the assembled files.
        sdk: the version of Gradio that README.md names.
    """
    shutil.rmtree(python.parents[1], ignore_errors=True)
    folder = str(python.parents[1])
    subprocess.run(
        [
            find_uv_bin(),
            "venv",
            "--quiet",
            "--seed",
            "--no-python-downloads",
            "--python",
            version,
            folder,
        ],
        check=True,
    )
    requirements = (space / "requirements.txt").read_text(encoding="utf-8")
    if INDEX in requirements and not reaches(INDEX):
        print(
            "PyTorch's index does not answer: pip's own choice of the same version is installed.",
            flush=True,
        )
        requirements = requirements.replace("+cpu", "").replace(f"--extra-index-url {INDEX}\n", "")
    file = python.parents[2] / "requirements.txt"
    file.write_text(requirements, encoding="utf-8")
    added = [one.format(sdk=sdk) for one in ADDED]
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--requirement", file, *added], check=True
    )


@contextmanager
def started(
    python: Path, space: Path, log: Path, variables: Mapping[str, str]
) -> Iterator[tuple[psutil.Process, int]]:
    """Starts the Space's app with Spaces' variables and nothing of this shell's; yields its process
    and port."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])  # Spaces has 7860, which may be taken here
    own = {"HOME": str(log.parent), "GRADIO_SERVER_PORT": port}
    environment = {**kept, **VARIABLES, **variables, **own}
    with log.open("w") as output:
        process = psutil.Popen(
            [python, "app.py"], cwd=space, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + PATIENCE
        while not (match := READY.search(log.read_text())):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"The Space did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield process, int(match[1])
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        print(log.read_text(), end="", flush=True)


@contextmanager
def opened(port: int) -> Iterator[Page]:
    """Yields the page in a headless browser, opened under the Space's name, which leads to this
    machine."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    options = ["--no-sandbox", f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"http://{NAME}:{port}")
        yield page
        browser.close()


def judge(page: Page, picture: Path) -> float:
    """Uploads a picture and waits for all that is said of it; returns the seconds to the final
    verdict."""
    upload = page.locator("#picture input[type=file]")
    upload.wait_for(state="attached")
    begun = time.monotonic()
    upload.set_input_files(picture)
    page.locator("#status .cc-final").wait_for()
    seconds = time.monotonic() - begun
    page.locator("#layer .cc-map-layer").wait_for()
    assert "on this server" in page.locator("#promise").inner_text()
    return seconds


def headline(page: Page) -> str:
    """Returns the verdict in words."""
    return " ".join(page.locator("#status h2").inner_text().split())


def purify(page: Page, asked: list[str]) -> str:
    """Purifies an example once the lender was asked for a card; returns what the page then says.

    asked: what the lender is asked, which another thread adds to.
    """
    page.get_by_role("tab", name="Purify").click()
    page.locator("#purify-examples button").first.click()
    page.locator("#purify-purified-said").wait_for()
    page.locator("#purify-run").click()
    end = time.monotonic() + PATIENCE
    while "/schedule" not in asked and time.monotonic() < end:
        page.wait_for_timeout(200)
    page.wait_for_timeout(3000)  # until the page has heard of it
    told = page.locator("#purify-status, .toast-body").all_inner_texts()
    return " ".join(" ".join(told).split())


def memory(process: psutil.Process) -> str:
    """Returns the memory of a process and of those it started, pages that they share counted
    once."""
    family = [process, *process.children(recursive=True)]
    return f"{sum(one.memory_full_info().pss for one in family) / 1e6:.0f} MB"


@contextmanager
def lender(gpu: bool) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yields what is asked of a stand-in for ZeroGPU's lender of cards, and the variables that lead
    there.

    It takes the report at the start and has no card. It is reached under an address of this machine
    that the app's guard refuses unless it is the lender's.
    """
    asked: list[str] = []
    if not gpu:
        yield asked, {}
        return

    class Lender(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            self.send_response(200 if path == "/startup-report" else 503)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("0.0.0.0", 0), Lender)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://{_own_address()}:{server.server_port}"
    try:
        yield asked, {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": address}
    finally:
        server.shutdown()


def _own_address() -> str:
    """Returns the address under which others would reach this machine; nothing is sent."""
    with socket(AF_INET, SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


if __name__ == "__main__":
    main()
