"""What judges faster where a processor has AVX2 alone: python -m benchmarks.light.avx2 [--pictures 60] [--tried]

Every way judges the same originals of `train`, half of them generated, held to AVX2 on one thread: processor seconds a
verdict (the least of each picture's rounds would take too long: the median over pictures), and how far log-odds lie
from float32's. "int8 with VNNI" is what ships for other processors and is not held to anything. --tried measures what
does not ship, too. Judged pictures are kept in .cache, so that an interrupted run goes on: delete them to begin anew.
Writes benchmarks/light/avx2.json, where rows that were not measured now stay.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from csv import DictReader
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from benchmarks.latency import AVX2, ROOT, processor
from benchmarks.light.cheaper import Trial
from causalclip.clip.backbones import load_tower
from causalclip.clip.runtime import Runtime
from causalclip.clip.weights import ASSETS, read_shards
from causalclip.detector import Detector
from causalclip.pictures.loading import load_image

OUT = Path(__file__).resolve().parent / "avx2.json"
CACHE = ROOT / ".cache" / "light-avx2"
FLOAT, AVX2_ALONE, VNNI = "float32", "int8-avx2, as it ships", "int8 with VNNI, as it ships"
Row = dict[str, Any]
Way = Callable[[], tuple[Detector, dict[str, Any]]]  # a detector, and options of its `judge_all`
MOST = 3_000_000  # pixels of a picture: decoding larger ones takes longer than judging them


def shipped(runtime: Runtime) -> Way:
    return lambda: (Detector.from_pretrained(runtime=runtime), {})


SHIPPED: dict[str, Way] = {FLOAT: shipped("float32"), AVX2_ALONE: shipped("int8-avx2"), VNNI: shipped("int8")}


def tried() -> dict[str, Way]:
    """What does not ship, by its name in the table."""

    def trial(**options: Any) -> tuple[Detector, dict[str, Any]]:
        detector = Detector.from_pretrained(runtime="float32")
        int8 = read_shards(ASSETS / detector.config.backbone) if "bits" in options else None
        detector.tower = Trial(detector.tower, int8, **options).eval()
        return detector, {}

    def smaller(size: int) -> tuple[Detector, dict[str, Any]]:
        detector = Detector.from_pretrained(runtime="float32")
        detector.tower = load_tower(f"{detector.config.backbone}@{size}", dtype=torch.float32)
        return detector, {}

    return {
        "int8, weights of 7 bits, inputs of 8": lambda: trial(bits=7, apart=16, views=2),
        "int8, weights of 8 bits, inputs of 7": lambda: trial(bits=8, apart=0, views=2),
        "float32, 8 tokens merged a layer": lambda: trial(merged=8, views=2),
        "float32, 14 tokens merged a layer": lambda: trial(merged=14, views=2),
        "float32, views of 160 px": lambda: smaller(160),
        "float32, one view of the whole alone": lambda: (
            Detector.from_pretrained(runtime="float32"),
            {"windows": 0, "squares": 1},
        ),
    }


def choose(originals: Path, count: int, *, seed: int = 0) -> list[Path]:
    """Photographs of `train`, half of them generated, by a seed."""
    with gzip.open(ROOT / "data" / "pictures.csv.gz", "rt", newline="") as file:
        rows = [r for r in DictReader(file) if (r["split"], r["kind"], r["hard"]) == ("train", "photo", "")]
    rows = [r for r in rows if int(r["width"]) * int(r["height"]) <= MOST and "edit" not in r["set"]]
    Random(seed).shuffle(rows)
    found: list[Path] = []
    for label in ("real", "fake"):
        there = (p for r in rows if r["label"] == label for p in (originals / r["sha256"][:2]).glob(r["sha256"] + ".*"))
        found += [path for path, _ in zip(there, range(count // 2), strict=False)]
    return found


def measure(way: str, paths: list[Path], kept: Path) -> None:
    """In a process of its own: a line a picture, with its log-odds, answer and processor seconds."""
    torch.set_num_threads(1)
    detector, options = (SHIPPED | tried())[way]()
    done = len(kept.read_text().splitlines()) if kept.is_file() else 0
    with kept.open("a") as file:
        for path in paths[done:]:
            pixels = load_image(path).pixels
            started = time.process_time()
            (verdict,) = detector.judge_all([pixels], **options)
            row = {"logit": verdict.logit, "band": verdict.band, "cpu": time.process_time() - started}
            print(json.dumps(row), file=file, flush=True)


def run(way: str, originals: Path, count: int) -> list[Row]:
    """What `measure` writes, in a process held to AVX2."""
    kept = CACHE / f"{way}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.light.avx2", "--one", way, "--pictures", str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    environment |= {} if way == VNNI else AVX2
    subprocess.run([*command, "--originals", str(originals)], cwd=ROOT, env=environment, check=True)
    return [json.loads(line) for line in kept.read_text().splitlines()[:count]]


def compared(found: list[Row], base: list[Row]) -> Row:
    """Of the same pictures: processor seconds of one, how far log-odds are from the base's, and answers that differ."""
    pairs = list(zip(found, base, strict=True))
    moved = np.abs([a["logit"] - b["logit"] for a, b in pairs])
    differ = sum(a["band"] != b["band"] for a, b in pairs)
    cpu, other = (float(np.median([row["cpu"] for row in rows])) for rows in (found, base))
    row = {"cpu": cpu, "times": cpu / other}
    row |= {"moved_median": float(np.median(moved)), "moved_most": float(moved.max())}
    return {name: round(value, 3) for name, value in row.items()} | {"answers": differ, "pictures": len(moved)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--originals", type=Path, default=ROOT.parent / "originals")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--tried", action="store_true", help="what does not ship, too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    paths = choose(options.originals, options.pictures)
    if options.one:
        measure(options.one, paths, CACHE / f"{options.one}.jsonl")
        return
    found: dict[str, list[Row]] = {}
    for way in (*SHIPPED, *(tried() if options.tried else ())):
        found[way] = run(way, options.originals.resolve(), options.pictures)
        print(way, compared(found[way], found[FLOAT]), flush=True)
    kept = json.loads(options.out.read_text())["rows"] if options.out.is_file() else {}
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "load": round(os.getloadavg()[0], 1),
        "rows": kept | {way: compared(row, found[FLOAT]) for way, row in found.items()},
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
