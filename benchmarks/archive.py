"""How fast an archive is judged, and in how much memory: python benchmarks/archive.py [--pictures N]

Speed, on a machine that does nothing else: pictures of 640 x 480 made here, judged by the shipped detector, without
stability checks, in the plain loop of `detect`, by `archive` with 1 and 2 workers, and once more while one worker is
killed in the middle. Memory: the most that the command and all of its processes have together, for --memory pictures of
96 x 96 and a tiny detector, so that it is the pipeline that is measured. Writes benchmarks/archive.json, with what a
million pictures would cost by these figures. With --short, only the rows of 1 and 2 workers are measured; memory stays
as it was, with its date.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import processor  # noqa: E402

MILLION = 1_000_000


def make_pictures(folder: Path, count: int, *, size: tuple[int, int]) -> Path:
    """`count` JPEGs of noise over a slope, each another."""
    folder.mkdir(parents=True)
    slope = np.linspace(0, 180, size[0])[None, :, None]
    for i in range(count):
        noise = np.random.default_rng(i).integers(0, 60, (size[1], size[0], 3))
        Image.fromarray((slope + noise).astype(np.uint8)).save(folder / f"{i:06d}.jpg", quality=85)
    return folder


def run(arguments: list[str], *, after: Callable[[psutil.Process], None] | None = None) -> dict[str, float]:
    """Runs `python -m causalclip ...`: seconds, and the most memory of all its processes together, in MB."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "causalclip", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process = psutil.Process(child.pid)
    if after:
        threading.Thread(target=after, args=(process,), daemon=True).start()
    peak = 0.0
    while child.poll() is None:
        peak = max(peak, together(process))
        time.sleep(0.2)
    if child.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {child.returncode}.")
    return {"seconds": time.perf_counter() - started, "peak_mb": peak / 1e6}


def together(process: psutil.Process) -> float:
    """Bytes of a process and all below it; shared pages count once a sharer's share."""
    total = 0.0
    for one in [process, *children(process)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:  # it has ended since
            continue
    return total


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:  # it has ended since
        return []


def kill_a_worker(process: psutil.Process) -> None:
    """Kills the first worker that judges, ten seconds after it is there."""
    while process.is_running():
        workers = [p for p in children(process) if "MapWorker" in " ".join(p.cmdline())]
        if workers:
            time.sleep(10)
            workers[0].kill()
            return
        time.sleep(0.2)


def speed(folder: Path, count: int, *, short: bool) -> dict[str, Any]:
    source = str(make_pictures(folder / "source", count, size=(640, 480)))

    def archive(workers: int, name: str, **options: Any) -> dict[str, float]:
        return run(["archive", source, "--out", str(folder / name), "--workers", str(workers)], **options)

    rows = {"archive, 1 worker": archive(1, "one"), "archive, 2 workers": archive(2, "two")}
    if not short:
        rows = {"detect, the plain loop": run(["detect", source])} | rows
        rows["archive, 2 workers, one killed"] = archive(2, "killed", after=kill_a_worker)
    return {name: row | {"pictures a second": count / row["seconds"]} for name, row in rows.items()}


def memory(folder: Path, counts: list[int]) -> dict[str, Any]:
    from tests.makers.detectors import saved_detector

    saved_detector(folder)
    rows = {}
    for count in counts:
        source = make_pictures(folder / f"source-{count}", count, size=(96, 96))
        model = ["--model", str(folder / "model"), "--workers", "1"]
        rows[f"{count:,}"] = run(["archive", str(source), "--out", str(folder / f"out-{count}"), *model])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=300, help="for the speed; 0 leaves it out")
    parser.add_argument("--memory", type=int, nargs="*", default=[1000, 4000, 16000], help="for the memory")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "archive.json")
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    old = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    report: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "processor": processor()}
    with tempfile.TemporaryDirectory() as name:
        if arguments.pictures:
            measured = speed(Path(name) / "speed", arguments.pictures, short=arguments.short)
            report |= {"pictures": arguments.pictures, "speed": measured, "load": os.getloadavg()[1]}
            best = report["speed"]["archive, 2 workers"]["pictures a second"]
            report["hours for a million"] = {str(n): MILLION / best / n / 3600 for n in (1, 10, 100)}
        if not arguments.short:
            report |= {"memory": memory(Path(name) / "memory", arguments.memory), "memory_date": report["date"]}
        elif "memory" in old:
            report |= {"memory": old["memory"], "memory_date": old.get("memory_date", old["date"])}
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
