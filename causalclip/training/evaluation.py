"""A detector on a split of a manifest: every measure, by set and by source. Offline: needs scikit-learn."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from causalclip.detector import Detector
from causalclip.pictures.loading import load_image
from causalclip.training.data import Record, read_manifest
from causalclip.training.guards import detection_fault, need_both, readable, say
from causalclip.training.measures import bootstrap, by_group, meaning, reliability, roc_points, summarise

LIKE_CONTENT = "alike", "fresh", "sites"  # sets of real and generated pictures of the same kinds of thing
Change = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a detector said of some records: probability and whether it was stable, [N] each."""

    records: tuple[Record, ...]
    probability: np.ndarray
    bands: tuple[str, ...]

    @property
    def labels(self) -> np.ndarray:
        return np.array([r.label for r in self.records])

    def of(self, name: str) -> np.ndarray:
        """Which records belong to a set; "all" takes every one."""
        return np.array([name == "all" or r.set == name for r in self.records])


def read_split(manifest: str | Path, split: str) -> list[Record]:
    """The records of a split; of training files only the whole pictures, so that no picture counts twice.

    Raises:
        BadManifest: the split has no pictures, or not of both classes.
    """
    records = [r for r in read_manifest(manifest) if r.split == split and r.view != "crop"]
    need_both(records, f"The split {split!r}")
    return records


def open_pictures(records: Sequence[Record], root: str | Path, *, label: str) -> Iterator[Image.Image]:
    """The records' pictures as detection sees them (causalclip.load_image), with a progress bar."""
    for record in tqdm(records, desc=label, unit="picture"):
        yield Image.fromarray(load_image(Path(root) / record.path).pixels)


def score_split(
    detector: Detector, records: Sequence[Record], root: str | Path, *, change: Change | None = None, label: str = ""
) -> Scores:
    """Judges every record, after `change` where one is given."""
    probability, bands = [], []
    for picture in open_pictures(records, root, label=label or "detect"):
        judged = detector.judge(np.asarray(picture if change is None else change(picture)))
        probability.append(judged.probability)
        bands.append(judged.band)
    return Scores(tuple(records), np.array(probability), tuple(bands))


def tabulate(scores: Scores, *, threshold: float, bands: Sequence[float] = ()) -> dict[str, Any]:
    """Every table of one run: a row a set with intervals, band shares and curves, sources, and AUC site by site.

    bands: the scores up to which an answer reaches (Calibration.borders).
    """
    names = [*sorted({r.set for r in scores.records} - {"all"}), "all"]
    sets = [name for name in names if len(set(scores.labels[scores.of(name)])) == 2]
    if one_class := sorted(set(names) - set(sets)):
        say(f"No table of {', '.join(one_class)}: measures need real and generated pictures, and there are not both.")
    report: dict[str, Any] = {"date": date.today().isoformat(), "sets": sets, "threshold": threshold}
    for name in sets:
        inside = scores.of(name)
        labels, probability = scores.labels[inside], scores.probability[inside]
        report[name] = summarise(labels, probability, threshold=threshold) | {
            "auc_interval": bootstrap(roc_auc_score, labels, probability, rounds=500),
            "bands": _band_shares(labels, np.array(scores.bands)[inside]),
            "roc": roc_points(labels, probability),
            "reliability": reliability(labels, probability),
        }
    like = np.any([scores.of(name) for name in LIKE_CONTENT], axis=0)
    if like.any():
        report["meant"] = meaning(scores.labels[like], scores.probability[like], thresholds=bands)
    groups = [r.source for r in scores.records]
    report["sources"] = by_group(scores.labels, scores.probability, groups, threshold=threshold)
    report["alike_sites"] = auc_by_site(scores)
    return report


def _band_shares(labels: np.ndarray, bands: np.ndarray) -> dict[str, dict[str, float]]:
    return {
        band: {
            "real": float((bands[labels == 0] == band).mean()),
            "generated": float((bands[labels == 1] == band).mean()),
        }
        for band in ("likely generated", "inconclusive", "likely not generated", "no answer")
        if band != "no answer" or (bands == band).any()
    }


def auc_by_site(scores: Scores, *, least: int = 4) -> dict[str, float]:
    """AUC inside each `alike` site with at least `least` pictures of both kinds: content held fixed by its owner."""
    groups = np.array([r.group if r.set == "alike" else "" for r in scores.records])
    result = {}
    for name in sorted(set(groups) - {""}):
        inside = groups == name
        labels = scores.labels[inside]
        if min(labels.sum(), (1 - labels).sum()) >= least:
            result[name] = float(roc_auc_score(labels, scores.probability[inside]))
    return result


def evaluate_detector(
    detector: Detector, manifest: str | Path, root: str | Path, *, split: str = "test"
) -> dict[str, Any]:
    """What `python -m causalclip evaluate` writes; files that cannot be read are left out, said, and counted."""
    wanted = read_split(manifest, split)
    records = readable(wanted, root, fault=detection_fault)
    need_both(records, f"What can be read of the split {split!r}")
    calibration = detector.config.calibration
    scores = score_split(detector, records, root)
    report = tabulate(scores, threshold=calibration.threshold, bands=calibration.borders)
    about = {"model": detector.name, "revision": detector.config.revision, "split": split}
    return about | {"files_left_out": len(wanted) - len(records)} | report
