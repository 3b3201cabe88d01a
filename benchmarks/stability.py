"""What the stability check does to verdicts, and what its fewer windows cost.

On real and generated pictures of the test split, and of `sites` as they were found: how often a
mild re-encoding flips the answer, the bands before and after; and how far each re-encoded score
lies from the score by all views.
"""

import platform
import random
from collections import Counter
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import Options, test_records
from causalclip.calibration import sigmoid
from causalclip.detector import Detector
from causalclip.examination.stability import SQUARES, WINDOWS, Stability, check_stability
from causalclip.images.loading import load_image
from causalclip.images.reencoding import REENCODINGS
from training.detector.data import Record

# pictures of each label, and how many of them are judged by all views, too
COUNT, COMPARED = 150, 20


def measure(options: Options) -> dict[str, Any]:
    detector, count = Detector.from_pretrained(options.model), options.pictures or COUNT
    by_kind: dict[str, list[Stability]] = {}
    pairs: list[tuple[float, bool]] = []
    for sites in (False, True):
        for record in choose(test_records(options), sites=sites, count=count):
            pixels = load_image(options.forensics / record.path).pixels
            stability = check_stability(detector, pixels)
            kind = ("generated" if record.label else "real") + (", sites" if sites else "")
            by_kind.setdefault(kind, []).append(stability)
            if len(by_kind[kind]) <= COMPARED:
                pairs += by_all_windows(detector, pixels, stability)
    return {
        "model": detector.name,
        "revision": detector.config.revision,
        "data": f"test split, {count} of each label by a seed, of `sites` and of the other sets",
        "machine": platform.processor() or platform.machine(),
        "runtime": detector.runtime,
        "pictures": {kind: summary(rows) for kind, rows in by_kind.items()},
        "fewer windows": fewer_windows(pairs),
    }


def choose(records: list[Record], *, sites: bool, count: int) -> list[Record]:
    """Return `count` pictures of each label, of `sites` or of the other sets, by a seed."""
    of = [r for r in records if (r.set == "sites") == sites]
    random.Random(0).shuffle(of)
    return [r for label in (0, 1) for r in [r for r in of if r.label == label][:count]]


def by_all_windows(
    detector: Detector, pixels: np.ndarray, stability: Stability
) -> list[tuple[float, bool]]:
    """Return (difference of probability, same band) of every delivery, against all views."""
    picture, calibration, pairs = Image.fromarray(pixels), detector.config.calibration, []
    for row in stability.rows:
        full = sigmoid(detector.score(np.asarray(REENCODINGS[row.name](picture))).logit)
        pairs.append((abs(full - row.probability), calibration.band(full) == row.band))
    return pairs


def fewer_windows(pairs: list[tuple[float, bool]]) -> dict[str, Any]:
    differences = np.array([d for d, _ in pairs])
    return {
        "windows": WINDOWS,
        "squares": SQUARES,
        "deliveries compared": len(pairs),
        "mean difference of probability": round(float(differences.mean()), 4),
        "95 % below": round(float(np.quantile(differences, 0.95)), 4),
        "same band": round(float(np.mean([same for _, same in pairs])), 4),
    }


def summary(rows: list[Stability]) -> dict[str, Any]:
    before, after = Counter(s.band for s in rows), Counter(s.final_band for s in rows)
    by_delivery = Counter(row.name for s in rows for row in s.rows if row.flips)
    return {
        "pictures": len(rows),
        "flipped by a mild delivery": round(float(np.mean([bool(s.flips) for s in rows])), 4),
        "bands before": {band: round(n / len(rows), 4) for band, n in before.items()},
        "bands after": {band: round(n / len(rows), 4) for band, n in after.items()},
        "flips": {name: round(n / len(rows), 4) for name, n in by_delivery.items()},
    }
