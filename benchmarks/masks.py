"""What a picture's own mask is worth, and what both of its halves share: of the heads that ship, on
test pictures.

The causal head's verdict is taken again under the mean mask of all pictures, under the mask of
another picture drawn by lot, and under none (all channels open, the weights as they are). Intervals
are over owners, drawn with all their pictures, and differences are of the same draws.

Both halves' dependence is the unbiased nHSIC (causalclip.method.Dependence) of one view a picture,
of both classes and inside each. It is written into the heads' training.json and cards, too.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Options
from benchmarks.curve import judge
from benchmarks.owners import over_owners, percentiles, rank_auc
from benchmarks.views import SplitFeatures, split_features
from causalclip.clip.runtime import choose_runtime
from causalclip.clip.views import ViewType
from causalclip.detector import Detector
from causalclip.method import CausalHead, Dependence, HeadOutput
from causalclip.paths import HEADS, detector_folder
from training.detector.data import Record
from training.detector.evaluation import read_split, true_positive_rate
from training.detector.model_card import mask_rows

OTHERS = 20  # draws of another picture's mask
VIEW_TYPES: tuple[ViewType, ...] = "whole", "window"
MASKS = "mean", "other", "none"
TABLE_HEAD = "| head | density"


def measure(options: Options) -> dict[str, Any]:
    # 1. The views of the packed test pictures, as the shipped detector sees them
    records = read_split(options.forensics / "manifest.csv", "test")
    causal = Detector.from_pretrained(HEADS["causal"])
    runtime = choose_runtime()
    views = split_features(
        records,
        options.forensics,
        backbone=causal.config.backbone,
        cache=options.cache,
        windows=causal.config.windows,
        runtime=runtime,
    )

    # 2. The verdicts under each mask
    report: dict[str, Any] = {
        "model": causal.name,
        "revision": causal.config.revision,
        "runtime": runtime,
        "data": "forensics, test split",
        "pictures": len(records),
        "owners": len(set(map(owner_of, records))),
        "worth": worth(causal, views, records),
        "dependence": {},
    }

    # 3. What both halves share
    labels = np.array([r.label for r in records])
    for head, name in HEADS.items():
        detector = Detector.from_pretrained(name, beside=causal)
        of_views = {
            view_type: dependence(detector, views, view_type, labels) for view_type in VIEW_TYPES
        }
        report["dependence"][head] = {"revision": detector.config.revision} | of_views
        _write_into_card(detector_folder(name), of_views)
    return report


def owner_of(record: Record) -> str:
    """Return whose picture it is: the site, the collection or the generator."""
    return re.sub(r"-(ai|real)$", "", record.source)


# What a mask is worth -----------------------------------------------------------------------------


def worth(detector: Detector, views: SplitFeatures, records: Sequence[Record]) -> dict[str, Any]:
    """Return by set the AUC of the verdict under each mask, and the own mask's less each other's,
    with intervals over owners."""
    labels, owners = (
        np.array([r.label for r in records]),
        np.array([owner_of(r) for r in records]),
    )
    logits = logits_under_masks(detector, views)
    report = {}
    for name in (*sorted({r.set for r in records}), "all"):
        rows = np.flatnonzero([name == "all" or r.set == name for r in records])
        logits_of_set = {mask: raws[:, rows] for mask, raws in logits.items()}
        report[name] = {"pictures": len(rows), "owners": len(set(owners[rows]))} | compare_masks(
            logits_of_set, labels[rows], owners[rows]
        )
    return report


@torch.inference_mode()
def logits_under_masks(
    detector: Detector, views: SplitFeatures, *, others: int = OTHERS
) -> dict[str, np.ndarray]:
    """Return the calibrated logits [K, N] of N pictures under their own masks and under MASKS; K is
    `others` for another picture's mask, 1 for the rest."""
    # 1. Each view's own mask, and what it is drawn from
    rng = np.random.default_rng(0)
    x = views.take(detector.config.parts)
    logits = {
        mask: np.zeros((others if mask == "other" else 1, len(x))) for mask in ("own", *MASKS)
    }
    for view_type in VIEW_TYPES:
        head = detector.heads[view_type]
        rows = np.flatnonzero(views.window == (view_type == "window"))
        embedding = x[rows].float()
        own = judge(head, embedding).mask

        # 2. The verdict of the view under each
        logits["own"][0, rows] = verdict(head, embedding, own)
        logits["mean"][0, rows] = verdict(head, embedding, own.mean(0, keepdim=True))
        logits["none"][0, rows] = verdict(head, embedding, torch.ones(1, own.shape[1]))
        for k in range(others):
            other = rows_of_others(views.picture[rows], rng)
            logits["other"][k, rows] = verdict(head, embedding, own[other])

    # 3. The verdict of the picture
    share, calibration = detector.config.share["window"], detector.config.calibration
    shift = np.array([calibration.shift(q) for q in views.quality])
    return {
        mask: np.stack(
            [calibration.scale * views.pool(raw, raw, share=share) + shift for raw in raws]
        )
        for mask, raws in logits.items()
    }


