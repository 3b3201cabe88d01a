"""A process of its own for native decoders: it ends at its limit of memory or time, whatever a file makes them do."""

import os
import subprocess
import sys
from pathlib import Path

PATIENCE = 60.0  # seconds until the process is given up, whatever it does
OUT_OF_MEMORY = 3  # its exit status then


class TooCostly(Exception):
    """The process ended at its limit of memory or time."""


def run_apart(module: str, argument: str, data: bytes) -> bytes:
    """What `python -m module argument` writes to standard output when it is given `data` on standard input.

    The module sets its own limits, by `limit_memory` and `limit_time`, and exits with OUT_OF_MEMORY where it notices.
    Raises TooCostly if it ended at them, RuntimeError if it could not run at all.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, argument],
            input=data,
            capture_output=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise TooCostly from None
    if done.returncode < 0 or done.returncode == OUT_OF_MEMORY:  # below 0: ended by a signal
        raise TooCostly
    if done.returncode > 0:
        raise RuntimeError(f"{module} did not run: " + done.stderr.decode(errors="replace").strip()[-200:])
    return done.stdout


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
