"""Which answers another runtime changes, on all of `test`: python -m benchmarks.light.answers [--runtime int8]

The base is bfloat16: benchmarks.detection has kept every view's features in it, in half precision, and judges by them.
The other runtime judges the same pixels anew, on one thread and in an order by a seed; what it said is kept in .cache,
so that an interrupted run goes on: delete that to begin anew. --kept compares what is kept and judges no more; --count
takes so many pictures. Writes benchmarks/light/answers.json, where the rows of other runtimes stay. All of `test` takes
int8 twenty minutes of processor time, and int8-avx2 an hour.
"""

import argparse
import json
import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from benchmarks.detection.__main__ import test_records
from benchmarks.detection.views import score
from benchmarks.latency import ROOT, processor
from causalclip.clip.runtime import Runtime
from causalclip.detector import Detector
from causalclip.training.copies import on_white
from causalclip.training.data import Record
from causalclip.training.evaluation import Scores

OUT = Path(__file__).resolve().parent / "answers.json"
Row = dict[str, Any]


def judge(records: list[Record], root: Path, runtime: Runtime, kept: Path) -> None:
    """Adds what the runtime says of each to `kept`: log-odds, band, and processor seconds, decoding left out."""
    torch.set_num_threads(1)
    detector = Detector.from_pretrained(runtime=runtime)
    with kept.open("a") as file:
        for record in tqdm(records, unit="picture", desc=runtime):
            with Image.open(root / record.path) as picture:
                pixels = np.asarray(on_white(ImageOps.exif_transpose(picture)))
            started = time.process_time()
            verdict = detector.judge(pixels)
            spent = round(time.process_time() - started, 4)
            row = {"path": record.path, "logit": verdict.logit, "band": verdict.band, "cpu": spent}
            print(json.dumps(row), file=file, flush=True)


def read(kept: Path) -> dict[str, Row]:
    """By the picture's path; begins the file where there is none."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.touch()
    return {row["path"]: row for row in map(json.loads, kept.read_text().splitlines())}


def compare(base: Scores, rows: list[Row]) -> dict[str, Any]:
    """A row a set: answers that differ, of how many; areas under the ROC curve, and how far log-odds lie apart."""
    logit = {"bfloat16": np.log(base.probability / (1 - base.probability))}
    logit["now"] = np.array([row["logit"] for row in rows])
    moved, now = np.abs(logit["bfloat16"] - logit["now"]), np.array([row["band"] for row in rows])
    other, answered = now != np.array(base.bands), (now == "no answer") == (np.array(base.bands) == "no answer")
    found = {}
    for name in ("all", *sorted({record.set for record in base.records})):
        of, labels = base.of(name), base.labels
        both = len(set(labels[of])) == 2
        found[name] = {
            "pictures": int(of.sum()),
            "answers": int(other[of].sum()),
            "refused by one alone": int((~answered)[of].sum()),
            "auc": {k: round(float(roc_auc_score(labels[of], x[of])), 4) for k, x in logit.items()} if both else {},
            "moved_median": round(float(np.median(moved[of])), 4),
            "moved_most": round(float(moved[of].max()), 4),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=get_args(Runtime), default="int8")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "forensics")
    parser.add_argument("--originals", type=Path, default=ROOT.parent / "originals")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache", help="where benchmarks.detection keeps features")
    parser.add_argument("--count", type=int, help="pictures; all by default")
    parser.add_argument("--kept", action="store_true", help="judge no more")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    detector = Detector.from_pretrained(runtime="bfloat16")
    file = ROOT / ".cache" / f"answers-{options.runtime}-{detector.config.revision}.jsonl"
    everything = test_records(options.data, options.originals)
    records = random.Random(0).sample(everything, options.count or len(everything))
    if not options.kept:
        done = read(file)
        judge([r for r in records if r.path not in done], options.data, options.runtime, file)
    judged = read(file)
    records = [record for record in records if record.path in judged]
    rows = [judged[record.path] for record in records]
    base = score(detector, records, options.data, cache=options.cache)
    kept = json.loads(options.out.read_text())["runtimes"] if options.out.is_file() else {}
    kept[options.runtime] = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "load": round(os.getloadavg()[0], 1),
        "of": len(everything),
        "cpu": round(float(np.mean([row["cpu"] for row in rows])), 3),
        "sets": compare(base, rows),
    }
    options.out.write_text(json.dumps({"runtimes": kept}, indent=2) + "\n")
    print(json.dumps(kept[options.runtime], indent=2))


if __name__ == "__main__":
    main()
