"""What re-encoded copies do to answers: how often the app's check turns one, what its fewer windows
cost, and how often an answer is right that copies change.

stability.json: real and generated pictures of the test split, and of `sites` as they were found.
copies.json: packed pictures of the train split, whose owners the detector has learned from, so that
what is right there is an upper bound for others.
"""

import json
import platform
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import LABEL_OF_BAND, Options, check_stability, test_records, write
from causalclip.calibration import sigmoid
from causalclip.detector import Detector
from causalclip.examination.stability import SQUARES, WINDOWS, ReencodedAnswer, Stability
from causalclip.images.loading import load_image
from causalclip.images.reencoding import REENCODINGS
from training.detector.data import Record
from training.detector.evaluation import read_split

# pictures of each label, and how many of them are judged by all views, too
COUNT, COMPARED = 150, 20
CHECKED_ANSWERS = 170  # of copies.json
LIKE_SETS = "alike", "fresh"  # where real and generated pictures show the same things
OPPOSITES = set(LABEL_OF_BAND)


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """One answer: whether it was right, how many mild copies have another one, and whether the
    score crossed."""

    answer: str
    right: bool
    changed: int
    crossed: bool


def measure(options: Options) -> dict[str, Any]:
    detector, count = Detector.from_pretrained(options.model), options.pictures or COUNT
    write("copies", _measure_copies(detector, options))
    by_kind: dict[str, list[Stability]] = {}
    pairs: list[tuple[float, bool]] = []
    for sites in (False, True):
        for record in choose(test_records(options), sites=sites, count=count):
            pixels = load_image(options.forensics / record.path).pixels
            stability = check_stability(detector, pixels)
            kind = ("generated" if record.label else "real") + (", sites" if sites else "")
            by_kind.setdefault(kind, []).append(stability)
            if len(by_kind[kind]) <= COMPARED:
                pairs += _by_all_windows(detector, pixels, stability)
    return {
        "model": detector.name,
        "revision": detector.config.revision,
        "data": f"test split, {count} of each label by a seed, of `sites` and of the other sets",
        "machine": platform.processor() or platform.machine(),
        "runtime": detector.runtime,
        "pictures": {kind: summary(rows) for kind, rows in by_kind.items()},
        "fewer windows": _fewer_windows(pairs),
    }


def choose(records: list[Record], *, sites: bool, count: int) -> list[Record]:
    """Return `count` pictures of each label, of `sites` or of the other sets, by a seed."""
    pool = [r for r in records if (r.set == "sites") == sites]
    random.Random(0).shuffle(pool)
    return [r for label in (0, 1) for r in [r for r in pool if r.label == label][:count]]


def _by_all_windows(
    detector: Detector, pixels: np.ndarray, stability: Stability
) -> list[tuple[float, bool]]:
    """Return (difference of probability, same band) of every delivery, against all views."""
    picture, calibration, pairs = Image.fromarray(pixels), detector.config.calibration, []
    for row in stability.rows:
        full = sigmoid(detector.score(np.asarray(REENCODINGS[row.name](picture))).logit)
        pairs.append((abs(full - row.probability), calibration.band(full) == row.band))
    return pairs


def _fewer_windows(pairs: list[tuple[float, bool]]) -> dict[str, Any]:
    differences = np.array([d for d, _ in pairs])
    return {
        "windows": WINDOWS,
        "squares": SQUARES,
        "deliveries compared": len(pairs),
        "mean difference of probability": round(float(differences.mean()), 4),
        "95 % below": round(float(np.quantile(differences, 0.95)), 4),
        "same band": round(float(np.mean([same for _, same in pairs])), 4),
    }


def crosses(stability: Stability, copy: ReencodedAnswer) -> bool:
    """Return whether a copy's score is on the other side of the dividing score, or in the opposite
    band."""
    own, other = stability.probability, copy.probability
    sides = own >= stability.threshold, other >= stability.threshold
    return sides[0] != sides[1] or {stability.band, copy.band} == OPPOSITES


def _crossing_copies(stability: Stability) -> list[str]:
    """Return the names of the mild copies whose score crosses."""
    return [row.name for row in stability.rows if row.mild and crosses(stability, row)]


def summary(rows: list[Stability]) -> dict[str, Any]:
    before, after = Counter(s.band for s in rows), Counter(s.final_band for s in rows)
    by_delivery = Counter(row.name for s in rows for row in s.rows if crosses(s, row))
    flipped = float(np.mean([bool(_crossing_copies(s)) for s in rows]))
    return {
        "pictures": len(rows),
        "flipped by a mild delivery": round(flipped, 4),
        "bands before": {band: round(n / len(rows), 4) for band, n in before.items()},
        "bands after": {band: round(n / len(rows), 4) for band, n in after.items()},
        "flips": {name: round(n / len(rows), 4) for name, n in by_delivery.items()},
    }


def _measure_copies(detector: Detector, options: Options) -> dict[str, Any]:
    """Return how often answers are right, by how many mild copies change them."""
    rows = _check_answers(detector, options)
    return {
        "model": detector.name,
        "revision": detector.config.revision,
        "data": "packed pictures of the train split, both labels in turn, by a seed",
        "answers": len(rows),
        "by changed copies": _by_changed_copies(rows),
    }


def _check_answers(detector: Detector, options: Options) -> list[CheckedAnswer]:
    """The first answers in an order by a seed; kept in the cache, so that a killed run goes on."""
    file_of_rows = options.cache.parent / "copies" / f"{detector.config.revision}-train.jsonl"
    file_of_rows.parent.mkdir(parents=True, exist_ok=True)
    rows_by_path = {row["path"]: row for row in map(json.loads, _lines(file_of_rows))}
    rows: list[CheckedAnswer] = []
    for record in in_order(read_split(options.forensics / "manifest.csv", "train")):
        if len(rows) >= (options.pictures or CHECKED_ANSWERS):
            break
        if record.path not in rows_by_path:
            rows_by_path[record.path] = {"path": record.path} | _check_answer(
                detector, options.forensics / record.path
            )
            with file_of_rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows_by_path[record.path]) + "\n")
        row = rows_by_path[record.path]
        if row["answer"] in LABEL_OF_BAND:
            right = LABEL_OF_BAND[row["answer"]] == record.label
            rows.append(CheckedAnswer(row["answer"], right, row["changed"], row["crossed"]))
    return rows


def _check_answer(detector: Detector, path: Path) -> dict[str, Any]:
    """The answer for a picture and, where it is one, what its copies make of it."""
    pixels = load_image(path).pixels
    verdict = detector.score(pixels)
    if verdict.band not in LABEL_OF_BAND:
        return {"answer": verdict.band}
    stability = check_stability(detector, pixels, verdict)
    changes = sum(row.band != verdict.band for row in stability.rows if row.mild)
    return {
        "answer": verdict.band,
        "changed": changes,
        "crossed": bool(_crossing_copies(stability)),
    }


def in_order(records: list[Record]) -> list[Record]:
    """Whole pictures of LIKE_SETS, both labels in turn, by a seed."""
    whole = [record for record in records if record.set in LIKE_SETS and record.view != "crop"]
    random.Random(0).shuffle(whole)
    by_label = ([record for record in whole if record.label == label] for label in (0, 1))
    return [record for pair in zip(*by_label, strict=False) for record in pair]


def _by_changed_copies(rows: list[CheckedAnswer]) -> dict[str, dict[str, int]]:
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
