"""The price of independence: AUC on held-out owners against what the held-back part still shares
and tells.

A head is fitted from the ridge for each weight of nHSIC and of the adversary, over two decades,
with SEEDS seeds; one fold of owners is held out, and the verdict is judged on their sets of like
content. What is held back is read by three probes that the head was never trained against. Squares
alone, of the augmentation that is drawn for each picture.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from tqdm import tqdm

from benchmarks.common import TABLE, Options, read, write
from benchmarks.figures import Theme, save
from benchmarks.owners import over_owners, percentiles, rank_auc
from benchmarks.views import split_features
from causalclip.clip.backbones import DEFAULT
from causalclip.clip.runtime import choose_runtime
from causalclip.method import CausalHead, Dependence, HeadOutput
from training.dataset.rules import read_originals
from training.detector.data import LIKE, Record, read_manifest
from training.detector.features import SquareFeatures, compute_features
from training.detector.fitting import Problem, TrainConfig
from training.detector.mask_statistics import MaskStatistics
from training.detector.recipe import Recipe, fit, problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS = 3
WEIGHTS = 0.03, 0.3, 3.0
PROBES = "linear", "mlp", "knn"
ROWS = 1024  # of which nHSIC is taken
STEPS = 360  # of packed pictures, which are fewer: as many as on all originals
Point = tuple[float, float]  # weights of independence and of the adversary


def points(shipped: TrainConfig) -> list[Point]:
    """Each weight over two decades while the other one is as shipped; first the ridge's mask
    without either."""
    independence, adversary = shipped.weights.independence, shipped.weights.adversary
    pairs = [(0.0, 0.0), (independence, adversary)]
    pairs += [(w, adversary) for w in WEIGHTS] + [(independence, w) for w in WEIGHTS]
    return list(dict.fromkeys(pairs))


@torch.inference_mode()
def judge(head: CausalHead, features: Tensor) -> HeadOutput:
    """Of half [N, D]: logits, masks, what passes and what is held back."""
    outs = [head(rows.float()) for rows in features.split(1024)]
    return HeadOutput(
        *(
            torch.cat([getattr(o, n) for o in outs])
            for n in ("logit", "mask", "causal", "non_causal")
        )
    )


def spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)]


def dependence(out: HeadOutput, labels: np.ndarray) -> dict[str, float]:
    """Unbiased nHSIC of both parts on at most ROWS pictures: of both classes, with its permuted
    floor, and the mean inside one, where no label links them."""

    def of(rows: np.ndarray) -> Dependence:
        return Dependence.between(out.causal[rows], out.non_causal[rows])

    everything = np.arange(len(labels))
    inside = [of(spread(everything[labels == label])).nhsic for label in (0, 1)]
    whole = of(spread(everything))
    return {
        "nhsic": whole.nhsic,
        "nhsic_permuted": whole.permuted,
        "nhsic_within": float(np.mean(inside)),
    }


def probes(
    lesson: Tensor, labels: np.ndarray, unseen: Tensor, *, seed: int
) -> dict[str, np.ndarray]:
    """Return what a ridge, an MLP of 256 and 15 nearest neighbours that learned to read the
    held-back part [N, D] score of unseen ones [M, D]: [M] each."""
    scale = StandardScaler().fit(lesson.numpy())
    x, y = scale.transform(lesson.numpy()), scale.transform(unseen.numpy())
    width = x.shape[1]
    linear = RidgeClassifier(alpha=float(width)).fit(x, labels).decision_function(y)
    mlp = make_pipeline(
        MLPClassifier((256,), batch_size=256, max_iter=8, random_state=seed, n_iter_no_change=99)
    )
    neighbours = KNeighborsClassifier(15).fit(x, labels)
    return {
        "linear": linear,
        "mlp": mlp.fit(x, labels).predict_proba(y)[:, 1],
        "knn": neighbours.predict_proba(y)[:, 1],
    }


def row(data: Problem, config: TrainConfig, *, fold: int) -> dict[str, Any]:
    """One point: the head on all folds but one, judged on that one."""
    # 1. The verdict and the mask
    head = fit(data, config, leave_out=fold)
    held_out, lesson = np.flatnonzero(data.fold == fold), np.flatnonzero(data.fold != fold)
    labels, out = data.labels.numpy()[held_out], judge(head, data.features[0, held_out])
    like = np.array([data.records[i].set in LIKE for i in held_out])
    report: dict[str, Any] = {
        "auc": rank_auc(labels[like], out.logit.numpy()[like]),
        "density": MaskStatistics.of(out.mask).density,
        "variation": float(out.mask.std(0).mean()),
        **dependence(out, labels),
    }

    # 2. What the held-back part tells
    read_out = probes(
        judge(head, data.features[0, lesson]).non_causal,
        data.labels.numpy()[lesson],
        out.non_causal,
        seed=config.seed,
    )
    owners = np.array([data.records[i].group for i in held_out])
    draws = over_owners(
        lambda rows: {
            name: rank_auc(labels[rows], score[rows]) for name, score in read_out.items()
        },
        labels,
        owners,
    )
    for name, score in read_out.items():
        report[name] = rank_auc(labels, score)
        report[f"{name}_interval"] = percentiles(draws[name])
    return report


def runs(config: TrainConfig) -> Iterator[tuple[dict[str, float], TrainConfig]]:
    for seed in range(SEEDS):
        for independence, adversary in points(config):
            weights = replace(config.weights, independence=independence, adversary=adversary)
            settings = {"independence": independence, "adversary": adversary, "seed": seed}
            yield settings, replace(config, weights=weights, seed=seed)


def _training_problem(options: Options, recipe: Recipe) -> Problem:
    """The photographs of `train` whose originals are there, with features of the recipe's
    augmentations; where no original is there, packed ones (`packed_problem`)."""
    if not options.originals.is_dir():
        return packed_problem(options, recipe)
    records = [r for r in read_originals(TABLE, options.originals) if r.kind == "photo"]
    features = compute_features(
        records,
        options.originals,
        backbone=DEFAULT,
        parts=recipe.parts,
        augmentations=recipe.augmentations,
        cache=options.cache,
    )
    return problem(records, features, recipe)


def _packed_records(options: Options) -> list[Record]:
    """The whole views of the packed pictures of `train`: all of `broad`, every fourth of `alike`
    by owner and class."""
    records = read_manifest(options.forensics / "manifest.csv")
    whole = sorted(
        (r for r in records if r.split == "train" and r.view == "whole"),
        key=lambda r: (r.set, r.group, r.label, r.picture),
    )
    return [r for r in whole if r.set == "broad"] + [r for r in whole if r.set != "broad"][::4]


def packed_problem(options: Options, recipe: Recipe) -> Problem:
    """Packed pictures of `train` as they are, a square of each, by the processor's runtime."""
    records = _packed_records(options)
    views = split_features(
        records,
        options.forensics,
        backbone=DEFAULT,
        cache=options.cache,
        runtime=choose_runtime(),
    )
    first = np.unique(views.picture, return_index=True)[1]
    values = views.take(recipe.parts)[first][None]
    return problem(records, SquareFeatures(values, views.quality[None]), recipe)


