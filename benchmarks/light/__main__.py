"""What a verdict costs, beside its aims: python -m benchmarks.light [--measure]

Joins what benchmarks/latency.py, load.py, archive.py and light/memory.py have kept into one table. --measure runs them
first, shortly (seven minutes on two quiet cores), and prints how busy the machine was meanwhile. `before` is what
they had kept on 29 November 2026, before maps waited for the first scores of others and pixels of an archive stayed
where they are judged; the lines of the archive and of visitors are of an earlier detector there, with more views.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.light.memory import CHECKED

ROOT = Path(__file__).resolve().parents[2]
BEFORE = ROOT / "benchmarks" / "light" / "before.json"
RUNS = (
    ("benchmarks/latency.py", "--alone"),
    ("benchmarks/load.py", "--first-verdicts", "--visitors", "16"),
    ("benchmarks/archive.py", "--short", "--pictures", "100"),
    ("-m", "benchmarks.light.memory"),
)
Found = dict[str, Any]  # of each benchmark by its name: what it has kept

LINES: tuple[tuple[str, str, str, Callable[[Found], float | None]], ...] = (
    ("verdict, as it is", "s", "0.12", lambda found: found["as it is"].get("verdict")),
    ("verdict, held to AVX2", "s", "0.4", lambda found: found["AVX2"].get("verdict")),
    ("verdict and map, as it is", "s", "0.25", lambda found: found["as it is"]["warm"]),
    ("verdict and map, held to AVX2", "s", "0.9", lambda found: found["AVX2"]["warm"]),
    ("processor seconds of both", "s", "0.3", lambda found: found["as it is"]["cpu"]),
    ("stability check, as it is", "s", "0.5", lambda found: found["as it is"]["stability"]),
    ("stability check, held to AVX2", "s", "2", lambda found: found["AVX2"]["stability"]),
    ("first verdict of 16 visitors at once, half", "s", "1.5", lambda found: found["visitors"]["first_p50_s"]),
    ("first verdict of 16 visitors at once, 95 %", "s", "3", lambda found: found["visitors"]["first_p95_s"]),
    ("peak memory of a detection with its check", "MB", "800", lambda found: found["memory"][CHECKED]),
    ("peak memory with Purify", "MB", "1,100", lambda found: max(found["memory"].values())),
    ("archive, memory of all with 1 worker", "MB", "1,000", lambda found: found["one"]["peak_mb"]),
    ("archive, memory of all with 2 workers", "MB", "2,000", lambda found: found["two"]["peak_mb"]),
    ("archive, 2 workers, pictures a second", "", "8", lambda found: found["two"]["pictures a second"]),
    ("archive, 2 workers against 1", "times", "1.8", lambda found: found["one"]["seconds"] / found["two"]["seconds"]),
)


def kept(folder: Path = ROOT / "benchmarks") -> dict[str, float | None]:
    """Each line's number by what the benchmarks have kept last; None where they have not measured it."""
    latency, load, archive, memory = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("latency", "load", "archive", "light/memory")
    )
    found: Found = latency[0]["rows"] | {"memory": {r["after"]: r["most_mb"] for r in memory["runtimes"]["int8"]}}
    found["visitors"] = next(row for row in load["first_verdicts"]["rows"] if row["visitors"] == 16)
    found["one"], found["two"] = (archive["speed"][f"archive, {count}"] for count in ("1 worker", "2 workers"))
    return {what: read(found) for what, _, _, read in LINES}


def table(before: dict[str, float | None], now: dict[str, float | None]) -> str:
    """Markdown."""
    lines = ["| | before | now | aim |", "|---|---|---|---|"]
    for what, unit, aim, _ in LINES:
        lines.append(
            f"| {what} | {_cell(before[what], unit)} | {_cell(now[what], unit)} | {aim} {unit}".rstrip() + " |"
        )
    return "\n".join(lines)


def _cell(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} MB" if unit == "MB" else f"{value:.2f} {unit}".rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    for run in RUNS if options.measure else ():
        started = time.perf_counter()
        subprocess.run([sys.executable, *run], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        print(f"{' '.join(run)}: {time.perf_counter() - started:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    print(table(json.loads(BEFORE.read_text())["before"], kept()))


if __name__ == "__main__":
    main()
