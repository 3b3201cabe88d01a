"""Both heads on the same test pictures: AUC, and how often each answer is given and wrong, set by set.

Unlike `detection`, it takes the pictures of `sites` whose originals are there, so that heads can be compared on fewer.
"""

from typing import Any

from benchmarks.common import Options, test_records
from benchmarks.views import score
from causalclip.detector import Detector
from causalclip.paths import HEADS
from causalclip.training.evaluation import tabulate


def measure(options: Options) -> dict[str, Any]:
    records, report = test_records(options), dict[str, Any]()
    for head, name in HEADS.items():
        detector = Detector.from_pretrained(name)
        calibration = detector.config.calibration
        scores = score(detector, records, options.forensics, cache=options.cache)
        found = tabulate(scores, threshold=calibration.threshold, bands=calibration.borders)
        rows = {s: found[s] for s in (*found["sets"], "all")}
        report[head] = {"revision": detector.config.revision, "sets": found["sets"]} | rows
    return report
