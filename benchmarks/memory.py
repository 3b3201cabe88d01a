"""What takes the memory of a detection and of purifications, step by step.

For each runtime a process of its own: resident MB after each step, and the most until then. Pages of files are shared
between processes, and Linux takes them back where memory is short; the rest is the process's own.
"""

import json
import resource
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.common import Options, in_process, make_picture, processor

STATUS = Path("/proc/self/status")
RUNTIMES = "int8", "int8-avx2", "float32"  # int8 runs without VNNI, too, but slower
CHECKED = "its check"


def measure(options: Options) -> dict[str, Any]:
    rows = {name: in_process("memory", environment={"CAUSALCLIP_RUNTIME": name}) for name in RUNTIMES}
    return {"processor": processor(), "torch": version("torch"), "runtimes": rows}


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
    from causalclip.evidence.stability import check_stability
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
    yield CHECKED
    import purifier.denoiser.pipeline  # noqa: F401
    from benchmarks.latency import time_purifier

    yield "the purifier is imported"
    time_purifier(1024, 768)
    yield "six purifications of 1,024 x 768"


if __name__ == "__main__":
    print(json.dumps([{"after": what} | resident() for what in steps()]))
