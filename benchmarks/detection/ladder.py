"""What each piece of the method adds, on the same features and data.

Two protocols. P1, the paper's: trained on one series of generators (Stable Diffusion) and the real pictures, tested on
every other generator. P2, the shipped model's: trained on all of `train`, tested on `test` (unseen generators).
Three seeds; mean and half the range between seeds, with a bootstrap interval over pictures for the first seed.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.detection.views import SplitFeatures, split_features
from causalclip.clip.backbones import DEFAULT
from causalclip.dataset.originals import read_originals
from causalclip.head.losses import LossWeights
from causalclip.head.model import CausalHead, HeadOutput
from causalclip.training.data import Record
from causalclip.training.evaluation import read_split
from causalclip.training.features import Features, compute_features
from causalclip.training.fitting import Problem, TrainConfig
from causalclip.training.measures import balanced_accuracy, bootstrap
from causalclip.training.recipe import CAUSAL, PARTS, Recipe, balance, fit, problem, with_splices

PLAIN = LossWeights(smoothing=CAUSAL.smoothing)
P1 = "P1: trained on Stable Diffusion and real pictures only"
P2 = "P2: trained on all of train"
PROTOCOLS = P2, P1
SETS = "broad", "alike", "fresh"
SERIES = {"sd1", "sd2", "sdxl"}  # P1's one series of generators


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
    """name; parts of the embedding; copies of augmented views; loss weights; which head, and how else it is fitted."""

    name: str
    parts: tuple[str, ...] = PARTS
    copies: int = 3
    weights: LossWeights = PLAIN
    head: str = "mask"
    changes: dict[str, Any] = field(default_factory=dict)


def rungs() -> list[Rung]:
    """Bottom to top; each adds one piece to the one before it."""
    independent = replace(PLAIN, sparsity=CAUSAL.sparsity, independence=CAUSAL.independence)
    adversary = replace(independent, adversary=CAUSAL.adversary)
    consistent = replace(adversary, consistency=CAUSAL.consistency, drop=CAUSAL.drop)
    return [
        Rung(
            "linear probe on the embedding (UniversalFakeDetect's recipe)",
            ("embedding",),
            1,
            LossWeights(),
            "linear",
        ),
        Rung("linear probe, several layers", head="linear"),
        Rung("MLP", head="mlp", changes={"ridge": 0.0}),
        Rung("+ mask", weights=replace(PLAIN, sparsity=CAUSAL.sparsity)),
        Rung("+ nHSIC", weights=independent),
        Rung("+ adversary", weights=adversary),
        Rung("+ counterfactual consistency", weights=consistent),
        Rung("+ counterfactual pairs", weights=replace(consistent, pairs=0.1)),
        Rung("+ places in splices, without pairs (shipped)", weights=replace(consistent, places=CAUSAL.places)),
    ]


def build(rung: Rung, width: int, config: TrainConfig) -> CausalHead:
    if rung.head == "mlp":
        return MlpHead(width, hidden=config.hidden)
    return CausalHead(width, hidden=config.hidden, masked=rung.head == "mask")


@torch.inference_mode()
def judge(head: CausalHead, views: SplitFeatures, rung: Rung) -> np.ndarray:
    """Raw logits [N] of a split's pictures."""
    raw = np.concatenate([head(part.float()).logit.numpy() for part in views.take(rung.parts).split(512)])
    return views.pool(raw, raw, share=0.0)


