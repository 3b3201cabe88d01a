"""The paper's experiment: learned from Stable Diffusion alone, judged on every other generator.

Every head has the same pictures, the same number of steps and of settings to choose from, and
starts at random weights; the ridge alone is solved in closed form. Rate and strength are chosen on
held-out families of `train` against held-out collections of real pictures, before `test` is looked
at. Each head is fitted with five seeds and with three numbers of steps, so that a table shows
whether it has converged. Intervals are of owners: a bootstrap draws all pictures of an owner
together.

Pictures are the packed ones of `broad`, as they are. Training sees each square of a whole picture;
the answer for a picture of `test` is the mean over its squares.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.common import Options, write
from benchmarks.owners import over_owners, percentiles, rank_auc
from benchmarks.views import SplitFeatures, split_features
from causalclip.clip.backbones import DEFAULT
from causalclip.method import CausalHead, HeadOutput, LossWeights
from training.detector.data import Record, read_manifest
from training.detector.evaluation import balanced_accuracy
from training.detector.fitting import TrainConfig, fit_head
from training.detector.recipe import CONFIGS, Recipe

SEEDS = 5
STEPS = 50, 200, 800
RATES = 1e-4, 1e-3
DECAYS = 0.01, 3.0
RIDGES = 0.1, 1.0, 10.0, 100.0
BATCH = 64  # pictures a step
SERIES = {"sd1", "sd2", "sdxl"}  # Stable Diffusion's families in `train`
NOT_JUDGED = SERIES | {"sd3"}  # of `test`
INPUTS = {"embedding": ("embedding",), "layers": Recipe.read(CONFIGS / "causal.json").parts}
PAPER = replace(Recipe.read(CONFIGS / "paper.json").head, batch=BATCH)
REFERENCE = "ridge"  # the linear head that has converged, which every other is compared with
MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda labels, raw: balanced_accuracy(labels, raw, 0.0),
    "ap": average_precision_score,
    "auc": rank_auc,
}


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
    """One head: a row of each table.

    Attributes:
        name: of the row.
        config: how it is fitted, but for what is chosen.
        mlp: whether it is MlpHead.
    """

    name: str
    config: TrainConfig
    mlp: bool = False

    @property
    def closed_form(self) -> bool:
        return bool(self.config.ridge)

    def settings(self) -> list[TrainConfig]:
        """Return what is chosen from."""
        if self.closed_form:
            return [replace(self.config, ridge=strength) for strength in RIDGES]
        return [replace(self.config, rate=r, decay=d) for r in RATES for d in DECAYS]


def variants() -> list[Variant]:
    """Return the controls, the paper's 2 x 2, and all terms."""

    def with_terms(*names: str, **changes: Any) -> TrainConfig:
        weights = LossWeights(**{name: getattr(PAPER.weights, name) for name in names})
        return replace(PAPER, weights=weights, **changes)

    return [
        Variant(REFERENCE, with_terms(masked=False, steps=0, ridge=1.0)),
        Variant("linear probe", with_terms(masked=False)),
        Variant("MLP", with_terms(masked=False), mlp=True),
        Variant("one mask for all, adversary", with_terms("adversary", hidden=0)),
        Variant("mask of each picture", with_terms()),
        Variant("mask and adversary", with_terms("adversary")),
        Variant("the paper's head: all terms", PAPER),
    ]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Pictures to learn from or to be judged: features half [V, D] of their squares, which picture
    each square is of [V], and labels [N] and owners [N] of the pictures."""

    features: Tensor
    picture: np.ndarray
    labels: np.ndarray
    owners: np.ndarray

    @classmethod
    def of(
        cls, records: Sequence[Record], views: SplitFeatures, parts: tuple[str, ...]
    ) -> "Lesson":
        """Return the lesson of all records of `views`."""
        return cls(
            views.take(parts),
            views.picture,
            np.array([r.label for r in records]),
            np.array([r.owner for r in records]),
        )

    def only(self, pictures: np.ndarray) -> "Lesson":
        """Return the lesson of some pictures, bool [N]."""
        number = np.cumsum(pictures) - 1
        squares = pictures[self.picture]
        return Lesson(
            self.features[torch.from_numpy(squares)],
            number[self.picture[squares]],
            self.labels[pictures],
            self.owners[pictures],
        )

    def weights(self) -> Tensor:
        """Return weights [V] of the squares, mean 1: pictures of a class count alike, and so do
        both classes."""
        squares = np.bincount(self.picture)
        classes = np.bincount(self.labels)
        weight = 1 / (squares * classes[self.labels])[self.picture]
        return torch.from_numpy(weight / weight.mean()).float()

    def pool(self, logits: np.ndarray) -> np.ndarray:
        """Return the mean logit of each picture, [V] -> [N]."""
        return np.bincount(self.picture, logits) / np.bincount(self.picture)


def build(variant: Variant, width: int, config: TrainConfig) -> CausalHead:
    """Return a variant's head at random weights, for embeddings of `width` dimensions."""
    torch.manual_seed(config.seed)
    head = MlpHead(width, hidden=config.hidden) if variant.mlp else config.new_head(width)
    head.verdict.reset_parameters()
    return head