def verdict(head: CausalHead, embedding: Tensor, mask: Tensor) -> np.ndarray:
    """Return the head's logits [V] of embeddings [V, D] under masks [V, D] or [1, D]."""
    logits = [
        head.score(m * (e - head.shift) / head.scale)
        for e, m in zip(
            embedding.split(512), mask.expand(len(embedding), -1).split(512), strict=True
        )
    ]
    return torch.cat(logits).numpy()


def rows_of_others(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw for each view, [V], the row of a view of another picture."""
    rows = rng.permutation(len(picture))
    while (same := np.flatnonzero(picture[rows] == picture)).size:
        rows[same] = rng.integers(len(picture), size=len(same))
    return rows


def compare_masks(
    logits: dict[str, np.ndarray], labels: np.ndarray, owners: np.ndarray
) -> dict[str, Any]:
    """Return under each mask the AUC and the generated pictures found at 1 % false alarms, and the
    own mask's AUC less each other's, with 95 % intervals.

    Args:
        logits: [K, N] each, whose measures are the mean over K. labels, owners: [N].
    """

    def measures(rows: np.ndarray) -> dict[str, float]:
        auc = {
            mask: float(np.mean([rank_auc(labels[rows], raw[rows]) for raw in raws]))
            for mask, raws in logits.items()
        }
        found = {
            f"{mask} at 1 %": float(
                np.mean(
                    [
                        true_positive_rate(labels[rows], raw[rows], false_positive_rate=0.01)
                        for raw in raws
                    ]
                )
            )
            for mask, raws in logits.items()
        }
        return auc | found | {f"own - {mask}": auc["own"] - auc[mask] for mask in MASKS}

    values = measures(np.arange(len(labels)))
    draws = over_owners(measures, labels, owners)
    return {
        name: {"value": value, "interval": percentiles(draws[name])}
        for name, value in values.items()
    }


# What both halves share ---------------------------------------------------------------------------


def dependence(
    detector: Detector, views: SplitFeatures, view_type: ViewType, labels: np.ndarray
) -> dict[str, Any]:
    """Return the dependence of both halves, of the first view of a type of each picture that has
    one, and its mean inside a class."""
    # 1. The first view of each picture
    rows = np.flatnonzero(views.window == (view_type == "window"))
    rows = rows[np.unique(views.picture[rows], return_index=True)[1]]
    out = judge(detector.heads[view_type], views.take(detector.config.parts)[rows].float())

    # 2. Of all, and of each class
    of_rows = labels[views.picture[rows]]
    inside = [_between(out, np.flatnonzero(of_rows == label)).nhsic for label in (0, 1)]
    everything = _between(out, np.arange(len(rows)))
    return asdict(everything) | {"within": float(np.mean(inside)), "split": "test"}


def _between(out: HeadOutput, rows: np.ndarray) -> Dependence:
    return Dependence.between(out.causal[rows], out.non_causal[rows])


def _write_into_card(folder: Path, of_views: dict[ViewType, dict[str, Any]]) -> None:
    """Write the dependence of a head's halves into its training.json, and the rows of its card."""
    # 1. What training measured of the masks, with this in place of its own
    file, card = folder / "training.json", folder / "README.md"
    report = json.loads(file.read_text())
    for view_type, measured in of_views.items():
        report["masks"][view_type].pop("nhsic", None)
        report["masks"][view_type]["dependence"] = measured
    file.write_text(json.dumps(report, indent=2) + "\n")

    # 2. The card's table
    before, rest = card.read_text(encoding="utf-8").split(TABLE_HEAD)
    head, line, *_rows = rest.split("\n\n")[0].splitlines()
    after = rest[rest.index("\n\n") :]
    table = f"{TABLE_HEAD}{head}\n{line}\n{mask_rows(report['masks'])}"
    card.write_text(f"{before}{table}{after}", encoding="utf-8")
