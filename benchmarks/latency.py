"""How long a detection with its map takes, and how much memory: python benchmarks/latency.py [--out FILE.json]

Each row is a process of its own, on two threads: once as the processor is, once held to AVX2, which is what an ordinary
machine has. Cold is the whole process, from the interpreter's start to the first map; warm is the median of 9 more.
The file keeps the latest record of every processor that it was run on.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.purification import speed  # noqa: E402
from purifier.models import shipped  # noqa: E402

SIZE = (1024, 768)
SETTINGS = {"as it is": {}, "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def make_picture(path: Path) -> None:
    """A JPEG of SIZE from a photograph that scikit-image's wheel carries."""
    import skimage.data
    from PIL import Image

    Image.fromarray(skimage.data.astronaut()).resize(SIZE, Image.Resampling.BICUBIC).save(path, quality=90)


def measure_one(path: str) -> dict[str, Any]:
    """In the measured process: file -> pixels -> detection -> drawn map, cold and warm."""
    import torch

    torch.set_num_threads(2)
    from causalclip.detector import Detector
    from causalclip.maps.overlay import draw_map, prepare
    from causalclip.pictures.loading import load_image

    detector = Detector.from_pretrained()
    times = []
    for _ in range(10):
        started = time.perf_counter()
        image = load_image(path)
        draw_map(prepare(image.pixels, detector.predict(image.pixels)))
        times.append(time.perf_counter() - started)
    return {
        "dtype": str(detector.tower.dtype).removeprefix("torch."),
        "first": times[0],
        "warm": sorted(times[1:])[4],
        "warm_worst": max(times[1:]),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_row(path: Path, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(path)]
    started = time.perf_counter()
    environment = os.environ | environment | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return row | {"process": time.perf_counter() - started - 9 * row["warm"]}


def app_ready(port: int = 7999) -> float:
    """Seconds from `python app.py` to its first answer over HTTP."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
    started = time.perf_counter()
    app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        while time.perf_counter() - started < 120:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                return time.perf_counter() - started
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
    finally:
        app.terminate()
        app.wait()
    raise RuntimeError("The app did not answer within 120 s.")


def processor() -> dict[str, Any]:
    """The processor's name, and which of the flags that matter here it has."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    line = next((part for part in text.splitlines() if part.startswith("model name")), "")
    flags = next((part for part in text.splitlines() if part.startswith("flags")), "").split()
    name = line.partition(":")[2].strip() or platform.processor()
    return {"name": name, "flags": [f for f in FLAGS if f in flags], "cores": os.cpu_count()}


def table(report: list[dict[str, Any]]) -> str:
    """A table a machine, the latest first."""
    return "\n\n".join(_machine(record) for record in report)


def _machine(record: dict[str, Any]) -> str:
    head = ("processor held to", "matrices in", "warm, s", "slowest of 9, s", "whole process, s", "peak memory, MB")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, r in record["rows"].items():
        times = f"{r['warm']:.2f} | {r['warm_worst']:.2f} | {r['process']:.1f}"
        lines.append(f"| {name} | {r['dtype']} | {times} | {r['peak_mb']:.0f} |")
    purified = ["", speed.table(record["purification"])] if record["purification"] else []
    cpu = record["processor"]
    where = f"{cpu['name']}, {cpu['cores']} cores ({', '.join(cpu['flags'])}); a 1,024 x 768 JPEG, file to drawn map."
    when = f"App ready {record['app_ready']:.1f} s after `python app.py`. Measured on {record['date']}."
    return "\n".join([f"**{cpu['name']}**", "", *lines, *purified, "", f"{where} {when}"])


def kept(record: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """This machine's record before those of other machines that the file holds."""
    others = json.loads(path.read_text()) if path.is_file() else []
    return [record, *(other for other in others if other["processor"] != record["processor"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "latency.json")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure_one(options.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.jpg"
        make_picture(picture)
        rows = {name: run_row(picture, environment) for name, environment in SETTINGS.items()}
    purification = speed.measure_all() if shipped() else []
    record = {"date": datetime.now(UTC).date().isoformat(), "processor": processor(), "rows": rows}
    report = kept(record | {"purification": purification, "app_ready": app_ready()}, options.out)
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
