"""A command of `python -m causalclip`, timed."""

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Timed:
    """seconds: by the clock. processor_seconds: git's among them. load: of a minute, before and after."""

    seconds: float
    processor_seconds: float
    load: tuple[float, float]
    exit_code: int

    def numbers(self) -> dict[str, Any]:
        """What is kept of it."""
        return {name: value for name, value in asdict(self).items() if name != "exit_code"}


def timed(*arguments: str) -> Timed:
    """Runs a command to its end, whatever its exit code; what it says is shown, not kept."""
    before, started, load = os.times(), time.perf_counter(), os.getloadavg()[0]
    done = subprocess.run([sys.executable, "-m", "causalclip", *arguments])
    seconds, after = time.perf_counter() - started, os.times()
    return Timed(
        seconds=round(seconds, 1),
        processor_seconds=round(sum(after[2:4]) - sum(before[2:4]), 1),
        load=(round(load, 1), round(os.getloadavg()[0], 1)),
        exit_code=done.returncode,
    )
