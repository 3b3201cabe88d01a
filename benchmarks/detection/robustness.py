"""The same pictures as they travel, and cut to other shapes: AUC after each change, and answers that do not survive."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.detection.changes import AS_IT_IS, RETOUCHED, SHAPES
from benchmarks.detection.views import score
from causalclip.detector import Detector
from causalclip.pictures.delivery import DELIVERIES
from causalclip.training.data import Record
from causalclip.training.evaluation import Scores


def sample(records: Sequence[Record], count: int | None, *, seed: int = 0) -> list[Record]:
    """`count` of the records, each set and class in its share; all of them where count is None."""
    if count is None or count >= len(records):
        return list(records)
    rng = np.random.default_rng(seed)
    cells: dict[tuple[str, int], list[int]] = {}
    for i, record in enumerate(records):
        cells.setdefault((record.set, record.label), []).append(i)
    share = count / len(records)
    rows = [rng.choice(rows, round(len(rows) * share), replace=False) for rows in cells.values()]
    return [records[i] for i in sorted(np.concatenate(rows))]


def aucs(scores: Scores) -> dict[str, float]:
    """AUC of each set, and of all."""
    names = [*sorted({r.set for r in scores.records}), "all"]
    return {n: float(roc_auc_score(scores.labels[scores.of(n)], scores.probability[scores.of(n)])) for n in names}


def run_robustness(
    detector: Detector, records: Sequence[Record], root: Path, *, cache: Path, count: int | None
) -> dict[str, Any]:
    """AUC of each set under every delivery (on `count` of the records) and every shape (on twice as many), the share of
    clear answers that mild deliveries overturn, and what retouching does to answers (on twice as many)."""
    few, more = sample(records, count), sample(records, count and 2 * count)
    delivered = {name: score(detector, few, root, cache=cache, change=name) for name in DELIVERIES}
    shaped = {name: score(detector, more, root, cache=cache, change=name) for name in (AS_IT_IS, *SHAPES)}
    report: dict[str, Any] = {"pictures": len(few), "auc": {name: aucs(s) for name, s in delivered.items()}}
    report |= {"pictures_of_shapes": len(more), "shapes": {name: aucs(s) for name, s in shaped.items()}}
    return report | {
        "overturned": overturned(detector, delivered),
        "retouched": retouched(detector, more, root, cache),
    }


def retouched(detector: Detector, records: Sequence[Record], root: Path, cache: Path) -> dict[str, Any]:
    """How many of each set's pictures are called likely generated, as they are and retouched, by class."""
    shares: dict[str, Any] = {}
    for change in (AS_IT_IS, RETOUCHED):
        scores = score(detector, records, root, cache=cache, change=change)
        called = np.array(scores.bands) == "likely generated"
        for name in [*sorted({r.set for r in scores.records}), "all"]:
            inside = scores.of(name)
            shares.setdefault(name, {})[change] = {
                "real": float(called[inside & (scores.labels == 0)].mean()),
                "generated": float(called[inside & (scores.labels == 1)].mean()),
            }
    return {"pictures": len(records), "likely generated": shares}


def overturned(detector: Detector, scored: dict[str, Scores]) -> dict[str, Any]:
    """Clear answers that become inconclusive, because a mild delivery puts the score on the threshold's other side."""
    from causalclip.examine.stability import MILD

    threshold = detector.config.calibration.threshold
    base = scored[AS_IT_IS]
    side = base.probability >= threshold
    flips = np.any([(scored[name].probability >= threshold) != side for name in MILD], axis=0)
    bands = np.array(base.bands)
    final = np.where(flips, "inconclusive", bands)
    shares = {}
    for label, name in ((0, "real"), (1, "generated")):
        rows = base.labels == label
        shares[name] = {
            band: {
                AS_IT_IS: float((bands[rows] == band).mean()),
                "after the check": float((final[rows] == band).mean()),
            }
            for band in ("likely generated", "inconclusive", "likely not generated")
        }
    return shares
