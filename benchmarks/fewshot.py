"""What a correction from a reader's own pictures gains, for owners who show both kinds.

Draws of N pictures a class of one owner teach a private head (causalclip.private_head), which
judges the owner's other pictures. AUC of the shipped score, of the correction without it, of both,
and of both where leave-one-out is sure of a gain.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from benchmarks.common import TABLE, Options
from causalclip.detector import Detector
from causalclip.images.loading import load_image
from causalclip.private_head import fit, re_encode, try_correction
from training.dataset.rules import read_originals
from training.detector.data import Record

COUNTS = (5, 10, 15, 20)  # pictures a class
DRAWS, MOST = 20, 25  # draws; pictures of an owner and class
OWNER = 10  # pictures of each class that an owner has at least
SEED = 1


def measure(options: Options) -> dict[str, Any]:
    detector = Detector.from_pretrained(options.model)
    owners = choose(read_originals(TABLE, options.originals, split="test"))
    found = {
        owner: by_count(*represent(records, detector, options))
        for owner, records in tqdm(owners.items(), unit="owner")
    }
    return {
        "model": detector.name,
        "revision": detector.config.revision,
        "data": "owners of the test split who show 10 of each class or more, re-encoded alike",
        "draws": DRAWS,
        "owners": found,
    }


def choose(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The pictures of each owner who has enough of both classes, drawn by a hash."""
    owners: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: r.picture):
        if record.kind == "photo" and not record.crop and not record.grid:
            owners.setdefault(record.owner, []).append(record)
    chosen = {}
    for owner, of in sorted(owners.items()):
        each = [[r for r in of if r.label == label] for label in (0, 1)]
        if min(map(len, each)) >= OWNER:
            chosen[owner] = [r for some in each for r in some[:MOST]]
    return chosen


def represent(
    records: Sequence[Record], detector: Detector, options: Options
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [N, D], shipped log-odds [N] and labels [N], from the cache where they are there."""
    folder = options.cache / "fewshot" / f"{detector.name}-{detector.config.revision}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for record in records:
        file = folder / f"{hashlib.sha256(record.path.encode()).hexdigest()}.npy"
        if not file.exists():
            pixels = load_image(options.originals / record.path).pixels
            verdict, features = detector.represent(re_encode(pixels))
            np.save(file, np.append(features, verdict.logit).astype(np.float32))
        rows.append(np.load(file))
    table = np.array(rows)
    return table[:, :-1], table[:, -1], np.array([r.label for r in records])


def by_count(x: np.ndarray, shipped: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The mean and the worst draw of each way to judge, for each count that leaves a picture."""
    rng = np.random.default_rng(SEED)
    table = {}
    for count in COUNTS:
        if np.bincount(labels, minlength=2).min() <= count:
            continue
        draws = [draw(x, shipped, labels, count, rng) for _ in range(DRAWS)]
        names = ("shipped", "alone", "both", "chosen")
        table[str(count)] = {
            name: {"mean": float(np.mean(values)), "worst": float(np.min(values))}
            for name, values in zip(names, np.array(draws).T, strict=False)
        } | {"used": float(np.mean([row[-1] for row in draws]))}
    return table


def draw(
    x: np.ndarray, shipped: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[float, float, float, float, float]:
    """AUC on the owner's other pictures: shipped, the correction alone, both, and both where it is
    used; and whether it is."""
    taught = np.concatenate(
        [rng.permutation(np.flatnonzero(labels == label))[:count] for label in (1, 0)]
    )
    others = np.setdiff1d(np.arange(len(labels)), taught)
    own = x[taught], shipped[taught], labels[taught]
    head = fit(*own)
    alone = fit(x[taught], np.zeros(len(taught)), labels[taught])

    def auc(scores: np.ndarray) -> float:
        return float(roc_auc_score(labels[others], scores))

    before = auc(shipped[others])
    both = auc(shipped[others] + x[others] @ head.direction)
    used = try_correction(*own).helps
    return before, auc(x[others] @ alone.direction), both, both if used else before, float(used)
