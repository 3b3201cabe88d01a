"""The same pictures re-encoded, cut to other shapes and retouched: AUC after each change, and other
answers.

Some pictures of each set and class are drawn by lot, of at most 20 megapixels, as retouching a
larger one takes minutes. Over all sets they count by the shares that sets and classes have in
`test`. What was judged is kept, so that a killed run goes on.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from benchmarks.changes import CHANGES, NETWORK, RETOUCHED, SHAPES, TRAVELS
from benchmarks.common import Options, test_records
from causalclip.calibration import SCORE_BANDS
from causalclip.detector import Detector
from training.detector.augmentation import on_white
from training.detector.data import Record
from training.detector.evaluation import Scores

AS_IT_IS = "as it is"
WITH_AIM = "JPEG 50", "WebP 80", "0.5x", NETWORK  # what AUC must hardly lose by
MAX_PIXELS = 20_000_000
PICTURES_EACH = 20  # pictures of each set and class
BOOTSTRAP_ROUNDS = 500  # of the bootstrap


def cells(records: Sequence[Record]) -> Counter[tuple[str, int]]:
    """Return how many there are of each set and class."""
    return Counter(sorted((r.set, r.label) for r in records))


def sample(records: Sequence[Record], root: Path, each: int, *, seed: int = 0) -> list[Record]:
    """Draw `each` pictures of every set and class by lot, of those that are small enough; all of a
    cell that has fewer."""
    by_cell: dict[tuple[str, int], list[Record]] = {}
    for i in np.random.default_rng(seed).permutation(len(records)):
        record = records[int(i)]
        rows = by_cell.setdefault((record.set, record.label), [])
        if len(rows) < each:
            with Image.open(root / record.path) as file:  # its header alone
                rows += [record] if file.width * file.height <= MAX_PIXELS else []
    return [record for rows in by_cell.values() for record in rows]


def weights(sample: Sequence[Record], records: Sequence[Record]) -> np.ndarray:
    """Return how many of the records each drawn one stands for, [N]."""
    whole, part = cells(records), cells(sample)
    return np.array([whole[r.set, r.label] / part[r.set, r.label] for r in sample])


def judge(
    detector: Detector, records: Sequence[Record], root: Path, *, file: Path
) -> dict[str, Scores]:
    """Return what the detector says of the pictures after every change. file: of what was judged
    already, a line a picture."""
    lines = map(json.loads, file.read_text().splitlines()) if file.is_file() else ()
    by_path = {line["path"]: line["changes"] for line in lines}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        for record in tqdm(
            [r for r in records if r.path not in by_path], desc="changes", unit="picture"
        ):
            with Image.open(root / record.path) as original:
                picture = on_white(ImageOps.exif_transpose(original))
            verdicts = {
                name: detector.score(np.asarray(change(picture)))
                for name, change in CHANGES.items()
            }
            by_path[record.path] = {name: [v.probability, v.band] for name, v in verdicts.items()}
            out.write(json.dumps({"path": record.path, "changes": by_path[record.path]}) + "\n")
            out.flush()
    scores = {}
    for name in CHANGES:
        probability, bands = zip(*[by_path[r.path][name] for r in records], strict=True)
        scores[name] = Scores(tuple(records), np.array(probability), bands)
    return scores


def measure(options: Options) -> dict[str, Any]:
    """AUC of each set under every delivery and shape, what it lost with an interval, the share of
    clear answers that mild deliveries overturn, and what retouching does to answers, on some of the
    records of every set and class."""
    detector, records, root = (
        Detector.from_pretrained(options.model),
        test_records(options),
        options.forensics,
    )
    cv2.setNumThreads(1)
    pictures = sample(records, root, options.pictures or PICTURES_EACH)
    file = options.cache / f"robustness-{detector.config.revision}-{detector.runtime}.jsonl"
    scores, weight = judge(detector, pictures, root, file=file), weights(pictures, records)
    counts = {
        f"{name}, {'generated' if label else 'real'}": n
        for (name, label), n in cells(pictures).items()
    }
    about = {
        "pictures": len(pictures),
        "cells": counts,
        "runtimes": {detector.runtime: len(pictures)},
    }
    return {
        "data": "forensics, test split",
        "revision": detector.config.revision,
        "megapixels_at_most": MAX_PIXELS / 1e6,
        "drawn": dict.fromkeys(("travel", "shapes", "retouched"), about),
        "auc": {name: aucs(scores[name], weight) for name in TRAVELS},
        "lost": {name: lost(scores[AS_IT_IS], scores[name], weight) for name in WITH_AIM},
        "shapes": {name: aucs(scores[name], weight) for name in (AS_IT_IS, *SHAPES)},
        "overturned": overturned(detector, scores, weight),
        "retouched": retouched(scores, weight),
    }


def sets(scores: Scores) -> list[str]:
    return [*sorted({r.set for r in scores.records}), "all"]


def auc(scores: Scores, weight: np.ndarray, rows: np.ndarray) -> float:
    return float(
        roc_auc_score(scores.labels[rows], scores.probability[rows], sample_weight=weight[rows])
    )


def aucs(scores: Scores, weight: np.ndarray) -> dict[str, float]:
    """AUC of each set, and of all."""
    return {name: auc(scores, weight, np.flatnonzero(scores.of(name))) for name in sets(scores)}


def lost(before: Scores, after: Scores, weight: np.ndarray) -> dict[str, list[float]]:
    """Return the AUC lost, of each set and of all, and its 95 % interval over draws of as many
    pictures of every cell."""
    rng = np.random.default_rng(0)
    cell_of_row = np.array([f"{r.set} {r.label}" for r in before.records])
    # how often each is drawn; the first row is what was measured
    draws = np.ones((1 + BOOTSTRAP_ROUNDS, len(cell_of_row)))
    for name in sorted(set(cell_of_row)):
        rows = np.flatnonzero(cell_of_row == name)
        draws[1:, rows] = rng.multinomial(
            len(rows), np.full(len(rows), 1 / len(rows)), BOOTSTRAP_ROUNDS
        )
    worse, losses = won(before) - won(after), {}
    for name in sets(before):
        counts = draws * weight * before.of(name)
        generated, real = counts[:, before.labels == 1], counts[:, before.labels == 0]
        differences = ((generated @ worse) * real).sum(1) / (generated.sum(1) * real.sum(1))
        losses[name] = [
            float(differences[0]),
            *map(float, np.quantile(differences[1:], (0.025, 0.975))),
        ]
    return losses


def won(scores: Scores) -> np.ndarray:
    """Return whether a generated picture scores higher than a real one, half where they are level,
    [G, R]."""
    generated, real = (scores.probability[scores.labels == label] for label in (1, 0))
    return (np.sign(generated[:, None] - real) + 1) / 2


def share(matches: np.ndarray, weight: np.ndarray, rows: np.ndarray) -> float:
    """Return the share of matches, bool [N], among the pictures that the rows stand for."""
    return float(np.average(matches[rows], weights=weight[rows]))


def retouched(scores: dict[str, Scores], weight: np.ndarray) -> dict[str, Any]:
    """Return how many of each set's pictures are called likely generated, as they are and
    retouched, by class."""
    shares: dict[str, Any] = {}
    for change in (AS_IT_IS, RETOUCHED):
        changed = scores[change]
        accusations = np.array(changed.bands) == "likely generated"
        for name in sets(changed):
            shares.setdefault(name, {})[change] = {
                kind: share(accusations, weight, changed.of(name) & (changed.labels == label))
                for label, kind in ((0, "real"), (1, "generated"))
            }
    return shares


def turned(detector: Detector, scores: dict[str, Scores]) -> np.ndarray:
    """Return which pictures' score a mild delivery puts on the other side of the middle threshold,
    bool [N]."""
    from causalclip.examination.stability import MILD

    threshold = detector.config.calibration.threshold
    side = scores[AS_IT_IS].probability >= threshold
    return np.asarray(
        np.any([(scores[name].probability >= threshold) != side for name in MILD], axis=0)
    )


def overturned(detector: Detector, scores: dict[str, Scores], weight: np.ndarray) -> dict[str, Any]:
    """Clear answers that become inconclusive, because a mild delivery turns the score."""
    base, flips = scores[AS_IT_IS], turned(detector, scores)
    bands = np.array(base.bands)
    final = np.where(flips, "inconclusive", bands)
    return {
        kind: {
            band: {
                AS_IT_IS: share(bands == band, weight, base.labels == label),
                "after the check": share(final == band, weight, base.labels == label),
            }
            for band in SCORE_BANDS
        }
        for label, kind in ((0, "real"), (1, "generated"))
    }
