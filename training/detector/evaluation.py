"""Measures of scores against labels, and of a detector on a manifest's split by set and source."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from causalclip.calibration import BANDS
from causalclip.detector import Detector
from causalclip.images.loading import load_image
from training.detector.data import Record, detection_fault, need_both, read_manifest, readable, say
from training.intervals import bootstrap

Report = dict[str, float]
# sets of real and generated pictures of the same kinds of thing
LIKE_CONTENT = "alike", "fresh", "sites"


def true_positive_rate(
    labels: np.ndarray, scores: np.ndarray, *, false_positive_rate: float
) -> float:
    """Return the largest share of generated pictures that is found with at most
    `false_positive_rate` (under 1) of the real ones flagged."""
    real = np.sort(scores[labels == 0])[::-1]
    allowed = int(false_positive_rate * len(real) + 1e-9)  # false alarms
    return float((scores[labels == 1] > real[allowed]).mean())


def balanced_accuracy(labels: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    """Return the mean of the accuracy on real and on generated pictures when a score at or above
    `threshold` says generated."""
    positive = scores >= threshold
    return float((positive[labels == 1].mean() + (~positive[labels == 0]).mean()) / 2)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> float:
    """Return the expected calibration error: |mean probability - share generated| in equal-width
    bins, weighted by their size."""
    rows = reliability(labels, probabilities, bins=bins)
    gaps = (abs(row["pictures"] * row["mean_probability"] - row["generated"]) for row in rows)
    return float(sum(gaps) / len(labels))


def reliability(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> list[Report]:
    """Return the bins of equal width that hold pictures: how many, their mean probability, how many
    are generated."""
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    rows = []
    for b in np.unique(index):
        inside = index == b
        rows.append(
            {
                "pictures": int(inside.sum()),
                "mean_probability": float(probabilities[inside].mean()),
                "generated": int(labels[inside].sum()),
            }
        )
    return rows


def empirical_precision(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    thresholds: Sequence[float] = (),
    least: int = 25,
) -> list[Report]:
    """Return the share of generated pictures among scores near one another: steps of an isotonic
    regression on the score.

    Steps of fewer than `least` pictures are joined with the next, and none reaches across one of
    the bands' thresholds, so that two answers never share a step.

    Returns:
        A row a step: low and high (a score belongs to the step whose high it does not exceed),
        pictures, generated.
    """
    rows: list[Report] = []
    for low, high in pairwise([-np.inf, *sorted(thresholds), 1.0]):
        inside = (probabilities > low) & (probabilities <= high)
        for edge, pictures, generated in _steps(labels[inside], probabilities[inside], least=least):
            before = rows[-1]["high"] if rows else 0.0
            rows.append({"low": before, "high": edge, "pictures": pictures, "generated": generated})
        if rows:
            rows[-1]["high"] = float(high)
    return rows


def _steps(labels: np.ndarray, scores: np.ndarray, *, least: int) -> list[tuple[float, int, int]]:
    """Return (highest score, pictures, generated) of the isotonic steps, from the lowest up."""
    if not len(scores):
        return []
    order = np.argsort(scores, kind="stable")
    levels = IsotonicRegression().fit_transform(scores[order], labels[order])
    ends = [int(np.flatnonzero(levels == value)[-1]) + 1 for value in np.unique(levels)]
    steps: list[tuple[float, int, int]] = []
    first = 0
    for end in ends:
        if end - first < least and end < len(order):
            continue  # too few by themselves: they are joined with the next
        if end - first < least and steps:
            first -= steps.pop()[1]  # or, at the end, with the ones before
        rows = order[first:end]
        steps.append((float(scores[rows].max()), len(rows), int(labels[rows].sum())))
        first = end
    return steps


def summarise(labels: np.ndarray, probabilities: np.ndarray, *, threshold: float = 0.5) -> Report:
    """Return every measure that a table must report.

    Args:
        labels: [N], 1 generated, 0 real; both must occur.
        probabilities: [N] in [0, 1].
        threshold: the calibrated one; balanced accuracy is given there and at 0.5.
    """
    positive = probabilities >= threshold
    return {
        "pictures": len(labels),
        "auc": float(roc_auc_score(labels, probabilities)),
        "ap": float(average_precision_score(labels, probabilities)),
        "balanced_accuracy_at_0.5": balanced_accuracy(labels, probabilities, 0.5),
        "balanced_accuracy": balanced_accuracy(labels, probabilities, threshold),
        "real_accuracy": float((~positive[labels == 0]).mean()),
        "generated_accuracy": float(positive[labels == 1].mean()),
        "tpr_at_1_fpr": true_positive_rate(labels, probabilities, false_positive_rate=0.01),
        "tpr_at_5_fpr": true_positive_rate(labels, probabilities, false_positive_rate=0.05),
        "ece": calibration_error(labels, probabilities),
    }


def _class_interval(
    measure: Callable[[np.ndarray, np.ndarray], float],
    labels: np.ndarray,
    scores: np.ndarray,
    *,
    rounds: int = 1000,
) -> tuple[float, float]:
    """Return the 95 % interval of a measure over pictures, resampled within each class."""

    def statistic(real: np.ndarray, generated: np.ndarray) -> float:
        return measure(
            np.repeat([0, 1], [len(real), len(generated)]), np.concatenate([real, generated])
        )

    return bootstrap(statistic, scores[labels == 0], scores[labels == 1], rounds=rounds)


def _by_group(
    labels: np.ndarray, probabilities: np.ndarray, groups: Sequence[str], *, threshold: float
) -> dict[str, Report]:
    """Return of each source: how many, the mean probability, and the share that is judged rightly
    at the threshold."""
    names = np.asarray(groups)
    report = {}
    for name in sorted(set(groups)):
        inside = names == name
        right = (probabilities[inside] >= threshold) == (labels[inside] == 1)
        report[name] = {
            "pictures": int(inside.sum()),
            "generated": int(labels[inside].sum()),
            "mean_probability": float(probabilities[inside].mean()),
            "accuracy": float(right.mean()),
        }
    return report


@dataclass(frozen=True, slots=True)
class Scores:
    """What a detector said of N records: probability [N], and the answers' bands."""

    records: tuple[Record, ...]
    probability: np.ndarray
    bands: tuple[str, ...]

    @property
    def labels(self) -> np.ndarray:
        """The classes of the records, [N]: 1 generated, 0 real."""
        return np.array([r.label for r in self.records])

    def of(self, name: str) -> np.ndarray:
        """Return which records belong to a set; "all" takes every one."""
        return np.array([name == "all" or r.set == name for r in self.records])


