"""The experiment log: an idea a line, judged on held-out families and sites of `train`, never on `test`.

    python -m benchmarks.detection.experiments --data ../shared/data/forensics [--only NAME ...]

Every run trains a head a kind of view on four of five folds of families and sites
(causalclip.training.data.assign_folds) and judges the fifth, whole picture and window fused; AUC inside each fold, then
the mean: on the files as they are (clean), after a light and after a heavy random delivery, and after retouching and a
heavy one. A line a run is appended to log.jsonl. Frozen features are cached.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.detection.baselines.residuals import residual_features
from causalclip.head.losses import LossWeights
from causalclip.training.data import Record, read_manifest
from causalclip.training.features import Features, compute_features
from causalclip.training.fitting import TrainConfig
from causalclip.training.recipe import (
    CAUSAL,
    KINDS,
    PARTS,
    Problem,
    Recipe,
    by_picture,
    fit,
    fold_auc,
    fuse,
    problem,
    with_splices,
)
from causalclip.training.splicing import Cells

PASTED = "generated in photo", "photo in photo", "photo in generated", "generated in generated"  # of MIXTURE
LOG = Path(__file__).resolve().parent / "log.jsonl"
BACKBONE = "clip-vit-b-16"
FOLDS = 5
COPIES = {
    "clean": 0,
    "light": 2,
    "worn": 1,
    "retouched": 3,
}  # cached copies (causalclip.training.features)
WIDE = ("cls:6", "cls:7", "cls:8", "cls:9", "cls:10", "cls:11", "patch:5", "patch:6", "patch:7")
EARLY = ("cls:5", "cls:6", "cls:7", "cls:8", "cls:9", "patch:5", "patch:6")
TEACHER = 0.1  # strength of the kernels that teach: the best of the log
TWELVE = ("embedding", *(f"cls:{layer}" for layer in range(6, 13)), "patch:4", "patch:5", "patch:6", "patch:8")
REFERENCE = ("cls:7", "cls:8", "cls:10", "cls:11", "patch:4", "patch:5", "patch:6")


@dataclass(frozen=True, slots=True)
class Experiment:
    """parts: of the embedding. copies: trained on. head: "ridge", "rbf" or a TrainConfig. strength: of the ridge.
    width: of the Gaussian kernel, as a share of the embedding's own squared scale. share: of the window in the sum.

    alone: the set whose whole pictures are trained and looked at alone; every picture of both if empty.
    The next three are looked at on files as they are alone.
    backbone: of the features, perhaps for views of another size. taught: how much of a linear head's targets is what
    Gaussian kernels say that saw neither the picture nor its fold (distillation). residuals: the weight of their
    statistics beside the embedding (see residuals.py).
    """

    parts: tuple[str, ...] = PARTS
    copies: tuple[int, ...] = (0,)
    head: TrainConfig | str = "ridge"
    strength: float = 1.0
    width: float = 0.3
    share: float = 0.5
    alone: str = ""
    backbone: str = BACKBONE
    taught: float = 0.0
    residuals: float = 0.0

    @property
    def judged(self) -> dict[str, int]:
        """The copies that are looked at, by name."""
        other = self.taught or self.residuals or self.alone or self.backbone != BACKBONE
        return {"clean": 0} if other else COPIES


ALL = 0, 1, 2, 3
PAPER = replace(CAUSAL, places=0.0)
WHOLE_LOSS = TrainConfig(weights=PAPER)
PLACES = replace(CAUSAL, places=1.0)
SHIPPED = TrainConfig(ridge=1.0, rate=3e-4, mask_rate=3e-3, weights=CAUSAL)
FROM_RIDGE = TrainConfig(ridge=1.0, rate=3e-4, mask_rate=3e-3, weights=PLACES)
LINEAR = TrainConfig(masked=False, weights=LossWeights(smoothing=0.1))
EXPERIMENTS = {
    "embedding alone, ridge": Experiment(("embedding",)),
    "reference layers, ridge": Experiment(REFERENCE),
    "layers 5 to 9, ridge": Experiment(EARLY),
    "nine parts, ridge": Experiment(WIDE),
    "six parts, ridge": Experiment(),
    "six parts, ridge, weaker": Experiment(strength=0.3),
    "six parts, ridge, stronger": Experiment(strength=10.0),
    "six parts, ridge, whole picture alone": Experiment(share=0.0),
    "six parts, ridge, window alone": Experiment(share=1.0),
    "six parts, Gaussian kernel": Experiment(head="rbf", strength=0.1),
    "six parts, ridge taught by Gaussian kernels, half": Experiment(taught=0.5),
    "six parts, ridge taught by Gaussian kernels alone": Experiment(taught=1.0),
    "six parts, ridge, residuals beside them": Experiment(residuals=1.0),
    "six parts, ridge, residuals beside them, strong": Experiment(residuals=4.0),
    "residuals alone, ridge": Experiment(parts=(), residuals=1.0),
    "alike alone, whole picture alone, ridge": Experiment(alone="alike", share=0.0),
    "alike alone, whole picture alone, ridge, views of 320 px": Experiment(
        backbone=f"{BACKBONE}@320", alone="alike", share=0.0
    ),
    "patches alone (5, 6), ridge": Experiment(("patch:5", "patch:6")),
    "CLS alone (6, 8, 10, 11), ridge": Experiment(("cls:6", "cls:8", "cls:10", "cls:11")),
    "six parts, linear, clean, 40 epochs": Experiment(head=replace(LINEAR, epochs=40)),
    "six parts, linear, clean and light, 40 epochs": Experiment(copies=(0, 2), head=replace(LINEAR, epochs=40)),
    "six parts, linear, all copies, 40 epochs": Experiment(copies=ALL, head=replace(LINEAR, epochs=40)),
    "six parts, linear, all copies": Experiment(copies=ALL, head=LINEAR),
    "six parts, causal, clean and light, 40 epochs": Experiment(copies=(0, 2), head=replace(WHOLE_LOSS, epochs=40)),
    "six parts, causal, all copies": Experiment(copies=ALL, head=WHOLE_LOSS),
    "six parts, causal, all copies, sparsity 0.02, rate 5e-4": Experiment(
        copies=ALL, head=replace(WHOLE_LOSS, weights=replace(PAPER, sparsity=0.02), rate=5e-4)
    ),
    "six parts, causal, all copies, mixup 0.4": Experiment(copies=ALL, head=replace(WHOLE_LOSS, epochs=15, mixup=0.4)),
    "six parts, causal, all copies, mixup 1, sparsity 0.2": Experiment(
        copies=ALL, head=replace(WHOLE_LOSS, weights=replace(PAPER, sparsity=0.2), epochs=15, mixup=1.0)
    ),
    "six parts, causal, all copies, places": Experiment(copies=ALL, head=TrainConfig(weights=PLACES)),
    "from least squares, causal, places 0.3, rate 3e-4, 6 epochs": Experiment(
        copies=ALL, head=TrainConfig(ridge=1.0, rate=3e-4, epochs=6, weights=replace(CAUSAL, places=0.3))
    ),
    "from least squares, causal, places 0.3, rate 1e-4, 6 epochs": Experiment(
        copies=ALL, head=TrainConfig(ridge=1.0, rate=1e-4, epochs=6, weights=replace(CAUSAL, places=0.3))
    ),
    "from least squares, causal, places, mask rate 3e-3": Experiment(copies=ALL, head=FROM_RIDGE),
    "from least squares, causal, places 0.3, mask rate 3e-3": Experiment(
        copies=ALL, head=replace(FROM_RIDGE, weights=replace(CAUSAL, places=0.3))
    ),
    "from least squares, causal, places 0.1, mask rate 3e-3": Experiment(
        copies=ALL, head=replace(FROM_RIDGE, weights=replace(CAUSAL, places=0.1))
    ),
    "from least squares, causal, no places, mask rate 3e-3": Experiment(
        copies=ALL, head=replace(FROM_RIDGE, weights=PAPER)
    ),
    "twelve parts, ridge": Experiment(TWELVE),
    "twelve parts, ridge, weaker": Experiment(TWELVE, strength=0.3),
    "from least squares, linear, all copies": Experiment(copies=ALL, head=replace(LINEAR, ridge=1.0, rate=3e-4)),
    "shipped settings": Experiment(copies=ALL, head=SHIPPED),
    "shipped settings, without retouched copies": Experiment(copies=(0, 1, 2), head=SHIPPED),
    **{
        f"shipped settings, {term} {strength:g}": Experiment(
            copies=ALL, head=replace(SHIPPED, weights=replace(CAUSAL, **{term: strength}))
        )
        for term, strength in {"rex": 1.0, "irm": 3.0, "robust": 0.5, "sites": 0.1}.items()
    },
}


def held_out(experiment: Experiment, data: Problem) -> tuple[np.ndarray, dict[str, float]]:
    """(scores [K, N] of the judged copies, mean AUC of maps of splices), by heads that saw neither family nor site."""
    return _fitted(experiment, data) if isinstance(experiment.head, TrainConfig) else (_kernel(experiment, data), {})


def _fitted(experiment: Experiment, data: Problem) -> tuple[np.ndarray, dict[str, float]]:
    assert isinstance(experiment.head, TrainConfig)
    seen = replace(data, features=data.features[list(experiment.copies)])
    scores = np.zeros((len(COPIES), len(data.labels)))
    maps = np.zeros((len(data.cells.fold), data.cells.labels.shape[1])) if data.cells else np.zeros((0, 1))
    for fold in range(FOLDS):
        head, rows = fit(seen, experiment.head, leave_out=fold), data.fold == fold
        with torch.inference_mode():
            scores[:, rows] = [head(data.features[c][rows].float()).logit.numpy() for c in COPIES.values()]
            if data.cells:
                inside = data.cells.fold == fold
                maps[inside] = head.local_logits(data.cells.features[torch.from_numpy(inside)].float()).numpy()
    return scores, map_aucs(data.cells, maps) if data.cells else {}


def map_aucs(cells: Cells, maps: np.ndarray) -> dict[str, float]:
    """Mean AUC of maps [S, C] against the pasted region: high is right for a generated one in a photograph, low for a
    photograph in a generated picture, and a half where both are of a kind."""
    report = {}
    for which, (name, pasted) in enumerate(zip(PASTED, _numpy(cells), strict=True)):
        values = [
            roc_auc_score(mask > 0.5, row)
            for mask, row in zip(pasted, maps[cells.mixture == which], strict=True)
            if 0 < (mask > 0.5).sum() < len(mask)
        ]
        report[name] = round(float(np.mean(values)), 3)
    return report


def _numpy(cells: Cells) -> list[np.ndarray]:
    return [cells.pasted[torch.from_numpy(cells.mixture == which)].numpy() for which in range(len(PASTED))]


def _kernel(experiment: Experiment, data: Problem) -> np.ndarray:
    """Weighted kernel ridge regression on +1 and -1, centred, in the dual: a fold is one linear system."""
    judged = experiment.judged.values()
    known = data.features[experiment.copies[0]].float()
    shift, scale = known.mean(0), known.std(0) + 1e-6
    if experiment.residuals:  # standardised before they were weighed
        shift, scale = torch.zeros_like(shift), torch.ones_like(scale)
    known = (known - shift) / scale
    target, weight = data.labels.numpy() * 2.0 - 1, data.weight.double().numpy()
    own = _gram(known, known, experiment)
    kernel = _gram(known, known, replace(experiment, head="rbf")) if experiment.taught else None
    scores = np.zeros((len(judged), len(target)))
    asked = [
        own if c == experiment.copies[0] else _gram((data.features[c].float() - shift) / scale, known, experiment)
        for c in judged
    ]
    for fold in range(FOLDS):
        train, test = np.flatnonzero(data.fold != fold), np.flatnonzero(data.fold == fold)
        wanted = target
        if kernel is not None:
            wanted = (1 - experiment.taught) * target + experiment.taught * _teacher(kernel, target, weight, data, fold)
        solved = _dual(own, wanted, weight, train, experiment.strength)
        for row, gram in enumerate(asked):
            scores[row, test] = gram[np.ix_(test, train)] @ solved
    return scores


def _dual(gram: np.ndarray, target: np.ndarray, weight: np.ndarray, train: np.ndarray, strength: float) -> np.ndarray:
    """The rows' coefficients, [len(train)]: scores are gram[.., train] @ them, up to a constant."""
    w = np.sqrt(weight[train])
    mean = w / np.linalg.norm(w)
    centre = np.eye(len(train)) - np.outer(mean, mean)
    K = centre @ (gram[np.ix_(train, train)] * np.outer(w, w)) @ centre
    found: np.ndarray = centre @ np.linalg.solve(K + strength * np.eye(len(train)), centre @ (target[train] * w)) * w
    return found


