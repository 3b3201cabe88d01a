"""Fits the classifier of image types, and its threshold on held-out owners. Offline."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from causalclip.image_type import ImageTypeClassifier
from causalclip.method import CausalHead
from training.detector.bands import CONFIDENCE, owner_shares, threshold_within, upper_bound
from training.detector.data import LIKE, Record
from training.detector.fitting import standardise
from training.detector.ridge import start_at_ridge

DRAWINGS = "drawing", "rendering"  # kinds in the data; every other one but photo is a page
REFUSED = 0.02  # of photographs, at most, on new owners
FOLDS, STRENGTH = 5, 3.0
AUGMENTATIONS = 2  # lightly and strongly re-encoded


def fit_image_types(
    records: Sequence[Record], features: Tensor
) -> tuple[ImageTypeClassifier, dict[str, Any]]:
    """The head, and what it did on held-out owners.

    Args:
        records: photographs and others, by their `kind`; of the photographs, those of like content
            are learned from.
        features: half [K, N, D], augmentations of each.
    """
    rows = np.array([i for i, r in enumerate(records) if r.kind != "photo" or r.set in LIKE])
    sample, x = [records[i] for i in rows], features[:AUGMENTATIONS, rows]
    other = torch.tensor([float(r.kind != "photo") for r in sample])
    page = torch.tensor([float(r.kind not in DRAWINGS) for r in sample])
    fold = _folds(sample)
    held_out = torch.zeros(x.shape[:2])
    for f in range(FOLDS):
        lesson = torch.from_numpy(fold != f)
        probe = _probe(x[:, lesson], other[lesson])
        held_out[:, ~lesson] = torch.stack(
            [probe(copy[~lesson].float()).logit for copy in x]
        ).detach()
    threshold, report = _judge(sample, other.numpy(), held_out.numpy())
    head = ImageTypeClassifier(x.shape[2])
    first, second = _probe(x, other), _probe(x[:, other == 1], page[other == 1])
    with torch.no_grad():
        head.shift.copy_(first.shift)
        head.scale.copy_(first.scale)
        head.threshold.fill_(threshold)
        ratio = first.scale / second.scale
        bias = (
            second.verdict.bias
            + (second.verdict.weight[0] * (first.shift - second.shift) / second.scale).sum()
        )
        head.scores.weight.copy_(
            torch.stack([first.verdict.weight[0], second.verdict.weight[0] * ratio])
        )
        head.scores.bias.copy_(torch.stack([first.verdict.bias[0], bias[0]]))
    return head.eval(), report


def _probe(features: Tensor, labels: Tensor) -> CausalHead:
    """Fit a ridge regression of the label, both classes of equal weight."""
    probe = CausalHead(features.shape[2], masked=False)
    standardise(probe, features.flatten(0, 1).float())
    share = torch.where(labels == 1, 1 / labels.sum(), 1 / (1 - labels).sum())
    start_at_ridge(probe, features, labels, strength=STRENGTH, sample_weight=share)
    return probe.eval()


def _judge(
    records: list[Record], other: np.ndarray, scores: np.ndarray
) -> tuple[float, dict[str, Any]]:
    owners = np.array([r.owner or r.source for r in records])
    flat = scores.ravel()
    owner_of = np.tile(owners, len(scores))
    labels = np.tile(other, len(scores))
    threshold = threshold_within(flat[labels == 0], owner_of[labels == 0], budget=REFUSED)
    out = scores >= threshold
    refusals = owner_shares(out[:, other == 0].ravel(), np.tile(owners[other == 0], len(scores)))
    kinds = sorted({r.kind for r in records if r.kind != "photo"})
    return float(np.nextafter(np.float32(threshold), np.float32(-np.inf))), {
        "auc": float(roc_auc_score(labels, flat)),
        "photographs_refused": float(refusals.mean()),
        "photographs_refused_bound": upper_bound(
            float(refusals.sum()), len(refusals), confidence=CONFIDENCE
        ),
        "owners": len(set(owners)),
        "refused": {
            kind: {
                "share": float(out[:, [r.kind == kind for r in records]].mean()),
                "pictures": sum(r.kind == kind for r in records),
                "owners": len({r.owner for r in records if r.kind == kind}),
            }
            for kind in kinds
        },
    }


def _folds(records: list[Record]) -> np.ndarray:
    """Assign owners to folds, those with other kinds spread first."""
    count: dict[str, int] = {}
    for r in records:
        owner = r.owner or r.source
        count[owner] = count.get(owner, 0) + (r.kind != "photo")
    order = sorted(count, key=lambda owner: (-count[owner], owner))
    place = {owner: i % FOLDS for i, owner in enumerate(order)}
    return np.array([place[r.owner or r.source] for r in records])
