"""The start of the app, as `python app.py` and as the console script `causalclip-app`, in a private
folder of its own.

All that the app or a library writes of visitors while it runs goes into that folder, nowhere else.
It goes when the process ends; if that was killed, the next start deletes it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import threading
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from filelock import FileLock, Timeout

from causalclip.cores import limit_threads
from causalclip.settings import SettingsError, describe_settings, read_settings
from ui.server.memory import limit_arenas

PREFIX = "causalclip-run-"


class RunFolder:
    """A folder that only its owner can read, locked for as long as this process lives.

    Attributes:
        uploads: where Gradio keeps files.
        examples: the examples' files, which anybody may see.
    """

    def __init__(self, base: Path) -> None:
        """Make a new folder in `base`; delete the folders there whose process is dead."""
        base.mkdir(parents=True, exist_ok=True)
        clean(base)
        handle, name = tempfile.mkstemp(prefix=PREFIX, suffix=".lock", dir=base)
        os.close(handle)
        self._lock = FileLock(name)
        self._lock.acquire(timeout=10)
        # made after its lock: one without a lock is a dead one
        self.folder = Path(name).with_suffix("")
        self.folder.mkdir(mode=0o700)
        self.uploads = self.folder / "uploads"
        self.examples = self.folder / "examples"
        self.uploads.mkdir()
        self.examples.mkdir()

    def use(self) -> None:
        """Have Gradio and `tempfile` write here, and all of it deleted when the process ends, by
        SIGTERM or Ctrl-C too.

        Before Gradio is imported: it reads GRADIO_TEMP_DIR then.
        """
        os.environ["GRADIO_TEMP_DIR"] = str(self.uploads)
        tempfile.tempdir = str(self.folder)
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._leave)

    def _leave(self, number: int, frame: object) -> None:
        """End the process at once: a regular exit waits for threads that may wait for the
        browser."""
        self.close()
        os._exit(128 + number)

    def close(self) -> None:
        """Delete the folder and all that is in it."""
        for _ in range(3):  # threads may still write
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def claim() -> RunFolder:
    """Make and use a run folder in the one that GRADIO_TEMP_DIR names, or else in the system's
    folder for temporary files; return it."""
    run = RunFolder(read_settings().temporary_folder or Path(tempfile.gettempdir()))
    run.use()
    return run


def clean(base: Path) -> None:
    """Delete the folders in `base` that belong to us and to no living process."""
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
    """Return whether a folder belongs to the user of this process, where the system has users."""
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()


def _check_settings() -> None:
    try:
        read_settings()
    except SettingsError as error:
        raise SystemExit(str(error)) from None


def main() -> None:
    """Claim a private folder, build the page and serve it until it is stopped."""
    parser = ArgumentParser(
        description="CausalCLIP's app: open the address that it prints.",
        epilog=f"variables of the environment:\n{describe_settings()}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    _check_settings()
    limit_threads()  # before PyTorch is imported
    limit_arenas()
    run = claim()  # before Gradio is imported: parts of it read only then where to write
    from ui.app import main as serve

    serve(run)
