"""The app in a process of its own, as a user starts it, that keeps files for seconds instead of an hour."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.makers.detectors import saved_detector
from tests.serving import HANGS, ROOT, address_of

LIFE = 12  # seconds


@dataclass(frozen=True)
class Keeper:
    """A served app. base: its GRADIO_TEMP_DIR. seen: names of private files that were there at any moment.

    On a busy machine, files may be gone before an answer has arrived.
    """

    address: str
    base: Path
    process: subprocess.Popen[bytes]
    seen: set[str]

    def private(self) -> list[Path]:
        """The files that come from pictures: all but the examples that lie ready, and the room's lock."""
        # os.walk goes on where a folder is deleted while it is read; rglob does not.
        files = [Path(folder, name) for folder, _, names in os.walk(self.base) for name in names]
        return [path for path in files if path.parent.name != "examples" and path.suffix != ".lock"]

    def watch(self) -> None:
        """Fills `seen` for as long as the process runs."""
        while self.process.poll() is None:
            with contextlib.suppress(FileNotFoundError):  # a folder went while it was read
                self.seen.update(path.name for path in self.private())
            time.sleep(0.1)


def until(done: Callable[[], bool], *, seconds: float = HANGS) -> bool:
    """Waits; whether it came true."""
    deadline = time.monotonic() + seconds
    while not (come := done()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return come


@contextmanager
def keeper(folder: Path, *, life: float = LIFE) -> Iterator[Keeper]:
    """Starts `python app.py` with a tiny detector in `folder`."""
    saved_detector(folder / "detector")
    base, output = folder / "uploads", folder / "output.txt"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "GRADIO_TEMP_DIR": str(base)}
    environment.pop("OMP_NUM_THREADS", None)  # that is for tests
    environment |= {"CAUSALCLIP_MODEL": str(folder / "detector" / "model"), "CAUSALCLIP_KEPT": str(life)}
    with output.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        app = Keeper(address_of(process, output), base, process, set())
        threading.Thread(target=app.watch, daemon=True).start()
        yield app
    finally:
        process.kill()
        process.wait(HANGS)
