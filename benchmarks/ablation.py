"""The paper's experiment: what mask, adversary and each other term add, on the embedding and on
layers.

Three protocols. P1, the paper's: trained on Stable Diffusion and the real pictures of `broad`,
tested on every other generator. One family: the same for each family of `broad` in turn. P2, the
shipped model's: trained on all of `train`, tested on `test`, whose generators are others. Training
sees the whole picture alone, under one augmentation drawn at random. What is learned step by step
has several seeds; mean and half their range, with a bootstrap interval for the first.

The paper's 2 x 2 has a factorisation (the mask of each picture) and a masking (the adversary).
Without the first, the adversary shapes one mask for all pictures, as without any mask nothing is
held back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.common import TABLE, Options, test_records, write
from benchmarks.views import SplitFeatures, split_features
from causalclip.clip.backbones import DEFAULT
from causalclip.method import CausalHead, HeadOutput, LossWeights
from training.dataset.rules import read_originals
from training.detector.data import Record
from training.detector.evaluation import balanced_accuracy, class_interval
from training.detector.features import compute_features
from training.detector.fitting import Problem, TrainConfig
from training.detector.recipe import CONFIGS, Recipe, balance, fit, problem

SEEDS = 3
MIN_FAMILY = 100  # pictures of a family that is learned alone
P1 = "P1: trained on Stable Diffusion and real pictures only"
P2 = "P2: trained on all of train"
SETS = "broad", "alike", "fresh", "sites"
SERIES = {"sd1", "sd2", "sdxl"}  # P1's one series of generators, in `broad`
PAPER = Recipe.read(CONFIGS / "paper.json").head
NOTHING = LossWeights(smoothing=PAPER.weights.smoothing)


class MlpHead(CausalHead):
    """The control that the paper lacks: a plain MLP of the same size on the same embedding, nothing
    else."""

    def __init__(self, width: int, *, hidden: int = 64) -> None:
        super().__init__(width, hidden=hidden, masked=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(0.2), nn.Linear(hidden, 1)
        )

    def forward(self, embedding: Tensor, *, tau: float | None = None) -> HeadOutput:
        E = (embedding - self.shift) / self.scale
        ones = torch.ones_like(E)
        return HeadOutput(self.mlp(E).squeeze(1), ones, E, 0 * E)


@dataclass(frozen=True, slots=True)
class Rung:
    """How a head is fitted. seeds: fewer where nothing is drawn. everywhere: on layers and of one
    family, too."""

    name: str
    config: TrainConfig
    seeds: int = SEEDS
    mlp: bool = False
    everywhere: bool = False


def rungs() -> list[Rung]:
    """Controls, the paper's 2 x 2, each term alone with the mask, and all of them."""

    def with_terms(*names: str, **changes: Any) -> TrainConfig:
        weights = replace(NOTHING, **{name: getattr(PAPER.weights, name) for name in names})
        return replace(PAPER, weights=weights, **changes)

    ridge = replace(PAPER, epochs=0, average=0.0, masked=False)
    return [
        Rung("ridge", ridge, seeds=1, everywhere=True),
        Rung("MLP", with_terms(ridge=0.0, masked=False), mlp=True, everywhere=True),
        Rung(
            "neither: a linear probe",
            with_terms(ridge=0.0, masked=False, rate=1e-3),
            everywhere=True,
        ),
        Rung(
            "adversary alone, one mask for all", with_terms("adversary", hidden=0), everywhere=True
        ),
        Rung("mask alone", with_terms(), everywhere=True),
        Rung("mask and adversary", with_terms("adversary"), everywhere=True),
        Rung("mask and sparsity", with_terms("sparsity")),
        Rung("mask and nHSIC", with_terms("independence")),
        Rung("mask and consistency", with_terms("consistency")),
        Rung("the paper's head: all terms", PAPER, everywhere=True),
    ]


def build(rung: Rung, width: int, config: TrainConfig) -> CausalHead:
    if rung.mlp:
        return MlpHead(width, hidden=config.hidden)
    return config.new_head(width)


@torch.inference_mode()
def judge(head: CausalHead, views: SplitFeatures, parts: Sequence[str]) -> np.ndarray:
    """Raw logits [N] of a split's pictures."""
    raw = np.concatenate(
        [head(part.float()).logit.numpy() for part in views.take(parts).split(512)]
    )
    return views.pool(raw, raw, share=0.0)


