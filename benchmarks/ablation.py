"""The paper's experiment: what mask, adversary and each other term add, on the embedding and on
layers.

There are three protocols:

    P1          the paper's: trained on Stable Diffusion and the real pictures of `broad`, tested on
                every other generator
    one family  the same for each family of `broad` in turn
    P2          the shipped model's: trained on all of `train`, tested on `test`, whose generators
                are others

Training sees the whole picture alone, under one augmentation drawn at random. What is learned step
by step has several seeds: a table gives their mean and half their range, and a bootstrap interval
of the first seed.

The paper's 2 x 2 has a factorisation (the mask of each picture) and a masking (the adversary).
Without the first, the adversary shapes one mask for all pictures, as without any mask nothing is
held back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
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
    """A plain MLP of the same size on the same embedding: the control that the paper lacks."""

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
class Variant:
    """One way to fit a head: a row of each table.

    Attributes:
        name: of the row.
        config: how the head is fitted.
        seeds: how many heads are fitted; one where nothing is drawn by lot.
        mlp: whether it is MlpHead.
        everywhere: whether it is also fitted on layers and on one family, not on the embedding
            under P1 and P2 alone.
    """

    name: str
    config: TrainConfig
    seeds: int = SEEDS
    mlp: bool = False
    everywhere: bool = False


def variants() -> list[Variant]:
    """Return the controls, the paper's 2 x 2, each term alone with the mask, and all of them."""

    def with_terms(*names: str, **changes: Any) -> TrainConfig:
        weights = replace(NOTHING, **{name: getattr(PAPER.weights, name) for name in names})
        return replace(PAPER, weights=weights, **changes)

    ridge = replace(PAPER, epochs=0, average=0.0, masked=False)
    return [
        Variant("ridge", ridge, seeds=1, everywhere=True),
        Variant("MLP", with_terms(ridge=0.0, masked=False), mlp=True, everywhere=True),
        Variant(
            "neither: a linear probe",
            with_terms(ridge=0.0, masked=False, rate=1e-3),
            everywhere=True,
        ),
        Variant(
            "adversary alone, one mask for all", with_terms("adversary", hidden=0), everywhere=True
        ),
        Variant("mask alone", with_terms(), everywhere=True),
        Variant("mask and adversary", with_terms("adversary"), everywhere=True),
        Variant("mask and sparsity", with_terms("sparsity")),
        Variant("mask and nHSIC", with_terms("independence")),
        Variant("mask and consistency", with_terms("consistency")),
        Variant("the paper's head: all terms", PAPER, everywhere=True),
    ]


def build(variant: Variant, width: int, config: TrainConfig) -> CausalHead:
    """Return a variant's head, not fitted yet, for embeddings of `width` dimensions."""
    if variant.mlp:
        return MlpHead(width, hidden=config.hidden)
    return config.new_head(width)


@torch.inference_mode()
def judge(head: CausalHead, views: SplitFeatures, parts: Sequence[str]) -> np.ndarray:
    """Return the raw logits [N] of a split's pictures."""
    raw = np.concatenate(
        [head(part.float()).logit.numpy() for part in views.take(parts).split(512)]
    )
    return views.pool(raw, raw, share=0.0)


def measures(labels: np.ndarray, raw: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Return AUC, average precision and balanced accuracy of the pictures of a mask, bool [N]."""
    y, s = labels[inside], raw[inside]
    return {
        "auc": float(roc_auc_score(y, s)),
        "ap": float(average_precision_score(y, s)),
        "balanced_accuracy": balanced_accuracy(y, s, 0.0),
    }


def summary(name: str, test: Sequence[Record], raws: Sequence[np.ndarray]) -> dict[str, Any]:
    """Return a variant's row of a table, from the raw logits [N] of every seed."""
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
    """Return the problem of some records alone."""
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
    """Return by name the rows of `train` to learn from and the rows of `test` to judge, whose
    generators were not learned from."""
    # 1. What the pictures are
    real = np.array([not r.label for r in train])
    family = np.array([r.family for r in train])
    broad = np.array([r.set == "broad" for r in train])
    test_family = np.array([r.family if r.label else "" for r in test])
    test_broad = np.array([r.set == "broad" for r in test])

    # 2. The families that each protocol learns from
    families = {P1: SERIES} | {
        f"Trained on {name} and real pictures only": {name}
        for name in np.unique(family[broad & ~real])
        if ((family == name) & ~real).sum() >= MIN_FAMILY
    }

    # 3. Their rows
    splits = {P2: (np.arange(len(train)), np.arange(len(test)))}
    for name, members in families.items():
        lesson = broad & (real | np.isin(family, list(members)))
        others = test_broad & ~np.isin(test_family, list(members))
        splits[name] = np.flatnonzero(lesson), np.flatnonzero(others)
    return splits


def measure(options: Options) -> dict[str, Any]:
    """Measure every variant under every protocol; a run that was stopped goes on."""
    # 1. The pictures and their features
    torch.set_num_threads(1)
    recipe, originals, cache = Recipe.read(options.recipe), options.originals, options.cache
    test = test_records(options)
    train = [r for r in read_originals(TABLE, originals) if r.kind == "photo"]
    inputs = {"embedding": ("embedding",), "layers": recipe.parts}
    features = {
        name: compute_features(
            train, originals, backbone=DEFAULT, parts=parts, augmentations=("drawn",), cache=cache
        )
        for name, parts in inputs.items()
    }
    views = split_features(
        test, options.forensics, backbone=DEFAULT, cache=cache, windows=recipe.windows
    )
    folder = cache / f"ablation-{recipe.revision}-{len(train)}-{len(test)}"
    folder.mkdir(parents=True, exist_ok=True)

    # 2. A table for each protocol and input; layers are learned under P1 and P2 alone
    report: dict[str, Any] = {"data": "forensics, test split", "pictures": {}}
    for on, parts in inputs.items():
        data = problem(train, features[on], replace(recipe, parts=parts))
        for number, (protocol, (lesson, test_rows)) in enumerate(protocols(train, test).items()):
            whole = protocol in (P1, P2)
            if on == "layers" and not whole:
                continue
            table = f"{protocol}; {on}"
            share = restrict(data, lesson, broad=recipe.broad)
            report["pictures"][table] = len(lesson)
            report[table] = []

            # 3. A row for each variant, the mean of its seeds
            rows = [v for v in variants() if v.everywhere or (whole and on == "embedding")]
            for variant in tqdm(rows, desc=table):
                raws = [
                    _logits(variant, seed, share, views, parts, folder / f"{on}-{number}")[
                        test_rows
                    ]
                    for seed in range(variant.seeds)
                ]
                pictures = [test[i] for i in test_rows.tolist()]
                report[table].append(summary(variant.name, pictures, raws))
            write("ablation", report)
    return report


def _logits(
    variant: Variant,
    seed: int,
    data: Problem,
    views: SplitFeatures,
    parts: tuple[str, ...],
    stem: Path,
) -> np.ndarray:
    """Return the raw logits [N] of all pictures of `views`, by a variant that is fitted with a
    seed; read from the file that starts with `stem` where they are there already."""
    config = replace(variant.config, seed=seed)
    settings = sha256(repr((variant.name, config, parts)).encode()).hexdigest()[:16]
    path = stem.with_name(f"{stem.name}-{settings}.npy")
    if not path.exists():
        head = fit(data, config, head=build(variant, data.features.shape[2], config))
        np.save(path, judge(head, views, parts))
    logits: np.ndarray = np.load(path)
    return logits
