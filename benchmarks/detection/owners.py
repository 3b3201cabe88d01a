"""How AUC grows with owners: a linear probe on the same features, learned from some of the owners, judged on others.

Everything is inside the training set: each fold's owners are left out, and of the others a seeded draw is learned from.
Beside it, what each part of the embedding is worth on the same held-out owners. Squares of lightly delivered copies.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from causalclip.clip.backbones import DEFAULT
from causalclip.dataset.originals import read_originals
from causalclip.head.model import CausalHead
from causalclip.training.closed_form import start_at_least_squares
from causalclip.training.data import LIKE, Record
from causalclip.training.features import Features, compute_features
from causalclip.training.fitting import Problem
from causalclip.training.measures import true_positive_rate
from causalclip.training.recipe import Recipe, balance, problem

COUNTS = 25, 50, 100, 200, 400, 700
SEEDS = 3
TABLE = "data/pictures.csv.gz"


def run(originals: Path, recipe: Recipe, *, cache: Path) -> dict[str, Any]:
    """Curve by owners (mean and half the range of three draws), and rows of parts, all on held-out owners."""
    torch.set_num_threads(1)
    recipe = replace(recipe, copies=("light",), windows=0)
    records = read_originals(TABLE, originals)
    features = compute_features(records, originals, backbone=DEFAULT, copies=recipe.copies, cache=cache)
    data = problem(records, features, recipe)
    like = np.array([r.set in LIKE for r in records])
    owners = np.array([r.group for r in records])
    total = len(set(owners[like]))
    curve: list[dict[str, Any]] = []
    for count in [c for c in COUNTS if c < 0.8 * total] + [int(0.8 * total)]:
        drawn = [held_out(data, recipe, like, owners, count=count, seed=s, broad=recipe.broad) for s in range(SEEDS)]
        curve.append({"owners": count} | {k: spread([d[k] for d in drawn]) for k in drawn[0]})
    parts = {part: alone(part, records, features, recipe, like, owners) for part in recipe.parts}
    weights = {str(w): held_out(data, recipe, like, owners, broad=w) for w in (0.1, 0.3, 1.0)}
    return {
        "pictures": int(like.sum()),
        "owners": total,
        "curve": curve,
        "another_doubling": extrapolated([(c["owners"], c["auc"]["mean"]) for c in curve]),
        "single_parts": parts,
        "weight_of_broad": weights,
    }


def alone(
    part: str, records: list[Record], features: Features, recipe: Recipe, like: np.ndarray, owners: np.ndarray
) -> dict[str, float]:
    """A part of the embedding by itself."""
    return held_out(
        problem(records, features, replace(recipe, parts=(part,))), recipe, like, owners, broad=recipe.broad
    )


def held_out(
    data: Problem,
    recipe: Recipe,
    like: np.ndarray,
    owners: np.ndarray,
    *,
    broad: float,
    count: int | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """AUC and TPR at 5 % FPR on held-out owners of like content, learned from `count` of the others (None: all)."""
    rng = np.random.default_rng(seed)
    scores = np.zeros(len(data.fold))
    for fold in sorted(set(data.fold)):
        others = np.unique(owners[like & (data.fold != fold)])
        chosen = others if count is None else rng.permutation(others)[:count]
        rows = np.flatnonzero((data.fold != fold) & (np.isin(owners, chosen) | ~like))
        judged = data.fold == fold
        weight = balance([data.records[i] for i in rows], broad=broad)
        head = least_squares(data.features[:, rows], data.labels[rows], weight, strength=recipe.head.ridge)
        with torch.inference_mode():
            scores[judged] = head(data.features[0, judged].float()).logit.numpy()
    labels, raw = data.labels.numpy()[like], scores[like]
    return {
        "auc": float(roc_auc_score(labels, raw)),
        "tpr_at_5_fpr": true_positive_rate(labels, raw, false_positive_rate=0.05),
    }


def least_squares(features: Tensor, labels: Tensor, weight: Tensor, *, strength: float) -> CausalHead:
    """The linear probe in closed form: features half [K, N, D]."""
    head = CausalHead(features.shape[2], masked=False)
    head.standardise_by(features.flatten(0, 1).float())
    start_at_least_squares(head, features, labels, strength=strength, sample_weight=weight)
    return head.eval()


def spread(values: list[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "spread": float((max(values) - min(values)) / 2)}


def extrapolated(points: list[tuple[int, float]]) -> dict[str, float]:
    """A power law of 1 - AUC in the number of owners, and what it gives at twice the last number."""
    counts, aucs = np.array(points).T
    slope, offset = np.polyfit(np.log(counts), np.log(1 - aucs), 1)
    return {
        "owners": float(2 * counts[-1]),
        "exponent": -float(slope),
        "auc": 1 - float(np.exp(offset) * (2 * counts[-1]) ** slope),
    }
