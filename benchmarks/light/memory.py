"""What takes the memory of a detection and of purifications: python -m benchmarks.light.memory

For each runtime a process of its own, on two threads: resident MB after each step, and the most until then. Pages of
files are shared between processes, and Linux takes them back where memory is short; the rest is the process's own.
Writes benchmarks/light/memory.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.latency import make_picture, processor

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).resolve().parent / "memory.json"
STATUS = Path("/proc/self/status")
RUNTIMES = "int8", "int8-avx2", "float32"  # int8 runs without VNNI, too, but slower
CHECKED = "its check"


def resident() -> dict[str, int]:
    """MB of all, of that pages of files, and the most so far."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    every, files = (int(lines[name].split()[0]) // 1024 for name in ("VmRSS", "RssFile"))
    return {"mb": every, "files_mb": files, "most_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def steps() -> Iterator[str]:
    """Takes one step after the other, in this process, and names each when it is done."""
    import torch

    torch.set_num_threads(2)
    yield "`import torch`"
    from causalclip.detector import Detector
    from causalclip.examine.stability import check_stability
    from causalclip.maps.overlay import draw_map, prepare
    from causalclip.memory import give_back, keep_little
    from causalclip.pictures.loading import load_image

    keep_little()  # as the app does
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        make_picture(path)
        pixels = load_image(path).pixels
    detector = Detector.from_pretrained()
    yield "the detector is loaded"
    detection = detector.predict(pixels)
    yield "a detection of 1,024 x 768"
    draw_map(prepare(pixels, detection))
    yield "its map"
    check_stability(detector, pixels, detection)
    yield CHECKED
    give_back()
    yield "memory that is free is given back, as the app does"
    import purifier.denoiser.pipeline  # noqa: F401
    from benchmarks.purification.speed import measure_purifier

    yield "the purifier is imported"
    measure_purifier(1024, 768)
    yield "six purifications of 1,024 x 768"


def measure(runtime: str) -> list[dict[str, Any]]:
    """A row a step, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.light.memory", "--one"]
    environment = os.environ | {"CAUSALCLIP_RUNTIME": runtime, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    rows: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.one:
        print(json.dumps([{"after": what} | resident() for what in steps()]))
        return
    from importlib.metadata import version

    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "torch": version("torch"),
        "runtimes": {runtime: measure(runtime) for runtime in RUNTIMES},
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["runtimes"], indent=1))


if __name__ == "__main__":
    main()
