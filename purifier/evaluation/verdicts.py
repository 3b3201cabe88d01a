"""What the detector says of purified pictures: a purifier leaves traces of its own."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

from purifier.models import Models
from purifier.pixels import to_array, to_tensor


def detector_on_purified(models: Models, forensics: Path, count: int) -> dict[str, dict[str, Any]]:
    """ "real" and "fake" pictures of the test split, at most `count` of each, before and after one purification.

    Returns for each: `n`, the mean probability of being generated `before` and `after`, and the share in each band.
    """
    with (forensics / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    order = np.random.default_rng(0).permutation(len(rows))
    report: dict[str, dict[str, Any]] = {}
    for label in ("real", "fake"):
        chosen = [rows[i] for i in order if rows[i]["label"] == label][:count]
        found = defaultdict(list)
        for row in chosen:
            with Image.open(forensics / row["path"]) as file:
                pixels = np.array(file.convert("RGB"))
            found["before"].append(models.detector.judge(pixels))
            found["after"].append(models.detector.judge(to_array(models.purifier(to_tensor(pixels)).images)))
        report[label] = {"n": len(chosen)} | {when: _summary(verdicts) for when, verdicts in found.items()}
    return report


def _summary(verdicts: list[Any]) -> dict[str, float]:
    bands = ("likely generated", "inconclusive", "likely not generated")
    shares = {band: round(fmean(v.band == band for v in verdicts), 4) for band in bands}
    return {"probability": round(fmean(v.probability for v in verdicts), 4)} | shares
