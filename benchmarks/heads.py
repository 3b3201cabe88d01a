"""Both heads on the same test pictures: AUC, and how often each answer is given and wrong, set by
set; and their cost.

Unlike `detection`, it takes the pictures of `sites` whose originals are there, so that heads can be
compared on fewer.
"""

import time
from typing import Any

import numpy as np
import psutil
import skimage.data

from benchmarks.common import Options, test_records
from benchmarks.views import score
from causalclip.detector import Detector
from causalclip.paths import HEADS
from training.detector.evaluation import tabulate

ROUNDS = 20  # verdicts by each head, in turns


def measure(options: Options) -> dict[str, Any]:
    records, report = test_records(options), cost()
    for head, name in HEADS.items():
        detector = Detector.from_pretrained(name)
        calibration = detector.config.calibration
        scores = score(detector, records, options.forensics, cache=options.cache)
        table = tabulate(scores, threshold=calibration.threshold, bands=calibration.borders)
        rows = {s: table[s] for s in (*table["sets"], "all")}
        report[head] = {"revision": detector.config.revision, "sets": table["sets"]} | rows
    return report


def cost() -> dict[str, Any]:
    """Return what a verdict by the causal head takes: how many times the processor time of the
    linear one's (median of alternating ones), and the memory that it adds to it, in MB."""
    picture, process = skimage.data.rocket(), psutil.Process()
    linear = Detector.from_pretrained(HEADS["linear"])
    linear.predict(picture)
    before = process.memory_info().rss
    causal = Detector.from_pretrained(HEADS["causal"], beside=linear)
    causal.predict(picture)
    more = process.memory_info().rss - before
    ratios = [_seconds(causal, picture) / _seconds(linear, picture) for _ in range(ROUNDS)]
    return {"times": round(float(np.median(ratios)), 3), "more_mb": round(more / 1e6)}


def _seconds(detector: Detector, picture: np.ndarray) -> float:
    """Return the processor's seconds for a verdict."""
    start = time.process_time()
    detector.predict(picture)
    return time.process_time() - start
