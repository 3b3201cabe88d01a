"""What each piece of the method adds, on the same features and data.

Two protocols. P1, the paper's: trained on one series of generators (Stable Diffusion) and the real pictures, tested on
every other generator. P2, the shipped model's: trained on all of `train`, tested on `test` (unseen generators). Of each
source and class at most EACH pictures are learned from, as the paper's head takes minutes a thousand. Squares alone.
What is learned step by step has several seeds; mean and half their range, with a bootstrap interval for the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.common import TABLE, Options, test_records
from benchmarks.detection import family_of
from benchmarks.views import SplitFeatures, split_features
from causalclip.clip.backbones import DEFAULT
from causalclip.dataset.rules import read_originals
from causalclip.dataset.table import read_table
from causalclip.method import CausalHead, HeadOutput, LossWeights
from causalclip.paths import shipped_folder
from causalclip.training.data import Record
from causalclip.training.evaluation import balanced_accuracy, bootstrap
from causalclip.training.features import compute_features
from causalclip.training.fitting import Problem, TrainConfig
from causalclip.training.recipe import Recipe, balance, fit, problem

SEEDS = 3
EACH = 3  # pictures of one source and class, at most
P1 = "P1: trained on Stable Diffusion and real pictures only"
P2 = "P2: trained on all of train"
SETS = "broad", "alike", "fresh", "sites"
SERIES = {"sd1", "sd2", "sdxl"}  # P1's one series of generators, in `broad`
LEARNED = Recipe.read(shipped_folder("configs") / "paper.json").head
PLAIN = LossWeights(smoothing=LEARNED.weights.smoothing)


class MlpHead(CausalHead):
    """The control that the paper lacks: a plain MLP of the same size on the same embedding, nothing else."""

    def __init__(self, width: int, *, hidden: int = 64) -> None:
        super().__init__(width, hidden=hidden, masked=False)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(0.2), nn.Linear(hidden, 1))

    def forward(self, embedding: Tensor, *, tau: float | None = None) -> HeadOutput:
        E = (embedding - self.shift) / self.scale
        ones = torch.ones_like(E)
        return HeadOutput(self.mlp(E).squeeze(1), ones, E, 0 * E)


@dataclass(frozen=True, slots=True)
class Rung:
    """config: how the head is fitted; seeds: fewer where nothing is drawn; embedding: CLIP's own output alone."""

    name: str
    config: TrainConfig
    copies: int = 3
    seeds: int = 1
    embedding: bool = False
    mlp: bool = False


def rungs(recipe: Recipe, seeds: int) -> list[Rung]:
    """Bottom to top: what needs no mask, the paper's head, and what is shipped."""
    ridge = replace(LEARNED, epochs=0, average=0.0, masked=False, weights=PLAIN)
    return [
        Rung("linear probe on the embedding (UniversalFakeDetect's recipe)", ridge, 1, embedding=True),
        Rung("linear probe, several layers", ridge, 1),
        Rung("linear probe, three deliveries of each picture", ridge),
        Rung("MLP", replace(LEARNED, ridge=0.0, masked=False, weights=PLAIN), seeds=seeds, mlp=True),
        Rung("the paper's head: learned mask, nHSIC, adversary, consistency", LEARNED, seeds=seeds),
        Rung("half of the channels, by stability (shipped)", recipe.head),
    ]


def build(rung: Rung, width: int, config: TrainConfig) -> CausalHead:
    if rung.mlp:
        return MlpHead(width, hidden=config.hidden)
    return config.new_head(width)


@torch.inference_mode()
def judge(head: CausalHead, views: SplitFeatures, parts: Sequence[str]) -> np.ndarray:
    """Raw logits [N] of a split's pictures."""
    raw = np.concatenate([head(part.float()).logit.numpy() for part in views.take(parts).split(512)])
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
    results = [{s: measures(labels, raw, inside) for s, inside in groups.items()} for raw in raws]
    report: dict[str, Any] = {"name": name, "seeds": len(raws)}
    for s, inside in groups.items():
        columns = {m: np.array([r[s][m] for r in results]) for m in results[0][s]}
        report[s] = {m: {"mean": float(v.mean()), "spread": float((v.max() - v.min()) / 2)} for m, v in columns.items()}
        report[s]["auc_interval"] = bootstrap(roc_auc_score, labels[inside], raws[0][inside], rounds=100)
    return report


def restrict(data: Problem, rows: np.ndarray, copies: int, *, broad: float) -> Problem:
    """Only some records, and the first copies of each."""
    records = tuple(data.records[i] for i in rows)
    return Problem(
        records=records,
        features=data.features[:copies, rows],
        labels=data.labels[rows],
        weight=balance(records, broad=broad),
        fold=data.fold[rows],
        environments=data.environments[rows],
    )


def paper_series(records: Sequence[Record]) -> np.ndarray:
    """Which pictures are real, or by the paper's one series of generators, bool [N]."""
    made = {p.sha256: family_of(p.generator) for p in read_table(TABLE) if p.label == "fake"}
    return np.array([not r.label or r.family in SERIES or made.get(r.picture) == "Stable Diffusion" for r in records])


def measure(options: Options) -> dict[str, Any]:
    """Every row under both protocols."""
    torch.set_num_threads(1)
    recipe, originals, cache = Recipe.read(options.recipe), options.originals, options.cache
    test, root = test_records(options), options.forensics
    train = [r for r in read_originals(TABLE, originals, each=EACH) if r.kind == "photo"]
    features = compute_features(train, originals, backbone=DEFAULT, augmentations=recipe.augmentations, cache=cache)
    views = split_features(test, root, backbone=DEFAULT, cache=cache, windows=recipe.windows)
    learned = {P2: np.arange(len(train)), P1: np.flatnonzero(paper_series(train))}
    known = paper_series(test) & np.array([bool(r.label) for r in test])
    judged = {P2: np.arange(len(test)), P1: np.flatnonzero(~known)}
    keep = cache / f"ladder-{recipe.revision}-{EACH}-{len(train)}-{len(test)}"
    keep.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {
        "data": "forensics, test split",
        "each": EACH,
        "pictures": {name: len(rows) for name, rows in learned.items()},
    }
    report |= {P2: [], P1: []}
    for number, rung in enumerate(tqdm(rungs(recipe, SEEDS), desc="rungs")):
        parts = ("embedding",) if rung.embedding else recipe.parts
        data = problem(train, features, replace(recipe, parts=parts))
        for protocol, rows in learned.items():
            some, raws = restrict(data, rows, rung.copies, broad=recipe.broad), []
            for seed in range(rung.seeds):
                file = keep / f"{protocol[:2]}-{number}-{seed}.npy"  # a killed run goes on
                if not file.exists():
                    config = replace(rung.config, seed=seed)
                    head = fit(some, config, head=build(rung, data.features.shape[2], config))
                    np.save(file, judge(head, views, parts))
                raws.append(np.load(file)[judged[protocol]])
            report[protocol].append(summary(rung.name, [test[i] for i in judged[protocol].tolist()], raws))
    return report