def _teacher(kernel: np.ndarray, target: np.ndarray, weight: np.ndarray, data: Problem, without: int) -> np.ndarray:
    """What Gaussian kernels say of every picture, [N], on the scale of the targets; 0 in the fold `without`.

    None of them saw that fold, or the one of the picture that it speaks of.
    """
    said = np.zeros(len(target))
    for fold in set(range(FOLDS)) - {without}:
        train, test = np.flatnonzero((data.fold != fold) & (data.fold != without)), np.flatnonzero(data.fold == fold)
        scores = kernel[np.ix_(test, train)] @ _dual(kernel, target, weight, train, TEACHER)
        said[test] = scores - np.average(scores, weights=weight[test])
    return said / max(1e-9, float(np.abs(said).mean()))


def _gram(a: Tensor, b: Tensor, experiment: Experiment) -> np.ndarray:
    inner = (a @ b.T).double().numpy() / a.shape[1]
    if experiment.head == "ridge":
        return inner
    norms = [x.square().sum(1).double().numpy() / x.shape[1] for x in (a, b)]
    return np.exp(-experiment.width * (norms[0][:, None] + norms[1][None] - 2 * inner))


def run(
    experiment: Experiment, records: list[Record], features: Features, *, root: Path, cache: Path
) -> dict[str, Any]:
    """AUC of each set under each copy, and fold by fold as the files are; AUC of the maps of splices, a view kind."""
    parts = experiment.parts or PARTS
    kinds = KINDS[:1] if experiment.alone else KINDS
    problems = {kind: problem(records, features, parts, kind, folds=FOLDS) for kind in kinds}
    if experiment.residuals:
        problems = {kind: _beside(data, root, experiment) for kind, data in problems.items()}
    if isinstance(experiment.head, TrainConfig):
        recipe = Recipe(parts=experiment.parts, folds=FOLDS)
        problems = with_splices(problems, records, root, recipe, backbone=BACKBONE, cache=cache)
    judged = {kind: held_out(experiment, data) for kind, data in problems.items()}
    scores = {kind: s for kind, (s, _) in judged.items()}
    whole = problems["whole"]
    raw = scores["whole"]
    if "window" in scores:
        raw = fuse(raw, scores["window"], by_picture(problems), experiment.share)
    labels, sets = whole.labels.numpy(), np.array([r.set for r in whole.records])
    report: dict[str, Any] = {"maps": {kind: maps for kind, (_, maps) in judged.items() if maps}}
    for name in (experiment.alone,) if experiment.alone else ("broad", "alike"):
        inside = sets == name
        report[name] = {
            copy: round(fold_auc(labels, raw[i], whole.fold, inside), 4) for i, copy in enumerate(experiment.judged)
        }
        report[name]["folds"] = [
            round(fold_auc(labels, raw[0], whole.fold, inside & (whole.fold == f)), 3) for f in range(FOLDS)
        ]
    return report


