"""A private folder for one run of the app: uploads, what is derived from them, and temporary files.

Everything that the app or a library writes while it runs goes there, nowhere else. The folder goes when the process
ends; if that was killed, the next start deletes it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import threading
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "causalclip-run-"


class Room:
    """A folder that only its owner can read, locked for as long as this process lives.

    uploads: where Gradio keeps files. examples: not private, lives as long as the room.
    """

    def __init__(self, base: Path) -> None:
        """Makes a new room in `base`; deletes those there whose process is dead."""
        base.mkdir(parents=True, exist_ok=True)
        clean(base)
        handle, name = tempfile.mkstemp(prefix=PREFIX, suffix=".lock", dir=base)
        os.close(handle)
        self._lock = FileLock(name)
        self._lock.acquire(timeout=10)
        self.folder = Path(name).with_suffix("")  # made after its lock: one without a lock is a dead one
        self.folder.mkdir(mode=0o700)
        self.uploads, self.examples = self.folder / "uploads", self.folder / "examples"
        self.uploads.mkdir()
        self.examples.mkdir()

    def settle(self) -> None:
        """Has Gradio and `tempfile` write here, and the room deleted when the process ends, by SIGTERM or Ctrl-C too.

        Before Gradio is imported: it reads GRADIO_TEMP_DIR then.
        """
        os.environ["GRADIO_TEMP_DIR"] = str(self.uploads)
        tempfile.tempdir = str(self.folder)
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._leave)

    def _leave(self, number: int, frame: object) -> None:
        """Ends the process at once: a regular exit waits for threads that may wait for the browser."""
        self.close()
        os._exit(128 + number)

    def close(self) -> None:
        """Deletes the room and all that is in it."""
        for _ in range(3):  # threads may still write
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def claim() -> Room:
    """A new room in the folder that GRADIO_TEMP_DIR names, or else in the system's own for temporary files."""
    room = Room(Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()))
    room.settle()
    return room


def clean(base: Path) -> None:
    """Deletes the rooms in `base` that belong to us and to no living process."""
    for folder in base.glob(f"{PREFIX}*"):
        if folder.is_symlink() or not folder.is_dir() or not _ours(folder):
            continue
        lock = FileLock(folder.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue  # in use
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _ours(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
