"""What the detector says of purified pictures: a purifier leaves traces of its own."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from purifier.attacks import Attack, run_attack
from purifier.models import Models
from purifier.objectives import MoveFeatures, language_tokens
from purifier.pixels import to_array, to_tensor

ATTACK = Attack("pgd", eps=8, steps=10)  # on what the language model sees: it moves whatever else looks through CLIP
WHEN = {
    "before": "before purification",
    "after": "after purification",
    "attacked": "attacked, before purification",
    "attacked, after": "attacked, after purification",
}


def detector_on_purified(models: Models, forensics: Path, count: int, attacked: int) -> dict[str, dict[str, Any]]:
    """ "real" and "fake" pictures of the test split, at most `count` of each, before and after one purification; and
    the first `attacked` of them by ATTACK, before and after it.

    Returns for each: `n`, `n attacked`, and for every key of WHEN the mean probability of being generated and the share
    in each band.
    """
    with (forensics / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    order = np.random.default_rng(0).permutation(len(rows))
    report: dict[str, dict[str, Any]] = {}
    for label in ("real", "fake"):
        chosen = [rows[i] for i in order if rows[i]["label"] == label][:count]
        found: defaultdict[str, list[Any]] = defaultdict(list)
        for i, row in enumerate(chosen):
            with Image.open(forensics / row["path"]) as file:
                pixels = np.array(file.convert("RGB"))
            given = to_tensor(pixels)
            _judge(models, given, found, "before", "after")
            if i < attacked:
                see = language_tokens(models.vlm.tower, layers=models.vlm.config.layers)
                moved = run_attack(ATTACK, given, MoveFeatures(see, given))
                _judge(models, moved, found, "attacked", "attacked, after")
        report[label] = {"n": len(chosen), "n attacked": min(attacked, len(chosen))}
        report[label] |= {when: _summary(verdicts) for when, verdicts in found.items()}
    return report


def _judge(models: Models, given: Tensor, found: dict[str, list[Any]], before: str, after: str) -> None:
    shown, purified = to_array(given), to_array(models.purifier(given).images)
    verdict = models.detector.judge(shown)
    found[before].append(verdict)
    found[after].append(verdict if (shown == purified).all() else models.detector.judge(purified))


def _summary(verdicts: list[Any]) -> dict[str, float]:
    bands = ("likely generated", "inconclusive", "likely not generated")
    shares = {band: round(fmean(v.band == band for v in verdicts), 4) for band in bands}
    return {"probability": round(fmean(v.probability for v in verdicts), 4)} | shares
