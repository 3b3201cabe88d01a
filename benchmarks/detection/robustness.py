"""The same pictures as they travel, and cut to other shapes: AUC after each change, and answers that do not survive."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from causalclip.data import Record
from causalclip.delivery import DELIVERIES
from causalclip.detector import Detector
from causalclip.measure import Scores, score_split

ASPECT = 4 / 3  # the common one


def crop_to(picture: Image.Image, aspect: float) -> Image.Image:
    """The largest middle part with this aspect (width by height)."""
    width, height = picture.size
    w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - w) // 2, (height - h) // 2
    return picture.crop((left, top, left + w, top + h))


def swap_shape(picture: Image.Image) -> Image.Image:
    """Squares become 3:2, everything longer becomes a square."""
    ratio = picture.width / picture.height
    return crop_to(picture, 1.0 if max(ratio, 1 / ratio) > 1.2 else 1.5)


SHAPES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "all cropped to 4:3": lambda p: crop_to(p, ASPECT),
    "squares to 3:2, others to squares": swap_shape,
}


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


def run_robustness(detector: Detector, records: Sequence[Record], root: Path) -> dict[str, Any]:
    """AUC of each set under every delivery and shape, and the share of clear answers that mild deliveries overturn."""
    changes = DELIVERIES | SHAPES
    scored = {name: score_split(detector, records, root, change=c, label=name) for name, c in changes.items()}
    report: dict[str, Any] = {"pictures": len(records), "auc": {name: aucs(s) for name, s in scored.items()}}
    report["overturned"] = overturned(detector, scored)
    return report


def overturned(detector: Detector, scored: dict[str, Scores]) -> dict[str, Any]:
    """Clear answers that become inconclusive, because a mild delivery puts the score on the threshold's other side."""
    from causalclip.stability import MILD

    threshold = detector.config.calibration.threshold
    base = scored["as it is"]
    side = base.probability >= threshold
    flips = np.any([(scored[name].probability >= threshold) != side for name in MILD], axis=0)
    bands = np.array(base.bands)
    final = np.where(flips, "inconclusive", bands)
    shares = {}
    for label, name in ((0, "real"), (1, "generated")):
        rows = base.labels == label
        shares[name] = {
            band: {
                "as it is": float((bands[rows] == band).mean()),
                "after the check": float((final[rows] == band).mean()),
            }
            for band in ("likely generated", "inconclusive", "likely not generated")
        }
    return shares
