"""How long a purification takes, and how much memory: python -m benchmarks.purification.speed [--out FILE.json]

Each row is a process of its own on two threads: one warm-up, then the median of five, at the default number of steps.
`cpu` is the processor time, which says what the network costs also on a machine that is busy with other things.

Machines differ by more than versions do. So an aim in seconds counts on the machine on which it was set: --first FILE
names what the same command wrote, in the same hour, in a checkout of 740bcdc, the version of that day.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
SIZES = ((512, 512), (1024, 768))
RUNS = 5


def measure_purifier(width: int, height: int, *, steps: int = 1, untrained: bool = False) -> dict[str, Any]:
    """In the measured process: seconds of one purification of a noise picture, warm, at its costliest: the gate
    opens.

    Args:
        untrained: the network without weights and gate, which is faster, where none are shipped.
    """
    import torch

    from purifier.denoiser.pipeline import PurifierPipeline, new_pipeline

    torch.set_num_threads(2)
    purifier = new_pipeline() if untrained else PurifierPipeline.from_pretrained()
    if gate := purifier.config["gate"]:
        *weight, bias = gate["weight"]
        purifier.register_to_config(gate=gate | {"weight": (*weight, bias + 1e9)})  # type: ignore[attr-defined]
    pixels = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    purifier(pixels, steps)
    walls, cpus = [], []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        purifier(pixels, steps)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {
        "width": width,
        "height": height,
        "steps": steps,
        "warm": round(median(walls), 3),
        "warm_worst": round(max(walls), 3),
        "cpu": round(median(cpus), 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "trained": not untrained,
        "date": datetime.now(UTC).date().isoformat(),
    }


def measure_all(*, untrained: bool = False) -> list[dict[str, Any]]:
    """One row a size, each in a process of its own."""
    rows = []
    for width, height in SIZES:
        command = [sys.executable, "-m", "benchmarks.purification.speed", "--one", f"{width}x{height}"]
        environment = os.environ | {"OMP_NUM_THREADS": "2"}
        flags = ["--untrained"] if untrained else []
        done = subprocess.run([*command, *flags], capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    names = "purified at its costliest", "steps", "warm, s", "slowest of 5, s", "first purifier, s", "peak memory, MB"
    lines = [f"| {' | '.join(names)} | measured on |", "|---" * 7 + "|"]
    for r in rows:
        size = f"{r['width']:,} x {r['height']:,}"
        first = f"{r['first']:.2f}" if "first" in r else ""
        seconds = f"{r['warm']:.2f} | {r['warm_worst']:.2f} | {first}"
        lines.append(f"| {size} | {r['steps']} | {seconds} | {r['peak_mb']} | {r['date']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--untrained", action="store_true", help="the network without weights, where none are shipped")
    parser.add_argument("--first", type=Path, help="what was measured of the first version, on this machine")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "purification" / "speed.json")
    options = parser.parse_args()
    if options.one:
        width, height = map(int, options.one.split("x"))
        print(json.dumps(measure_purifier(width, height, untrained=options.untrained)))
        return
    rows = measure_all(untrained=options.untrained)
    if options.first:
        first = {row["width"]: row["warm"] for row in json.loads(options.first.read_text())}
        rows = [row | {"first": first[row["width"]]} for row in rows]
    options.out.write_text(json.dumps(rows, indent=2) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
