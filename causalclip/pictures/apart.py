"""A process of its own for native decoders: it ends at its limit of memory or time, whatever a file makes them do."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from causalclip.pictures.nursery import MODULES, Child, Nursery

PATIENCE = 60.0  # seconds until the process is given up, whatever it does
OUT_OF_MEMORY = 3  # its exit status then
_NURSERY = Nursery()


T = TypeVar("T")


class TooCostly(Exception):
    """The process ended at its limit of memory or time."""


def run_apart(module: str, argument: str, data: bytes, *, read: Callable[[IO[bytes]], T]) -> T:
    """What `read` makes of the standard output of `python -m module argument`, which is given `data` on standard input.

    The module sets its own limits, by `limit_memory` and `limit_time`, and exits with OUT_OF_MEMORY where it notices.
    It reads all of its input before it writes.

    Args:
        read: must bear an output that breaks off; what it returned is then dropped.

    Raises TooCostly if it ended at its limits, RuntimeError if it could not run at all.
    """
    late = threading.Event()
    with tempfile.TemporaryFile() as errors, _started(module, argument, errors) as process:
        assert process.stdin
        assert process.stdout

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(PATIENCE, end)
        timer.start()
        try:
            with suppress(BrokenPipeError):  # it has ended already
                process.stdin.write(data)
            with suppress(BrokenPipeError):
                process.stdin.close()
            found = read(process.stdout)
            code = process.wait()
        finally:
            timer.cancel()
        if late.is_set() or code < 0 or code == OUT_OF_MEMORY:  # below 0: ended by a signal
            raise TooCostly
        if code > 0:
            errors.seek(0)
            raise RuntimeError(f"{module} did not run: " + errors.read().decode(errors="replace").strip()[-200:])
    return found


def _started(module: str, argument: str, errors: IO[bytes]) -> Child | subprocess.Popen[bytes]:
    if module in MODULES and sys.platform == "linux":
        return _NURSERY.bear(module, argument, errors)
    return subprocess.Popen(
        [sys.executable, "-m", module, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )


def limit_memory(size: int) -> None:
    """Let this process hold at most so many bytes of data; only Linux keeps to it."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def limit_time(seconds: float) -> None:
    """Let the system end this process after so many seconds of processor time from now."""
    if sys.platform != "win32":
        import signal

        signal.setitimer(signal.ITIMER_PROF, seconds)