def measure(options: Options) -> dict[str, Any]:
    """Every point of the curve, the shipped one first of its seed but for the plain one; a killed
    run goes on."""
    recipe = Recipe.read(options.recipe)
    data = _training_problem(options, recipe)
    if not options.originals.is_dir():
        recipe = replace(recipe, head=replace(recipe.head, steps=STEPS))
    records, held_out = data.records, data.fold == 0
    ridge = replace(recipe.head, epochs=0, steps=None, average=0.0, masked=False)
    about = {
        "shipped": {n: getattr(recipe.head.weights, n) for n in ("independence", "adversary")},
        "data": "originals" if options.originals.is_dir() else "forensics, train split",
        "pictures": len(records),
        "held_out": {
            "pictures": int(held_out.sum()),
            "owners": len({r.group for r, h in zip(records, held_out, strict=True) if h}),
        },
    }
    rows: list[dict[str, Any]] = []
    earlier = read("curve") or {}
    earlier_rows = earlier["rows"] if about.items() <= earlier.items() else []
    report = about | _ridge_auc(data, ridge) | {"rows": rows}
    for settings, config in tqdm(list(runs(recipe.head)), desc="points"):
        matches = (r for r in earlier_rows if settings.items() <= r.items())
        rows.append(next(matches, {}) or settings | row(data, config, fold=0))
        write("curve", report)
    save("curve", partial(draw, report))
    return report


def draw(report: dict[str, Any], theme: Theme) -> "Figure":
    """The mean of the seeds and their range, the shipped point named."""
    from matplotlib.figure import Figure

    # 1. The runs of each point
    groups: dict[Point, list[dict[str, Any]]] = defaultdict(list)
    for row in report["rows"]:
        groups[row["independence"], row["adversary"]].append(row)
    shipped = report["shipped"]["independence"], report["shipped"]["adversary"]

    # 2. A mark for each point
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for point, rows in groups.items():
        x = float(np.mean([r["nhsic"] for r in rows]))
        scores = {name: np.array([r[name] for r in rows]) for name in ("auc", *PROBES)}
        mean = {name: float(values.mean()) for name, values in scores.items()}
        is_default = point == shipped
        ends = [[mean["auc"] - scores["auc"].min()], [scores["auc"].max() - mean["auc"]]]
        left.errorbar(
            x, mean["auc"], ends, fmt="o", color=theme.series[0], ms=9 if is_default else 5
        )
        if is_default:
            left.annotate("shipped", (x, mean["auc"]), textcoords="offset points", xytext=(8, 6))
        for name, marker, colour in zip(PROBES, "s^D", theme.series[1:], strict=True):
            label = name if point == shipped else None
            right.plot(x, mean[name], marker, color=colour, label=label, ms=7 if is_default else 4)

    # 3. The axes
    left.axhline(report["ridge"], color=theme.quiet, ls="--", lw=1)
    left.set(
        xlabel="nHSIC of the two parts",
        ylabel="AUC, held-out owners",
        title="Verdict (dashed: the ridge)",
    )
    right.set(
        xlabel="nHSIC of the two parts",
        ylabel="AUC",
        title="Probes of what is held back",
        ylim=(0.45, 1),
    )
    right.legend(frameon=False, fontsize=8)
    return figure


def _ridge_auc(data: Problem, config: TrainConfig) -> dict[str, Any]:
    """Return what the linear head that every point starts from reaches on the same pictures, with
    its interval over owners, and how many are judged."""
    # 1. Its verdicts on held-out pictures of like content
    head, held_out = fit(data, config, leave_out=0), np.flatnonzero(data.fold == 0)
    like = held_out[[data.records[i].set in LIKE for i in held_out]]
    labels, raw = data.labels.numpy()[like], judge(head, data.features[0, like]).logit.numpy()
    owners = np.array([data.records[i].group for i in like])

    # 2. The AUC, and that of draws of owners
    draws = over_owners(lambda rows: {"auc": rank_auc(labels[rows], raw[rows])}, labels, owners)
    return {
        "ridge": rank_auc(labels, raw),
        "ridge_interval": percentiles(draws["auc"]),
        "judged": {"pictures": len(like), "owners": len(np.unique(owners))},
    }