def _beside(data: Problem, root: Path, experiment: Experiment) -> Problem:
    """The files as they are, with the statistics of their residuals beside their embeddings (or alone)."""
    both = [experiment.residuals * _standard(torch.from_numpy(residual_features(data.records, root)))]
    if experiment.parts:
        both.append(_standard(data.features[0].float()))
    return replace(data, features=torch.cat(both, 1)[None])


def _standard(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / (x.std(0) + 1e-6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=list(EXPERIMENTS), choices=list(EXPERIMENTS))
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    options = parser.parse_args()
    records = [r for r in read_manifest(options.data / "manifest.csv") if r.split == "train"]
    for name in options.only:
        started, experiment = time.time(), EXPERIMENTS[name]
        copies = 1 + max(experiment.judged.values())
        looked = [r for r in records if not experiment.alone or (r.set == experiment.alone and r.kind == "whole")]
        features = compute_features(
            looked, options.data, backbone=experiment.backbone, copies=copies, cache=options.cache
        )
        report = run(EXPERIMENTS[name], looked, features, root=options.data, cache=options.cache)
        line = {"date": date.today().isoformat(), "name": name, "seed": 0} | report
        line |= {"seconds": round(time.time() - started), "config": asdict(EXPERIMENTS[name])}
        with LOG.open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(f"{name}: {json.dumps(report)}", flush=True)


if __name__ == "__main__":
    main()
