"""What the benchmarks share: options, JSON files, test pictures, child processes, the app, the
processor's name."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from causalclip.paths import DEFAULT_HEAD, HEADS
from training.dataset.rules import read_originals
from training.detector.data import Record
from training.detector.evaluation import read_split

if TYPE_CHECKING:  # importing the detector is a part of what latency measures
    import numpy as np

    from causalclip.detection import Detection, Verdict
    from causalclip.detector import Detector
    from causalclip.examination.stability import Stability

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TABLE = ROOT / "training" / "tables" / "pictures.csv.gz"
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16")
PORT = 7998  # of the app that is measured
SIZE = (1024, 768)  # px, of the picture that is timed
LABEL_OF_BAND = {"likely generated": 1, "likely not generated": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line sets.

    Attributes:
        data: with the folders forensics and vlm.
        originals: of `python -m training data collect`.
        cache: for features and rows.
        files: the marked files of training/tables/marks.csv, as SHA256.EXT; of `signatures` a
            git directory, of `forwarded` a folder of them.
        vlm: the vision-language model that is attacked and asked.
        prompt: a file with a defence prompt for it.
        device: auto, cpu or cuda, of what can use a graphics card.
        pictures: how many are judged, where judging is slow; 0 for as many as the published table
            has.
    """

    data: Path = ROOT.parent / "shared" / "data"
    originals: Path = ROOT.parent / "originals"
    cache: Path = ROOT / ".cache" / "features"
    files: Path = ROOT.parent / "marked"
    recipe: Path = ROOT / "training" / "configs" / "linear.json"
    model: str = HEADS[DEFAULT_HEAD]
    vlm: str = "embedded"
    prompt: str = ""
    device: str = "auto"
    pictures: int = 0
    minutes: float = 5.0
    clients: int = 32

    @property
    def forensics(self) -> Path:
        return self.data / "forensics"


def read(name: str) -> Any:
    """A benchmark's JSON; None where it has not run."""
    path = HERE / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write(name: str, report: Any) -> None:
    """Write a benchmark's JSON; a report that has no date gets today's."""
    if isinstance(report, dict):
        report = {"date": today()} | report
    (HERE / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"benchmarks/{name}.json is written.", flush=True)


def kept_file(folder: Path, what: str, suffix: str, make: Callable[[Path], object]) -> Path:
    """Return the file in which `make` has written its result, now or in an earlier run.

    Args:
        folder: made if needed.
        what: names the result; what the file's name is made of.
        make: is given the path to write to.
    """
    path = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}{suffix}"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # another run may be making the same one
        unfinished = path.with_suffix(f".{os.getpid()}.part{suffix}")
        make(unfinished)
        unfinished.replace(path)
    return path


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def test_records(options: Options) -> list[Record]:
    """The packed test pictures and, where their originals are there, those of the set `sites` as
    they were found."""
    records = read_split(options.forensics / "manifest.csv", "test")
    if not options.originals.is_dir():
        return records
    originals = [
        r
        for r in read_originals(TABLE, options.originals, split="test")
        if r.set == "sites" and r.kind == "photo"
    ]
    return records + [replace(r, path=str(options.originals.resolve() / r.path)) for r in originals]


def in_process(module: str, *arguments: str, environment: dict[str, str] | None = None) -> Any:
    """Return what `python -m benchmarks.MODULE ARGUMENTS` prints as JSON, on two threads; in a
    process of its own, so that neither time nor memory is another measurement's."""
    settings = (
        {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ | (environment or {}) | {"OMP_NUM_THREADS": "2"}
    )
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    process = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=settings, cwd=ROOT
    )
    return json.loads(process.stdout.strip().splitlines()[-1])


@contextmanager
def running_app(
    page: str = "healthz", *, every: float = 0.2
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """(`python app.py`, its address) once this page of it answers, asked every so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(PORT),
            "GRADIO_TEMP_DIR": folder,
        }
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=os.environ | settings,
            stdout=subprocess.DEVNULL,
        )
        address, until = f"http://127.0.0.1:{PORT}/", time.monotonic() + 120
        try:
            while not _answers(address + page):
                if time.monotonic() > until:
                    raise TimeoutError("The app did not answer within 120 s.")
                time.sleep(every)
            yield process, address
        finally:
            process.terminate()
            process.wait(30)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).is_success
    except httpx.HTTPError:
        return False


def check_stability(
    detector: Detector, pixels: np.ndarray, verdict: Detection | Verdict | None = None
) -> Stability:
    """Return the answers for a picture (uint8 RGB [H, W, 3]) after all re-encodings, judged at
    once.

    verdict: of the picture as it is, where it has been judged already.
    """
    from causalclip.examination.stability import COPIES, copy_source, judge_copies

    verdict = verdict or detector.score(pixels)
    centre = copy_source(pixels)
    is_centre = centre.size < pixels.size
    copies = judge_copies(detector, centre, verdict, is_centre=is_centre, together=COPIES + 1)
    return next(copies)


def make_picture(path: Path) -> None:
    """A JPEG of SIZE from a photograph that scikit-image's wheel carries."""
    import skimage.data
    from PIL import Image

    Image.fromarray(skimage.data.astronaut()).resize(SIZE, Image.Resampling.BICUBIC).save(
        path, quality=90
    )


def processor() -> dict[str, Any]:
    """The processor's name, and which of the flags that matter here it has."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    line = next((part for part in text.splitlines() if part.startswith("model name")), "")
    flags = next((part for part in text.splitlines() if part.startswith("flags")), "").split()
    name = line.partition(":")[2].strip() or platform.processor()
    return {"name": name, "flags": [f for f in FLAGS if f in flags], "cores": os.cpu_count()}
