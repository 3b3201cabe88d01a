"""What a training run knows about its model, as numbers (training.json) and as the card shipped
with it. Offline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from causalclip.detector import DetectorConfig
from causalclip.maps.captions import SHARED_MASK_MEANING, SHARES_THE_LABEL
from causalclip.maps.channels import MIN_PASSING
from causalclip.method import CausalHead, Dependence
from training.detector.data import Record
from training.detector.evaluation import calibration_error
from training.detector.mask_statistics import MaskStatistics

JUDGED = 4096  # rows of features
COMPARED = 1024  # of them, of which the halves' dependence is measured
COLLAPSE = "Collapse would show as a density of 0 or 1, or a variance of 0."
# of detectors that learned from the data set by reference
MIXED = "license: other\nlicense_name: weights-of-mixed-data\nlicense_link: README.md#trained-on\n"
MIXED_SOURCES = "\nSome sources are for non-commercial use or research only.\n"
RESIDUE = (
    "What it holds back tells the label, too: the mask separates no causes, and a verdict "
    "without one is as good."
)


@torch.inference_mode()
def mask_report(
    head: CausalHead, features: Tensor, labels: Tensor, parts: Mapping[str, int]
) -> dict[str, Any]:
    """Signs of collapse on features [N, D]: mask statistics, dependence, and what the adversary can
    still tell; and the mean share of channels that pass, by class and part of the embedding.

    Of at most JUDGED rows, spread evenly: all of them at once would take gigabytes.

    Args:
        parts: the width of each part of the embedding, by its name.
    """
    rows = torch.linspace(0, len(features) - 1, min(JUDGED, len(features))).long()
    features, labels = features[rows], labels[rows]
    out = head(features.float())
    guess = head.adversary(out.non_causal).squeeze(1) > 0
    sample = torch.linspace(0, len(features) - 1, min(COMPARED, len(features))).long()
    dependence = Dependence.between(out.causal[sample], out.non_causal[sample])
    return asdict(MaskStatistics.of(out.mask)) | {
        "dependence": asdict(dependence) | {"split": "train"},
        "adversary_accuracy": float((guess == (labels > 0.5)).float().mean()),
        "open": {
            name: _open_shares(out.mask[(labels > 0.5) == bool(label)], parts)
            for label, name in enumerate(("real", "generated"))
        },
    }


def _open_shares(masks: Tensor, parts: Mapping[str, int]) -> dict[str, float]:
    """The mean share of channels that masks [N, D] let through, by part of the embedding."""
    shares = [(mask >= MIN_PASSING).float().mean() for mask in masks.split(list(parts.values()), 1)]
    return {part: round(float(share), 3) for part, share in zip(parts, shares, strict=True)}


def validation_report(
    records: Sequence[Record],
    squares: np.ndarray,
    verdict: np.ndarray,
    quality: np.ndarray,
    fold: np.ndarray,
    config: DetectorConfig,
) -> dict[str, Any]:
    """Return AUC inside each fold and set of held-out families and sites, and the verdict's
    calibration.

    Args:
        squares: [K, N] raw logits of the squares' head; the first is lightly re-encoded.
        verdict: [C, N] raw logits of all views together. quality: [C, N, Q], estimated compression.
    """
    labels = np.array([r.label for r in records])
    report: dict[str, Any] = {}
    for name in sorted({r.set for r in records}):
        inside = np.array([r.set == name for r in records])
        folds = [inside & (fold == f) for f in sorted(set(fold))]
        folds = [rows for rows in folds if 0 < labels[rows].sum() < rows.sum()]
        if not folds:
            continue  # no fold holds both classes of this set: nothing is known of it

        def auc(copies: np.ndarray, folds: list[np.ndarray] = folds) -> float:
            return float(
                np.mean(
                    [roc_auc_score(labels[rows], copy[rows]) for rows in folds for copy in copies]
                )
            )

        report[name] = {"auc": auc(squares[:1]), "auc_verdict": auc(verdict)}
        if len(squares) > 1:
            report[name]["auc_delivered"] = auc(squares[1:])
    calibration = config.calibration
    logit = (
        calibration.scale * verdict + calibration.offset + quality @ np.array(calibration.quality)
    )
    report["ece"] = calibration_error(
        np.tile(labels, len(verdict)), 1 / (1 + np.exp(-logit.ravel()))
    )
    return report


def _count_table(records: Sequence[Record]) -> str:
    """Return how many pictures of each set and class, and of how many sources, as a Markdown
    table."""
    pictures = {(r.set, r.label, r.source, r.picture) for r in records}
    counts = Counter((name, label) for name, label, _, _ in pictures)
    sources = Counter((name, label) for name, label, _ in {p[:3] for p in pictures})
    lines = ["| set | real (sources) | generated (sources) |", "|---|---|---|"]
    for name in sorted({r.set for r in records}):
        cells = (f"{counts[name, label]} ({sources[name, label]})" for label in (0, 1))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _image_types(report: Mapping[str, Any]) -> str:
    """Return how well photographs and other images are told apart, on held-out owners; nothing
    where they are not."""
    if not report:
        return ""
    refusals = ", ".join(
        f"{name} {k['share']:.0%} (n = {k['pictures']})" for name, k in report["refused"].items()
    )
    return f"""## What is no photograph gets no answer