def read_split(manifest: str | Path, split: str) -> list[Record]:
    """Return the records of a split; of training files only the whole pictures, so that no picture
    counts twice.

    Raises:
        BadManifest: the split has no pictures, or not of both classes.
    """
    records = [r for r in read_manifest(manifest) if r.split == split and r.view != "crop"]
    need_both(records, f"The split {split!r}")
    return records


def score_split(
    detector: Detector,
    records: Sequence[Record],
    root: str | Path,
    *,
    batch: int = 4,
    workers: int = 1,
    kept: Path | None = None,
) -> Scores:
    """Judge every record's picture, as detection reads it (causalclip.load_image), with a progress
    bar.

    Args:
        batch: how many pictures are judged together, and how many of their views at once.
        workers: how many pictures are decoded at once, while others are judged.
        kept: a file of scores, to which those of each batch are added; a run that finds it judges
            only what it has not, unless it is of another detector or the picture has changed.
    """
    paths = dict.fromkeys(record.path for record in records)  # generators may share a real picture
    verdicts = _kept_scores(kept, detector) if kept else {}
    key_of = {path: _file_key(Path(root), path) for path in paths}
    missing = [path for path in paths if key_of[path] not in verdicts]
    with tqdm(total=len(paths), initial=len(paths) - len(missing), unit="picture") as progress:
        for names, pictures in _decoded(missing, Path(root), batch=batch, workers=workers):
            found = detector.score_batch(pictures, batch=batch)
            new = {
                key_of[name]: (verdict.probability, verdict.band)
                for name, verdict in zip(names, found, strict=True)
            }
            verdicts |= new
            if kept:
                _append(kept, new.items())
            progress.update(len(names))
    of_records = [verdicts[key_of[record.path]] for record in records]
    probability = np.array([value for value, _ in of_records])
    return Scores(tuple(records), probability, tuple(band for _, band in of_records))


def _decoded(
    paths: Sequence[str], root: Path, *, batch: int, workers: int
) -> Iterator[tuple[Sequence[str], list[np.ndarray]]]:
    """Yield batches of paths with their pixels; the next batch is decoded meanwhile."""
    batches = [paths[first : first + batch] for first in range(0, len(paths), batch)]
    with ThreadPoolExecutor(workers) as pool:

        def begin(names: Sequence[str]) -> list[Future[np.ndarray]]:
            return [pool.submit(_pixels, root / name) for name in names]

        ahead = begin(batches[0]) if batches else []
        for i, names in enumerate(batches):
            now, ahead = ahead, begin(batches[i + 1]) if i + 1 < len(batches) else []
            yield names, [future.result() for future in now]