def measures(labels: np.ndarray, raw: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    y, s = labels[inside], raw[inside]
    return {
        "auc": float(roc_auc_score(y, s)),
        "ap": float(average_precision_score(y, s)),
        "balanced_accuracy": balanced_accuracy(y, s, 0.0),
    }


def summary(name: str, test: Sequence[Record], raws: Sequence[np.ndarray]) -> dict[str, Any]:
    """A row of the ladder from the raw logits [N] of every seed."""
    labels = np.array([r.label for r in test])
    groups = {s: np.array([s == "all" or r.set == s for r in test]) for s in (*SETS, "all")}
    groups = {s: inside for s, inside in groups.items() if len(set(labels[inside])) == 2}
    results = [{s: measures(labels, raw, inside) for s, inside in groups.items()} for raw in raws]
    report: dict[str, Any] = {"name": name, "seeds": len(raws)}
    for s, inside in groups.items():
        columns = {m: np.array([r[s][m] for r in results]) for m in results[0][s]}
        report[s] = {
            m: {"mean": float(v.mean()), "spread": float((v.max() - v.min()) / 2)}
            for m, v in columns.items()
        }
        report[s]["auc_interval"] = class_interval(
            roc_auc_score, labels[inside], raws[0][inside], rounds=100
        )
    return report


def restrict(data: Problem, rows: np.ndarray, *, broad: float) -> Problem:
    """Only some records."""
    records = tuple(data.records[i] for i in rows)
    return Problem(
        records=records,
        features=data.features[:, rows],
        labels=data.labels[rows],
        weight=balance(records, broad=broad),
        fold=data.fold[rows],
        environments=data.environments[rows],
    )


def protocols(
    train: Sequence[Record], test: Sequence[Record]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> rows to learn from and rows to be judged: no generator of the latter was learned
    from."""
    real, set_ = np.array([not r.label for r in train]), np.array([r.set for r in train])
    family, tested = (
        np.array([r.family for r in train]),
        np.array([r.family if r.label else "" for r in test]),
    )
    broad = np.array([r.set == "broad" for r in test])
    splits = {P2: (np.arange(len(train)), np.arange(len(test)))}
    alone = {P1: SERIES} | {
        f"Trained on {name} and real pictures only": {name}
        for name in np.unique(family[(set_ == "broad") & ~real])
        if ((family == name) & ~real).sum() >= MIN_FAMILY
    }
    for name, families in alone.items():
        learned = (set_ == "broad") & (real | np.isin(family, list(families)))
        splits[name] = (
            np.flatnonzero(learned),
            np.flatnonzero(broad & ~np.isin(tested, list(families))),
        )
    return splits


def measure(options: Options) -> dict[str, Any]:
    """Every row under every protocol; a killed run goes on."""
    torch.set_num_threads(1)
    recipe, originals, cache = Recipe.read(options.recipe), options.originals, options.cache
    test = test_records(options)
    train = [r for r in read_originals(TABLE, originals) if r.kind == "photo"]
    parts = {"embedding": ("embedding",), "layers": recipe.parts}
    features = {
        on: compute_features(
            train, originals, backbone=DEFAULT, parts=own, augmentations=("drawn",), cache=cache
        )
        for on, own in parts.items()
    }
    views = split_features(
        test, options.forensics, backbone=DEFAULT, cache=cache, windows=recipe.windows
    )
    keep = cache / f"ablation-{recipe.revision}-{len(train)}-{len(test)}"
    keep.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"data": "forensics, test split", "pictures": {}}
    for on, own in parts.items():
        data = problem(train, features[on], replace(recipe, parts=own))
        for number, (protocol, (learned, judged)) in enumerate(protocols(train, test).items()):
            name, some = f"{protocol}; {on}", restrict(data, learned, broad=recipe.broad)
            whole, layers = protocol in (P1, P2), on == "layers"
            if layers and not whole:
                continue
            wanted = [r for r in rungs() if r.everywhere or (whole and not layers)]
            report["pictures"][name] = len(learned)
            report[name] = []
            for rung in tqdm(wanted, desc=name):
                raws = []
                for seed in range(rung.seeds):
                    config = replace(rung.config, seed=seed)
                    settings = sha256(repr((rung.name, config, own)).encode()).hexdigest()[:16]
                    file = keep / f"{on}-{number}-{settings}.npy"
                    if not file.exists():
                        head = fit(some, config, head=build(rung, data.features.shape[2], config))
                        np.save(file, judge(head, views, own))
                    raws.append(np.load(file)[judged])
                report[name].append(summary(rung.name, [test[i] for i in judged.tolist()], raws))
            write("ablation", report)
    return report