def measures(labels: np.ndarray, raw: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    y, s = labels[inside], raw[inside]
    return {
        "auc": float(roc_auc_score(y, s)),
        "ap": float(average_precision_score(y, s)),
        "balanced_accuracy": balanced_accuracy(y, s, 0.0),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What the rungs of one protocol stand on: its training records among those of the features, and its test records
    with their views."""

    root: Path
    cache: Path
    backbone: str
    records: list[Record]
    features: Features
    keep: Callable[[Record], bool]
    test: list[Record]
    views: SplitFeatures

    @property
    def kept(self) -> list[Record]:
        return [r for r in self.records if self.keep(r)]


def run_rung(rung: Rung, recipe: Recipe, ground: Ground, *, seeds: int) -> dict[str, Any]:
    """One rung under one protocol."""
    data = problem(ground.records, ground.features, replace(recipe, parts=rung.parts))
    data = restrict(data, ground.keep, rung, recipe)
    if rung.weights.places:
        wanted = replace(recipe, head=replace(recipe.head, weights=rung.weights))
        data = with_splices(data, ground.root, wanted, backbone=ground.backbone, cache=ground.cache)
    raws = []
    for seed in range(seeds):
        config = replace(recipe.head, weights=rung.weights, seed=seed, **rung.changes)
        head = fit(data, config, head=build(rung, data.features.shape[2], config))
        raws.append(judge(head, ground.views, rung))
    return summary(rung.name, ground.test, raws)


def summary(name: str, test: list[Record], raws: list[np.ndarray]) -> dict[str, Any]:
    """A row of the ladder from the raw logits [N] of every seed."""
    labels = np.array([r.label for r in test])
    groups = {name: np.array([name == "all" or r.set == name for r in test]) for name in (*SETS, "all")}
    results = [{name: measures(labels, raw, inside) for name, inside in groups.items()} for raw in raws]
    first = {n: bootstrap(roc_auc_score, labels[i], raws[0][i], rounds=300) for n, i in groups.items()}
    report: dict[str, Any] = {"name": name}
    for name in groups:
        columns = {m: np.array([r[name][m] for r in results]) for m in results[0][name]}
        report[name] = {
            m: {"mean": float(v.mean()), "spread": float((v.max() - v.min()) / 2)} for m, v in columns.items()
        }
        report[name]["auc_interval"] = first[name]
    return report


def restrict(data: Problem, keep: Callable[[Record], bool], rung: Rung, recipe: Recipe) -> Problem:
    """Only the records that a protocol trains on, and the copies that a rung does."""
    rows = np.array([i for i, r in enumerate(data.records) if keep(r)])
    place = np.full(len(data.records), -1)
    place[rows] = np.arange(len(rows))
    pairs = place[data.pairs]
    records = tuple(data.records[i] for i in rows)
    return Problem(
        records=records,
        features=data.features[: rung.copies, rows],
        labels=data.labels[rows],
        weight=balance(records, broad=recipe.broad),
        fold=data.fold[rows],
        pairs=pairs[(pairs >= 0).all(1)],
        environments=data.environments[rows],
    )


def table(report: dict[str, Any]) -> str:
    lines = []
    for protocol, rows in report.items():
        lines += [
            f"**{protocol}**",
            "",
            f"| rung | {' | '.join(f'{name} AUC' for name in SETS)} | all: AUC | AP | balanced accuracy |",
            "|---" * (len(SETS) + 4) + "|",
        ]
        for row in rows:
            cell = lambda s, m, row=row: f"{row[s][m]['mean']:.3f} ± {row[s][m]['spread']:.3f}"  # noqa: E731
            cells = [cell(s, "auc") for s in (*SETS, "all")]
            cells += [cell("all", m) for m in ("ap", "balanced_accuracy")]
            lines.append(f"| {' | '.join([row['name'], *cells])} |")
        lines.append("")
    return "\n".join(lines)


def is_paper_series(record: Record) -> bool:
    """What P1 trains on: one series of generators, and the real pictures."""
    return not record.label or record.family in SERIES


def run(data: Path, originals: Path, recipe: Recipe, *, cache: Path, seeds: int = 3) -> dict[str, Any]:
    """Every rung under both protocols, a process each. data: the folder of `test`; originals: of the training set."""
    climb = partial(_climb, data=data, originals=originals, recipe=recipe, cache=cache, seeds=seeds)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return dict(zip(PROTOCOLS, pool.map(climb, PROTOCOLS), strict=True))


def _climb(
    protocol: str, *, data: Path, originals: Path, recipe: Recipe, cache: Path, seeds: int
) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    train = read_originals("data/pictures.csv.gz", originals)
    features = compute_features(train, originals, backbone=DEFAULT, copies=recipe.copies, cache=cache)
    test = read_split(data / "manifest.csv", "test")
    views = split_features(test, data, backbone=DEFAULT, cache=cache)
    keep: Callable[[Record], bool] = lambda r: True  # noqa: E731
    if protocol == P1:
        unseen = np.array([not (r.label and r.family in SERIES) for r in test])
        test, views, keep = [r for r, u in zip(test, unseen, strict=True) if u], only(views, unseen), is_paper_series
    ground = Ground(originals, cache, DEFAULT, train, features, keep, test, views)
    return [run_rung(rung, recipe, ground, seeds=seeds) for rung in tqdm(rungs(), desc=protocol[:2])]


def only(views: SplitFeatures, pictures: np.ndarray) -> SplitFeatures:
    """The views of some pictures, renumbered."""
    rows = pictures[views.picture]
    number = np.cumsum(pictures) - 1
    quality = views.quality[pictures]
    return SplitFeatures(views.features[rows], number[views.picture[rows]], views.window[rows], quality, views.columns)