def _pixels(path: Path) -> np.ndarray:
    return load_image(path).pixels


def _file_key(root: Path, path: str) -> str:
    """Return what tells a version of a file from others: its path, size and time of change."""
    about = (root / path).stat()
    return f"{path} {about.st_size} {about.st_mtime_ns}"


def _kept_scores(kept: Path, detector: Detector) -> dict[str, tuple[float, str]]:
    """Return the scores in a file that is of this detector; begin the file anew where it is not."""
    digest = sha256(f"{detector.name} {detector.config}".encode())
    for name, head in sorted(detector.heads.items()):
        for key, value in head.state_dict().items():
            digest.update(f"{name} {key}".encode() + value.cpu().numpy().tobytes())
    first = ["detector", digest.hexdigest()]
    if kept.is_file():
        # a last line without its end is of a run that was killed
        lines = [line for line in kept.read_text().splitlines(True) if line.endswith("\n")]
        rows = [json.loads(line) for line in lines]
        if rows and rows[0] == first:
            kept.write_text("".join(lines))
            return {key: (value, band) for key, (value, band) in rows[1:]}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(first) + "\n")
    return {}


def _append(kept: Path, rows: Iterable[Any]) -> None:
    """Add lines of JSON to a file."""
    with kept.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def tabulate(scores: Scores, *, threshold: float, bands: Sequence[float] = ()) -> dict[str, Any]:
    """Return every table of one run: a row a set with its interval, band shares and reliability;
    and the sources.

    Args:
        bands: the scores up to which an answer reaches (Calibration.borders).
    """
    names = [*sorted({r.set for r in scores.records} - {"all"}), "all"]
    sets = [name for name in names if len(set(scores.labels[scores.of(name)])) == 2]
    if one_class := sorted(set(names) - set(sets)):
        say(
            f"No table of {', '.join(one_class)}: measures need real and generated pictures, and "
            "there are not both."
        )
    report: dict[str, Any] = {
        "date": date.today().isoformat(),
        "sets": sets,
        "threshold": threshold,
    }
    for name in sets:
        inside = scores.of(name)
        labels, probability = scores.labels[inside], scores.probability[inside]
        report[name] = summarise(labels, probability, threshold=threshold) | {
            "auc_interval": _class_interval(roc_auc_score, labels, probability, rounds=500),
            "tpr_at_1_fpr_interval": _class_interval(
                partial(true_positive_rate, false_positive_rate=0.01), labels, probability
            ),
            "bands": _band_shares(labels, np.array(scores.bands)[inside]),
            "reliability": reliability(labels, probability),
        }
    like_content = np.any([scores.of(name) for name in LIKE_CONTENT], axis=0)
    if like_content.any():
        report["meant"] = empirical_precision(
            scores.labels[like_content], scores.probability[like_content], thresholds=bands
        )
    groups = [r.source for r in scores.records]
    report["sources"] = _by_group(scores.labels, scores.probability, groups, threshold=threshold)
    return report


def _band_shares(labels: np.ndarray, bands: np.ndarray) -> dict[str, dict[str, float]]:
    """Return of each answer the shares of real and of generated pictures that get it."""
    return {
        band: {
            "real": float((bands[labels == 0] == band).mean()),
            "generated": float((bands[labels == 1] == band).mean()),
        }
        for band in BANDS
        if band != "no answer" or (bands == band).any()
    }


def evaluate_detector(
    detector: Detector,
    manifest: str | Path,
    root: str | Path,
    *,
    split: str = "test",
    batch: int = 4,
    workers: int = 1,
    kept: Path | None = None,
) -> tuple[dict[str, Any], Scores]:
    """Judge a split of a manifest, and return what `python -m training evaluate` writes of it, and
    the scores.

    Files that cannot be read are left out, said, and counted. batch, workers, kept: as of
    `score_split`.
    """
    every = read_split(manifest, split)
    records = readable(every, root, fault=detection_fault)
    need_both(records, f"What can be read of the split {split!r}")
    calibration = detector.config.calibration
    scores = score_split(detector, records, root, batch=batch, workers=workers, kept=kept)
    report = tabulate(scores, threshold=calibration.threshold, bands=calibration.borders)
    about = {"model": detector.name, "revision": detector.config.revision, "split": split}
    return about | {"files_left_out": len(every) - len(records)} | report, scores