A linear classifier on the same embedding tells photographs, real or generated, from other images: on held-out owners
with an AUC of {report["auc"]:.3f}. It refuses {report["photographs_refused"]:.1%} of their photographs,
each owner counted once (new owners, with 90% confidence: at most {report["photographs_refused_bound"]:.1%}), and of
the others: {refusals}.

"""  # noqa: E501


def mask_rows(masks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a row of the card's table for each head, of what `mask_report` says."""
    rows = []
    for view_type, mask in masks.items():
        dependence = mask["dependence"]
        rows.append(
            f"| {view_type} | {mask['density']:.2f} | {mask['entropy']:.2f} | "
            f"{mask['variance']:.4f} | {mask['causal_share']:.2f} | "
            f"{dependence['nhsic']:.2f} | {dependence['permuted']:.2f} ± {dependence['spread']:.2f}"
            f" | {dependence['pictures']:,} of `{dependence['split']}` | "
            f"{mask['adversary_accuracy']:.2f} |"
        )
    return "\n".join(rows)


def fill_card(name: str, **fields: Any) -> str:
    """A card's template (training/templates) with its fields filled in."""
    return (
        (Path(__file__).resolve().parents[1] / "templates" / f"{name}.md")
        .read_text(encoding="utf-8")
        .format(**fields)
    )


def model_card(report: Mapping[str, Any], records: Sequence[Record], config: DetectorConfig) -> str:
    """The README.md of a trained detector: what it is, what it was trained on, what is known and
    what is not.

    A licence and its reason are named for the project's own data set alone, whose records have
    owners: what pictures of one's own allow, nobody here knows.
    """
    # 1. The tables
    sets = "\n".join(
        f"| {name} | {v['auc']:.3f} | {v.get('auc_delivered', v['auc']):.3f} | "
        f"{v['auc_verdict']:.3f} |"
        for name, v in report["validation"].items()
        if isinstance(v, dict) and "auc" in v
    )

    # 2. The sentences
    views = "the whole picture, in squares that cover it"
    if config.squares == 1:
        views = "the square in the middle"
    if config.windows:
        views += f" ({config.share['whole']:.0%} of the verdict), and windows at native scale"
    start = report["recipe"].get("start", "")
    if start:
        start = (
            f"\nTraining starts at the verdict of [`{start}`](../{start}), which learned from "
            "more pictures.\n"
        )
    shares = max(m["adversary_accuracy"] for m in report["masks"].values()) > SHARES_THE_LABEL
    meaning = SHARED_MASK_MEANING if report["recipe"]["head"]["selection"] else COLLAPSE

    own_data = any(record.owner for record in records)

    # 3. The card
    return fill_card(
        "causalclip",
        licence=MIXED if own_data else "",
        sources=MIXED_SOURCES if own_data else "",
        config=config,
        parts=len(config.parts),
        views=views,
        counts=_count_table(records),
        start=start,
        sets=sets,
        ece=report["validation"]["ece"],
        calibration=config.calibration,
        bands=report["validation"]["bands"],
        image_types=_image_types(report["kinds"]),
        meaning=meaning,
        masks=mask_rows(report["masks"]),
        residue=RESIDUE
        if shares
        else "An adversary finds little of the label in what is held back.",
    )
