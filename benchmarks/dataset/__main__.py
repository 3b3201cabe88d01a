"""How long `data collect` takes from mirrors, and `data check`; writes speed.json beside this file, with the load.

    python -m benchmarks.dataset --mirrors DIR --originals DIR [--sites 40] [--reserved FILE]

`collect` brings the pictures of so many owners, drawn by a hash, into a folder that is thrown away. `check` looks at
the whole table, with the originals that are there, and writes check.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WORKERS = 2


def timed(*arguments: str) -> dict[str, Any]:
    """Runs a command of `data`; seconds, seconds of processors, the load before and after, and what it said."""
    before, started, load = os.times(), time.perf_counter(), os.getloadavg()[0]
    done = subprocess.run([sys.executable, "-m", "causalclip", "data", *arguments], capture_output=True, text=True)
    after = os.times()
    processors = sum(after[2:4]) - sum(before[2:4])
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(processors, 1),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "exit_code": done.returncode,
        "said": [line for line in done.stdout.splitlines() if line.endswith((").", "faults."))],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--originals", type=Path, required=True)
    parser.add_argument("--sites", type=int, default=0, help="0: all")
    parser.add_argument("--reserved", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = ["--mirrors", str(options.mirrors), "--sites", str(options.sites), "--workers", str(WORKERS)]
        collect = timed("collect", "--out", folder, *told)
        files = [p for p in Path(folder).rglob("*") if p.parent.parent == Path(folder)]
        collect |= {"pictures": len(files), "megabytes": round(sum(p.stat().st_size for p in files) / 1e6)}
        collect["pictures_a_second"] = round(len(files) / collect["seconds"], 1)
    reserved = ["--reserved", str(options.reserved)] if options.reserved else []
    rules = timed("check", *reserved)
    hints = timed("check", *reserved, "--originals", str(options.originals), "--out", str(HERE / "check.json"))
    report = {"processors": os.cpu_count(), "workers": WORKERS, "collect": collect, "check": rules, "hints": hints}
    (HERE / "speed.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
