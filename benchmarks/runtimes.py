"""What another runtime changes in verdicts: python benchmarks/runtimes.py [--runtime int8] [--count N]

Judges pictures of the test split of --data in float32 and in the other runtime, and writes benchmarks/runtimes.json:
the area under the ROC curve of both by set, bands that differ, and how far the logits lie apart. Judged pictures are
kept in .cache, so that an interrupted run goes on.
"""

import argparse
import csv
import json
import random
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import processor  # noqa: E402
from causalclip.clip.runtime import Runtime  # noqa: E402
from causalclip.detector import Detector  # noqa: E402
from causalclip.pictures.loading import load_image  # noqa: E402

Row = dict[str, Any]
BASE: Runtime = "float32"


def choose(data: Path, count: int | None) -> list[dict[str, str]]:
    """All pictures of the test split, or `count` in turn from each set and label, by a seed."""
    with (data / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test" and row["view"] == "picture"]
    random.Random(0).shuffle(rows)
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row["set"], row["label"]].append(row)
    turns = sorted(((i, row) for group in groups.values() for i, row in enumerate(group)), key=lambda turn: turn[0])
    return [row for _, row in turns][:count]


def judge(rows: list[dict[str, str]], data: Path, runtime: Runtime, kept: Path) -> list[Row]:
    """One line a picture: set, label, and logit and band in both runtimes."""
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
    known = {row["path"]: row for row in done}
    detectors = {name: Detector.from_pretrained(runtime=name) for name in (BASE, runtime)}
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a") as file:
        for row in tqdm(rows, unit="picture"):
            if row["path"] in known:
                continue
            pixels = load_image(data / row["path"]).pixels
            verdicts = {name: detector.judge(pixels) for name, detector in detectors.items()}
            known[row["path"]] = {name: row[name] for name in ("path", "set", "label")} | {
                name: {"logit": verdict.logit, "band": verdict.band} for name, verdict in verdicts.items()
            }
            file.write(json.dumps(known[row["path"]]) + "\n")
            file.flush()
    return [known[row["path"]] for row in rows]


def compare(rows: list[Row], runtime: Runtime) -> Row:
    """The two runtimes on the same pictures."""
    fake = [row["label"] == "fake" for row in rows]
    logits = {name: np.array([row[name]["logit"] for row in rows]) for name in ("float32", runtime)}
    auc = {name: round(float(roc_auc_score(fake, x)), 4) for name, x in logits.items()} if len(set(fake)) == 2 else {}
    moved = np.abs(logits["float32"] - logits[runtime])
    return {
        "pictures": len(rows),
        "AUC": auc,
        "bands that differ": sum(row["float32"]["band"] != row[runtime]["band"] for row in rows),
        "logit, median difference": round(float(np.median(moved)), 4),
        "logit, largest difference": round(float(moved.max()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "forensics")
    parser.add_argument("--runtime", choices=("int8", "bfloat16"), default="int8")
    parser.add_argument("--count", type=int, help="so many pictures, in turn from each set and label; all by default")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "runtimes.json")
    arguments = parser.parse_args()
    rows = choose(arguments.data, arguments.count)
    judged = judge(rows, arguments.data, arguments.runtime, ROOT / ".cache" / f"runtimes-{arguments.runtime}.jsonl")
    by_set = {name: [row for row in judged if row["set"] == name] for name in sorted({row["set"] for row in judged})}
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "runtime": arguments.runtime,
        "all": compare(judged, arguments.runtime),
        "sets": {name: compare(group, arguments.runtime) for name, group in by_set.items()},
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