def fit_and_judge(
    variant: Variant, config: TrainConfig, lesson: Lesson, judged: Lesson
) -> tuple[np.ndarray, float]:
    """Return the raw logits [N] of the pictures that are judged, and how much of the mask is
    open."""
    head = fit_head(
        build(variant, lesson.features.shape[1], config),
        lesson.features,
        torch.from_numpy(lesson.labels[lesson.picture]).float(),
        config=config,
        sample_weight=lesson.weights(),
    )
    with torch.inference_mode():
        outputs = [head(rows.float()) for rows in judged.features.split(512)]
    raw = judged.pool(torch.cat([out.logit for out in outputs]).numpy())
    return raw, float(torch.cat([out.mask.mean(1) for out in outputs]).mean())


class HeadCache:
    """Logits of heads that were fitted already: a run that was stopped goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def fit_and_judge(
        self, name: str, variant: Variant, config: TrainConfig, lesson: Lesson, judged: Lesson
    ) -> tuple[np.ndarray, float]:
        """Return `fit_and_judge`, from the file where it is there. name: of lesson and judged."""
        key = repr((name, variant.name, config, len(lesson.labels), len(judged.labels)))
        path = self._folder / f"{sha256(key.encode()).hexdigest()[:20]}.npz"
        if not path.exists():
            raw, density = fit_and_judge(variant, config, lesson, judged)
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, raw=raw, density=density)
            partial.rename(path)
        file = np.load(path)
        return file["raw"], float(file["density"])


def choose(
    variant: Variant, folds: Sequence[tuple[Lesson, Lesson]], cache: HeadCache, name: str
) -> tuple[TrainConfig, float]:
    """Return the settings of the highest mean AUC over folds, and that AUC. folds: what is learned
    from, and what is judged."""
    scored = []
    for config in variant.settings():
        if not variant.closed_form:
            config = replace(config, steps=STEPS[-1])
        aucs = [
            rank_auc(
                judged.labels,
                cache.fit_and_judge(f"{name}, fold {i}", variant, config, lesson, judged)[0],
            )
            for i, (lesson, judged) in enumerate(folds)
        ]
        scored.append((float(np.mean(aucs)), config))
    auc, config = max(scored, key=lambda pair: pair[0])
    return config, auc


def measures(labels: np.ndarray, raws: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the mean of each measure over the logits [N] of every seed."""
    return {
        name: float(np.mean([measure(labels, raw) for raw in raws]))
        for name, measure in MEASURES.items()
    }


