"""How often is an answer right that re-encoded copies change? By it, the app decides what such an
answer is worth.

On packed pictures of the train split, whose owners the detector has learned from: what is right
here is an upper bound for others.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import Options
from causalclip.detector import Detector
from causalclip.examination.stability import check_stability
from causalclip.images.loading import load_image
from training.detector.data import Record
from training.detector.evaluation import read_split

COUNT = 170  # answers that are checked
SETS = "alike", "fresh"  # where real and generated pictures show the same things
ANSWERS = {"likely generated": 1, "likely not generated": 0}


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """One answer: whether it was right, how many mild copies have another one, and whether the
    score crossed."""

    answer: str
    right: bool
    changed: int
    crossed: bool


def measure(options: Options) -> dict[str, Any]:
    detector = Detector.from_pretrained(options.model)
    rows = check_answers(detector, options)
    return {
        "model": detector.name,
        "revision": detector.config.revision,
        "data": "packed pictures of the train split, both labels in turn, by a seed",
        "answers": len(rows),
        "by changed copies": summary(rows),
    }


def check_answers(detector: Detector, options: Options) -> list[CheckedAnswer]:
    """The first answers in an order by a seed; kept in the cache, so that a killed run goes on."""
    file_of_rows = options.cache.parent / "copies" / f"{detector.config.revision}-train.jsonl"
    file_of_rows.parent.mkdir(parents=True, exist_ok=True)
    rows_by_path = {row["path"]: row for row in map(json.loads, _lines(file_of_rows))}
    rows: list[CheckedAnswer] = []
    for record in in_order(read_split(options.forensics / "manifest.csv", "train")):
        if len(rows) >= (options.pictures or COUNT):
            break
        if record.path not in rows_by_path:
            rows_by_path[record.path] = {"path": record.path} | check(
                detector, options.forensics / record.path
            )
            with file_of_rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows_by_path[record.path]) + "\n")
        row = rows_by_path[record.path]
        if row["answer"] in ANSWERS:
            right = ANSWERS[row["answer"]] == record.label
            rows.append(CheckedAnswer(row["answer"], right, row["changed"], row["crossed"]))
    return rows


def check(detector: Detector, path: Path) -> dict[str, Any]:
    """The answer for a picture and, where it is one, what its copies make of it."""
    pixels = load_image(path).pixels
    verdict = detector.score(pixels)
    if verdict.band not in ANSWERS:
        return {"answer": verdict.band}
    stability = check_stability(detector, pixels, verdict)
    changes = sum(row.band != verdict.band for row in stability.rows if row.mild)
    return {"answer": verdict.band, "changed": changes, "crossed": bool(stability.flips)}


def in_order(records: list[Record]) -> list[Record]:
    """Whole pictures of SETS, both labels in turn, by a seed."""
    whole = [record for record in records if record.set in SETS and record.view != "crop"]
    random.Random(0).shuffle(whole)
    by_label = ([record for record in whole if record.label == label] for label in (0, 1))
    return [record for pair in zip(*by_label, strict=False) for record in pair]


def summary(rows: list[CheckedAnswer]) -> dict[str, dict[str, int]]:
    """By how many of the mild copies have another answer: how many answers, how many of them right,
    and of how many the score crosses the middle."""
    table = {}
    for changes in sorted({row.changed for row in rows}):
        inside = [row for row in rows if row.changed == changes]
        table[str(changes)] = {
            "answers": len(inside),
            "right": sum(row.right for row in inside),
            "crossed": sum(row.crossed for row in inside),
        }
    return table


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
