"""How long a detection with its map takes, and a purification; and their memory, step by step.

Each row is a process of its own, on two threads: as the processor is, in other runtimes, and held
to AVX2, which is what an old machine has. Cold is the whole process, from the interpreter's start
to the first map; warm is the median of 9 more, in seconds and in processor seconds. The verdict is
there before its map is drawn, so its time is told apart. Seconds count what else the machine does,
processor seconds do not. The file keeps the latest record of every processor that it was run on.
Memory goes into memory.json.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import (
    Options,
    check_stability,
    in_process,
    make_picture,
    processor,
    read,
    running_app,
    today,
    write,
)

AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
SETTINGS = {
    "as it is": {},
    "as it is, bfloat16": {"CAUSALCLIP_RUNTIME": "bfloat16"},
    "as it is, float32": {"CAUSALCLIP_RUNTIME": "float32"},
    "AVX2": AVX2,
}
PURIFIED = ((512, 512), (1024, 768))
STATUS = Path("/proc/self/status")
RUNTIMES = "int8", "float32"
REPEATS = 10  # of a detection, the first of them cold
PURIFICATIONS = 5  # after one to warm up


def measure(options: Options) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.jpg"
        make_picture(picture)
        rows = {
            name: _run_row("detection", picture, settings) for name, settings in SETTINGS.items()
        }
    record: dict[str, Any] = {"date": today(), "processor": processor(), "rows": rows}
    busy = os.getloadavg()[1]
    record |= {"load": busy} if busy > 3 else {}
    record["purification"] = [
        in_process("latency", "purification", str(w), str(h)) for w, h in PURIFIED
    ]
    record["app_ready"] = app_ready()
    write("memory", _measure_memory())
    others = [other for other in read("latency") or [] if other["processor"] != record["processor"]]
    return [record, *others]


def _run_row(work: str, path: Path, settings: dict[str, str]) -> dict[str, Any]:
    """Measure in a process of its own; `process`: its seconds until the first result."""
    start = time.perf_counter()
    row: dict[str, Any] = in_process("latency", work, str(path), environment=settings)
    warm_runs = (REPEATS - 1) * row["warm"]
    return row | {"process": time.perf_counter() - start - warm_runs}


def _time_detection(path: str) -> dict[str, Any]:
    """Measure file -> pixels -> detection -> drawn map, cold and warm, in the measured process."""
    import torch

    torch.set_num_threads(2)
    from causalclip.detector import Detector
    from causalclip.images.loading import load_image
    from causalclip.maps.overlay import draw_map, prepare

    detector = Detector.from_pretrained()

    verdicts: list[tuple[float, float]] = []  # seconds to a verdict, and processor seconds

    def judge() -> None:
        start, spent = time.perf_counter(), time.process_time()
        image = load_image(path)
        detection = detector.predict(image.pixels)
        verdicts.append((time.perf_counter() - start, time.process_time() - spent))
        draw_map(prepare(image.pixels, detection))

    row = timed(judge) | {"dtype": detector.runtime}
    seconds, cpu = zip(*verdicts[1:], strict=True)
    row |= {"verdict": median(seconds), "verdict_cpu": median(cpu)}
    pixels = load_image(path).pixels
    detection = detector.predict(pixels)
    check = timed(lambda: check_stability(detector, pixels, detection), repeats=3)
    return row | {
        "stability": check["warm"],
        "stability_cpu": check["cpu"],
        "peak_mb": check["peak_mb"],
    }


def timed(work: Callable[[], object], *, repeats: int = REPEATS) -> dict[str, Any]:
    """Return the seconds of a cold run, and of the warm ones after it the median and the slowest;
    processor seconds are the median of the warm ones."""
    times, cpu = [], []
    for _ in range(repeats):
        start, spent = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    warm = times[1:]
    return {
        "first": times[0],
        "warm": median(warm),
        "warm_worst": max(warm),
        "cpu": median(cpu[1:]),
        "peak_mb": peak,
    }


def _time_purifier(width: int, height: int) -> dict[str, Any]:
    """Measure the purification of a noise picture, warm, at its costliest: its attack detector
    calls every picture attacked."""
    import torch

    from purifier.denoiser.pipeline import PurifierPipeline

    torch.set_num_threads(2)
    purifier = PurifierPipeline.from_pretrained()
    if detector := purifier.config["attack_detector"]:
        *weight, bias = detector["weight"]
        purifier.register_to_config(attack_detector=detector | {"weight": (*weight, bias + 1e9)})  # type: ignore[attr-defined]
    pixels = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    purifier(pixels)
    walls, cpus = [], []
    for _ in range(PURIFICATIONS):
        wall, cpu = time.perf_counter(), time.process_time()
        purifier(pixels)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {
        "width": width,
        "height": height,
        "steps": 1,
        "warm": round(median(walls), 3),
        "warm_worst": round(max(walls), 3),
        "cpu": round(median(cpus), 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "date": today(),
    }


def app_ready() -> float:
    """Return the seconds from `python app.py` to its first answer over HTTP."""
    start = time.perf_counter()
    with running_app("", every=0.05):
        return time.perf_counter() - start


def _measure_memory() -> dict[str, Any]:
    """Return the resident MB after each step, for each runtime in a process of its own, and the
    most until then.

    Pages of files are shared between processes, and Linux takes them back where memory is short;
    the rest is the process's own.
    """
    rows = {
        name: in_process("latency", "memory", environment={"CAUSALCLIP_RUNTIME": name})
        for name in RUNTIMES
    }
    return {"processor": processor(), "torch": version("torch"), "runtimes": rows}


def resident() -> dict[str, int]:
    """Return the resident MB of all, of that of pages of files, and the most so far."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    every, files = (int(lines[name].split()[0]) // 1024 for name in ("VmRSS", "RssFile"))
    return {
        "mb": every,
        "files_mb": files,
        "most_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def steps() -> Iterator[str]:
    """Take one step after the other, in this process, and name each when it is done."""
    import torch

    torch.set_num_threads(2)
    yield "`import torch`"
    from causalclip.detector import Detector
    from causalclip.images.loading import load_image
    from causalclip.maps.overlay import draw_map, prepare

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
    yield "its check"
    import purifier.denoiser.pipeline  # noqa: F401

    yield "the purifier is imported"
    _time_purifier(1024, 768)
    yield "six purifications of 1,024 x 768"


if __name__ == "__main__":  # a row of a table, in the measured process
    work, *arguments = sys.argv[1:]
    if work == "memory":
        print(json.dumps([{"after": what} | resident() for what in steps()]))
    elif work == "purification":
        print(json.dumps(_time_purifier(*map(int, arguments))))
    else:
        print(json.dumps(_time_detection(*arguments)))
