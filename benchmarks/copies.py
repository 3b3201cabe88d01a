"""How often is an answer right that re-encoded copies change? By it, the app decides what such an
answer is worth.

On packed pictures of the train split, whose owners the detector has learned from: what is right
here is an upper bound for others. The answers of the test split stand beside it, and decide
nothing.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import Options
from causalclip.detector import Detector
from causalclip.examination.stability import check_stability
from causalclip.images.loading import load_image
from training.detector.data import Record
from training.detector.evaluation import read_split

COUNT = 300  # answers of each split that are checked
SETS = "alike", "fresh"  # where real and generated pictures show the same things
ANSWERS = {"likely generated": 1, "likely not generated": 0}


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """One answer: whether it was right, how many mild copies have another one, and whether the
    score crossed."""

    answer: str
    right: bool
    changed: int
    mild: int
    crossed: bool


def measure(options: Options) -> dict[str, Any]:
    detector = Detector.from_pretrained(options.model)
    report: dict[str, Any] = {"model": detector.name, "revision": detector.config.revision}
    for split in ("train", "test"):
        rows = check_answers(detector, options, split)
        report[split] = {"answers": len(rows), "by changed copies": summary(rows)}
    return report


def check_answers(detector: Detector, options: Options, split: str) -> list[CheckedAnswer]:
    """The first answers of the split in an order by a seed; kept in the cache, so that a killed run
    goes on."""
    kept = options.cache.parent / "copies" / f"{detector.config.revision}-{split}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    known = {row["path"]: row for row in map(json.loads, _lines(kept))}
    rows: list[CheckedAnswer] = []
    for record in in_order(read_split(options.forensics / "manifest.csv", split)):
        if len(rows) >= (options.pictures or COUNT):
            break
        if record.path not in known:
            known[record.path] = {"path": record.path} | check(
                detector, options.forensics / record.path
            )
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(known[record.path]) + "\n")
        row = known[record.path]
        if row["answer"] in ANSWERS:
            right = ANSWERS[row["answer"]] == record.label
            rows.append(
                CheckedAnswer(row["answer"], right, row["changed"], row["mild"], row["crossed"])
            )
    return rows


def check(detector: Detector, path: Path) -> dict[str, Any]:
    """The answer for a picture and, where it is one, what its copies make of it."""
    pixels = load_image(path).pixels
    verdict = detector.judge(pixels)
    if verdict.band not in ANSWERS:
        return {"answer": verdict.band}
    found = check_stability(detector, pixels, verdict)
    changed, mild, *_strong = found.counted
    return {"answer": verdict.band, "changed": changed, "mild": mild, "crossed": bool(found.flips)}


def in_order(records: list[Record]) -> list[Record]:
    """Whole pictures of SETS, both labels in turn, by a seed."""
    wanted = [record for record in records if record.set in SETS and record.view != "crop"]
    random.Random(0).shuffle(wanted)
    by_label = ([record for record in wanted if record.label == label] for label in (0, 1))
    return [record for pair in zip(*by_label, strict=False) for record in pair]


def summary(rows: list[CheckedAnswer]) -> list[dict[str, Any]]:
    """A row for each answer and number of changed copies: how many there were, and how many were
    right."""
    cells = Counter((row.answer, row.changed) for row in rows)
    right = Counter((row.answer, row.changed) for row in rows if row.right)
    crossed = Counter((row.answer, row.changed) for row in rows if row.crossed)
    return [
        {
            "answer": answer,
            "changed": changed,
            "answers": cells[answer, changed],
            "right": right[answer, changed],
            "crossed": crossed[answer, changed],
        }
        for answer, changed in sorted(cells)
    ]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
