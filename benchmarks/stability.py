"""What the stability check does to verdicts, and what fewer windows cost:

    python -m benchmarks.stability --originals ORIGINALS

Writes benchmarks/stability.json. On real and generated pictures of the test split of --data, and of `sites` as they
were found (--originals): how often a mild delivery flips the answer, the bands before and after; and how far each
delivered score lies from the score by all views. The time of the check is measured by benchmarks/latency.py.
"""

import argparse
import json
import platform
import random
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.detection.__main__ import test_records  # noqa: E402
from causalclip.calibration import sigmoid  # noqa: E402
from causalclip.detector import Detector  # noqa: E402
from causalclip.examine.stability import SQUARES, WINDOWS, Stability, check_stability  # noqa: E402
from causalclip.pictures.delivery import DELIVERIES  # noqa: E402
from causalclip.pictures.loading import load_image  # noqa: E402
from causalclip.training.data import Record  # noqa: E402


def choose(records: list[Record], *, sites: bool, count: int) -> list[Record]:
    """`count` pictures of each label, of `sites` or of the other sets, by a seed."""
    of = [r for r in records if (r.set == "sites") == sites]
    random.Random(0).shuffle(of)
    return [r for label in (0, 1) for r in [r for r in of if r.label == label][:count]]


def by_all_windows(detector: Detector, pixels: np.ndarray, stability: Stability) -> list[tuple[float, bool]]:
    """(difference of probability, same band) of every delivery, against all views."""
    picture, calibration, pairs = Image.fromarray(pixels), detector.config.calibration, []
    for row in stability.rows:
        full = sigmoid(detector.judge(np.asarray(DELIVERIES[row.name](picture))).logit)
        pairs.append((abs(full - row.probability), calibration.band(full) == row.band))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "forensics")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "stability.json")
    parser.add_argument("--count", type=int, default=150, help="of each label")
    parser.add_argument("--compare", type=int, default=20, help="of each label are judged by all views, too")
    parser.add_argument("--model", default="detector")
    parser.add_argument("--originals", type=Path, required=True, help="of the data set; `sites` is read from there")
    arguments = parser.parse_args()
    if not (arguments.data / "manifest.csv").is_file():
        sys.exit(f"There is no manifest.csv in {arguments.data}: say where the data is with --data.")
    detector = Detector.from_pretrained(arguments.model)
    records = test_records(arguments.data, arguments.originals)
    found: dict[str, list[Stability]] = {}
    pairs: list[tuple[float, bool]] = []
    for sites in (False, True):
        for record in choose(records, sites=sites, count=arguments.count):
            pixels = load_image(arguments.data / record.path).pixels
            stability = check_stability(detector, pixels)
            kind = ("generated" if record.label else "real") + (", sites" if sites else "")
            found.setdefault(kind, []).append(stability)
            if len(found[kind]) <= arguments.compare:
                pairs += by_all_windows(detector, pixels, stability)
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "model": detector.name,
        "revision": detector.config.revision,
        "data": f"test split, {arguments.count} of each label by a seed, of `sites` and of the other sets",
        "machine": platform.processor() or platform.machine(),
        "runtime": detector.runtime,
        "pictures": {kind: summary(rows) for kind, rows in found.items()},
        "fewer windows": fewer_windows(pairs),
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


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


if __name__ == "__main__":
    main()
