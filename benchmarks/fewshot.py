"""What a correction from a reader's own pictures gains, for owners who show both kinds.

Draws of N pictures a class of one owner teach a private head (causalclip.private_head), which
judges the owner's other pictures. AUC of the shipped score, of the correction without it, of both,
and of both where leave-one-out is sure of a gain; and what is then answered, before the check of
stability.
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
from causalclip.private_head import Trial, fit, re_encode, try_correction
from training.dataset.rules import read_originals
from training.detector.data import Record

COUNTS = (5, 10, 15, 20)  # pictures a class
DRAWS = 20
MAX_PICTURES = 25  # of an owner and class
OWNER = 10  # pictures of each class that an owner has at least
SEED = 1

Answers = dict[str, float]  # the shares that `answers` gives


def measure(options: Options) -> dict[str, Any]:
    detector = Detector.from_pretrained(options.model)
    owners = choose(read_originals(TABLE, options.originals, split="test"))
    found = {
        owner: _by_count(*represent(records, detector, options), thresholds(detector))
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
    for owner, pictures in sorted(owners.items()):
        classes = [[r for r in pictures if r.label == label] for label in (0, 1)]
        if min(map(len, classes)) >= OWNER:
            chosen[owner] = [r for rows in classes for r in rows[:MAX_PICTURES]]
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
            logit, features = detector.represent(re_encode(pixels))
            np.save(file, np.append(features, logit).astype(np.float32))
        rows.append(np.load(file))
    table = np.array(rows)
    return table[:, :-1], table[:, -1], np.array([r.label for r in records])


def thresholds(detector: Detector) -> tuple[float, float]:
    """The shipped thresholds, low and high, in log-odds."""
    calibration = detector.config.calibration
    low, high = (np.log(p / (1 - p)) for p in (calibration.low, calibration.high))
    return float(low), float(high)


def _by_count(
    x: np.ndarray, shipped: np.ndarray, labels: np.ndarray, band: tuple[float, float]
) -> dict[str, Any]:
    """The mean and the worst draw of each way to judge, and the mean share of each answer, for each
    count that leaves a picture."""
    rng = np.random.default_rng(SEED)
    table = {}
    for count in COUNTS:
        if np.bincount(labels, minlength=2).min() <= count:
            continue
        draws = [draw(x, shipped, labels, count, rng, band) for _ in range(DRAWS)]
        aucs, trials, before, after = zip(*draws, strict=True)
        names = ("shipped", "alone", "both", "chosen")
        table[str(count)] = {
            name: {"mean": float(np.mean(values)), "worst": float(np.min(values))}
            for name, values in zip(names, np.array(aucs).T, strict=True)
        } | {
            "used": float(np.mean([trial.helps for trial in trials])),
            "answers": {"shipped": _mean_of_each(before), "chosen": _mean_of_each(after)},
        }
    return table


def draw(
    x: np.ndarray,
    shipped: np.ndarray,
    labels: np.ndarray,
    count: int,
    rng: np.random.Generator,
    band: tuple[float, float],
) -> tuple[tuple[float, float, float, float], Trial, Answers, Answers]:
    """Return AUC on the owner's other pictures: shipped, the correction alone, both, and both where
    it is used; the trial; and the answers as shipped and as used."""
    # 1. What the drawn pictures teach
    taught = np.concatenate(
        [rng.permutation(np.flatnonzero(labels == label))[:count] for label in (1, 0)]
    )
    others = np.setdiff1d(np.arange(len(labels)), taught)
    own = x[taught], shipped[taught], labels[taught]
    head, trial = fit(*own), try_correction(*own)
    alone = fit(x[taught], np.zeros(len(taught)), labels[taught])

    # 2. AUC on the others
    def auc(scores: np.ndarray) -> float:
        return float(roc_auc_score(labels[others], scores))

    plain = shipped[others]
    corrected = plain + x[others] @ head.direction + head.offset + trial.lift
    before, both = auc(plain), auc(corrected)
    aucs = before, auc(x[others] @ alone.direction), both, both if trial.helps else before

    # 3. The answers; a profile's threshold lies above all real pictures that taught it
    low, high = band
    answered = answers(plain, labels[others], low, high)
    if not trial.helps:
        return aucs, trial, answered, answered
    above = np.nextafter(trial.scores[own[2] == 0].max(), np.inf)
    return aucs, trial, answered, answers(corrected, labels[others], low, max(high, above))


def answers(scores: np.ndarray, labels: np.ndarray, low: float, high: float) -> Answers:
    """Return the share of each kind that is called likely generated, and likely not generated."""
    real, generated = scores[labels == 0], scores[labels == 1]
    return {
        "found": float((generated >= high).mean()),
        "missed": float((generated <= low).mean()),
        "accused": float((real >= high).mean()),
        "cleared": float((real <= low).mean()),
    }


def _mean_of_each(draws: Sequence[Answers]) -> Answers:
    """Return the mean of each share over the draws."""
    return {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
