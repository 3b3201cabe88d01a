"""How AUC grows with owners: a linear probe on the same features, learned from some of the owners, judged on others.

Everything is inside the training set: each fold's owners are left out, and of the others a seeded draw is learned from.
Beside it, what each part of the embedding is worth on the same held-out owners. Squares of lightly delivered copies.
And how well each generator's pictures are told by a probe that never saw that generator.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from benchmarks.detection.heldout.generators import without_generators
from benchmarks.detection.heldout.kernel import Judge, LeftOut, kernel, kernel_judge
from causalclip.clip.backbones import DEFAULT
from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import read_table
from causalclip.head.model import CausalHead
from causalclip.training.closed_form import start_at_least_squares
from causalclip.training.data import LIKE, Record
from causalclip.training.features import Features, compute_features
from causalclip.training.fitting import Problem
from causalclip.training.measures import true_positive_rate
from causalclip.training.recipe import Recipe, balance, problem

COUNTS = 50, 100, 200, 400, 700
SEEDS = 3
EACH = 8  # pictures of one source and class, at most: of owners, not of pictures, this is a curve
TABLE = "data/pictures.csv.gz"


def run(originals: Path, recipe: Recipe, *, cache: Path) -> dict[str, Any]:
    """Curve by owners (mean and half the range of three draws), and rows of parts, all on held-out owners."""
    torch.set_num_threads(1)
    recipe = replace(recipe, copies=("light",), windows=0)
    records = [r for r in read_originals(TABLE, originals, each=EACH) if r.kind == "photo"]
    features = compute_features(records, originals, backbone=DEFAULT, copies=recipe.copies, cache=cache)
    parts = {part: alone(part, records, features, recipe) for part in tqdm(recipe.parts, desc="parts")}
    data = problem(records, features, recipe)
    owners = owners_of(records)
    total = len(set(owners[owners != ""]))
    K = kernel(data.features[0])
    by_kernel = kernel_judge(K, data.labels, strength=recipe.head.ridge)
    curve: list[dict[str, Any]] = []
    for count in tqdm([c for c in COUNTS if c < 0.8 * total], desc="owners"):
        drawn = [held_out(data, by_kernel, broad=recipe.broad, count=count, seed=s) for s in range(SEEDS)]
        curve.append({"owners": count} | {k: spread([d[k] for d in drawn]) for k in drawn[0]})
    every = held_out(data, by_kernel, broad=recipe.broad)
    curve.append({"owners": round(total * (1 - 1 / recipe.folds))} | {k: spread([v]) for k, v in every.items()})
    points = [(c["owners"], c["auc"]["mean"]) for c in curve]
    return {
        "revision": recipe.revision,
        "each": EACH,
        "pictures": int((owners != "").sum()),
        "owners": total,
        "curve": curve,
        "another_doubling": {"all points": extrapolated(points), "the last three": extrapolated(points[-3:])},
        "single_parts": parts,
        "generators": without_generators(
            data.records, read_table(TABLE), LeftOut(K, data.labels, data.weight, strength=recipe.head.ridge)
        ),
    }


def owners_of(records: tuple[Record, ...] | list[Record]) -> np.ndarray:
    """The owner of every picture of like content, "" of the others, [N]."""
    return np.array([r.group if r.set in LIKE else "" for r in records])


def alone(part: str, records: list[Record], features: Features, recipe: Recipe) -> dict[str, float]:
    """A part of the embedding by itself."""
    data = problem(records, features, replace(recipe, parts=(part,)))

    def judge(rows: np.ndarray, judged: np.ndarray, weight: Tensor) -> np.ndarray:
        head = least_squares(data.features[:, rows], data.labels[rows], weight, strength=recipe.head.ridge)
        with torch.inference_mode():
            return np.asarray(head(data.features[0, judged].float()).logit.numpy())

    return held_out(data, judge, broad=recipe.broad)


def held_out(data: Problem, judge: Judge, *, broad: float, count: int | None = None, seed: int = 0) -> dict[str, float]:
    """AUC and TPR at 5 % FPR on held-out owners of like content, learned from `count` of the others (None: all)."""
    rng, owners = np.random.default_rng(seed), owners_of(data.records)
    scores = np.zeros(len(data.fold))
    for fold in sorted(set(data.fold)):
        others = np.unique(owners[(owners != "") & (data.fold != fold)])
        chosen = others if count is None else rng.permutation(others)[:count]
        rows = np.flatnonzero((data.fold != fold) & (np.isin(owners, chosen) | (owners == "")))
        judged = np.flatnonzero(data.fold == fold)
        scores[judged] = judge(rows, judged, balance([data.records[i] for i in rows], broad=broad))
    labels, raw = data.labels.numpy()[owners != ""], scores[owners != ""]
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