def table(
    lesson: Lesson,
    folds: Sequence[tuple[Lesson, Lesson]],
    judged: Lesson,
    cache: HeadCache,
    name: str,
) -> list[dict[str, Any]]:
    """Return a row for each variant: what was chosen, the curve over steps, and measures with the
    gain over the ridge."""
    # 1. Every head, by seed and by number of steps
    rows, logits = [], {}
    for variant in tqdm(variants(), desc=name):
        config, auc = choose(variant, folds, cache, name)
        steps = (0,) if variant.closed_form else STEPS
        seeds = 1 if variant.closed_form else SEEDS
        fitted = {
            count: [
                cache.fit_and_judge(
                    name, variant, replace(config, steps=count, seed=seed), lesson, judged
                )
                for seed in range(seeds)
            ]
            for count in steps
        }
        logits[variant.name] = [raw for raw, _ in fitted[steps[-1]]]
        chosen = {"ridge": config.ridge} if variant.closed_form else asdict(config)
        rows.append(
            {
                "name": variant.name,
                "seeds": seeds,
                "held_out_auc": auc,
                "chosen": {k: chosen[k] for k in ("ridge", "rate", "decay") if chosen.get(k)},
                "curve": [
                    {"steps": count, **measures(judged.labels, [raw for raw, _ in results])}
                    for count, results in fitted.items()
                ],
                "open": float(np.mean([density for _, density in fitted[steps[-1]]])),
            }
        )

    # 2. Intervals by owner, of each head and of its gain over the ridge in the same draws
    def of_heads(rows: np.ndarray) -> dict[str, float]:
        found: dict[str, float] = {}
        for head, raws in logits.items():
            values = measures(judged.labels[rows], [raw[rows] for raw in raws])
            found |= {f"{head}, {measure}": value for measure, value in values.items()}
        return found

    whole = of_heads(np.arange(len(judged.labels)))
    drawn = over_owners(of_heads, judged.labels, judged.owners)
    for row in rows:
        for measure, function in MEASURES.items():
            own, other = f"{row['name']}, {measure}", f"{REFERENCE}, {measure}"
            of_seeds = [function(judged.labels, raw) for raw in logits[row["name"]]]
            row[measure] = {
                "mean": whole[own],
                "interval": percentiles(drawn[own]),
                "seeds": [float(min(of_seeds)), float(max(of_seeds))],
                "gain": whole[own] - whole[other],
                "gain_interval": percentiles(drawn[own] - drawn[other]),
            }
    return rows


def read_pictures(forensics: Path) -> tuple[list[Record], list[Record]]:
    """Return the packed whole pictures of `broad` with their owners: all of `train`, and of `test`
    all but Stable Diffusion's."""
    owner_of = owners(forensics / "manifest.csv")
    records = [
        replace(r, owner=owner_of[r.path])
        for r in read_manifest(forensics / "manifest.csv")
        if r.set == "broad" and r.view != "crop"
    ]
    train = [r for r in records if r.split == "train"]
    test = [r for r in records if r.split == "test" and not (r.label and r.family in NOT_JUDGED)]
    return train, test


def owners(manifest: Path) -> dict[str, str]:
    """Return whose repository each file of the manifest is from, by its path."""
    with manifest.open(newline="", encoding="utf-8") as file:
        return {row["path"]: row["repo"].split("/")[0] for row in csv.DictReader(file)}


def _folds_of(train: Sequence[Record], lesson: Lesson) -> list[tuple[Lesson, Lesson]]:
    """Return two folds to choose by: Stable Diffusion and half of the real collections are learned
    from, the other families and the other half are judged."""
    collections = sorted({r.source for r in train if not r.label})
    half = np.array([not r.label and collections.index(r.source) % 2 for r in train], bool)
    generated = np.array([bool(r.label) for r in train])
    learned = np.array([r.family in SERIES for r in train]) & generated
    other = generated & ~learned
    return [
        (lesson.only(learned | own), lesson.only(other | rest))
        for own, rest in ((half, ~half & ~generated), (~half & ~generated, half))
    ]


def measure(options: Options) -> dict[str, Any]:
    """Measure every head on both inputs; a run that was stopped goes on."""
    # 1. The pictures and their features
    torch.set_num_threads(1)
    train, test = read_pictures(options.forensics)
    views = [
        split_features(records, options.forensics, backbone=DEFAULT, cache=options.cache)
        for records in (train, test)
    ]
    learned = np.array([not r.label or r.family in SERIES for r in train])

    # 2. A table for each input
    cache = HeadCache(options.cache / "ablation")
    report: dict[str, Any] = {
        "data": "forensics, broad, as packed",
        "learned": count(train, learned),
        "judged": count(test, np.ones(len(test), bool)),
        "owners_of_both": len({r.owner for r in train} & {r.owner for r in test}),
        "steps": STEPS,
        "batch": BATCH,
        "rates": RATES,
        "decays": DECAYS,
        "tables": {},
    }
    for name, parts in INPUTS.items():
        lesson, judged = (
            Lesson.of(records, own, parts)
            for records, own in zip((train, test), views, strict=True)
        )
        report["tables"][name] = table(
            lesson.only(learned), _folds_of(train, lesson), judged, cache, name
        )
        write("ablation", report)
    return report


def count(records: Sequence[Record], rows: np.ndarray) -> dict[str, int]:
    """Return how many pictures of either class, families and owners there are."""
    own = [r for r, inside in zip(records, rows, strict=True) if inside]
    return {
        "generated": sum(r.label for r in own),
        "real": sum(not r.label for r in own),
        "families": len({r.family for r in own if r.label}),
        "owners": len({r.owner for r in own}),
    }
