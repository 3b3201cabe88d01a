"""Ideas of a local head, judged on held-out owners: `python -m benchmarks.local.regions.ideas ORIGINALS KEPT`.

Every idea gives each cell of a picture a number, by a model that has seen nothing of the picture's owner. Reported: the
AUC of the cells inside each picture of known parts, and how well the picture's highest cells part it from photographs.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from torch import nn

from benchmarks.local.regions.cells import NATIVE
from benchmarks.local.regions.fits import Decoder, Moments, Ridge
from benchmarks.local.regions.made import BY_HAND, FOLDS, Sample, plan
from benchmarks.local.regions.residuals import contrast
from causalclip.dataset.table import PICTURES

CELLS = 48  # of a picture, that are learned from
WEIGHT = {
    "edit": 1.0,
    "third": 1.5,
    "original": 1.0,
    "generated in photograph": 1.5,
    "photograph in photograph": 1.0,
    "photograph in generated": 0.7,
    "edited by hand": 1.0,
    "whole generated": 0.5,
    "photograph": 1.5,
    "retouched": 1.2,
}
FALSE = 0.02  # of owners, whose worst photograph may be flagged
CONTRAST = "linear on tokens less the picture's own"
DECODER = "small convolutional decoder on both"
DECODED_FOLDS = 2  # of FOLDS that it is judged on
ONE_CLASS, BLOB = "one-class: distance to the picture's own statistics", "control: a blob in the middle"
IDEAS = [
    "linear on tokens",
    CONTRAST,
    "linear on tokens at native scale",
    "linear on residual statistics",
    "linear on both",
    "trees on residual statistics",
    ONE_CLASS,
    DECODER,
]
DECODED = 192  # dimensions that the convolutional decoder reads


@dataclass(slots=True)
class Cells:
    """What is learned from, a row a cell."""

    tokens: list[np.ndarray] = field(default_factory=list)
    means: list[np.ndarray] = field(default_factory=list)
    residuals: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    folds: list[np.ndarray] = field(default_factory=list)


def kind_of(sample: Sample) -> str:
    """The sample's kind; edits by how they were made."""
    if sample.kind not in ("edit", "third"):
        return sample.kind
    edit = sample.rows[0]
    if any(edit.generator.startswith(name) for name in BY_HAND):
        return f"{sample.kind}, no generator known"
    if sample.kind == "third":
        return "third"
    return {"yes": "edit, pasted back", "no": "edit, made anew"}.get(edit.pasted, "edit, not known which")


def truth(sample: Sample, mask: np.ndarray) -> np.ndarray:
    """What is known of the cells: 1 generated, 0 not, NaN not known or mixed."""
    known = np.where(mask > 0.6, 1.0, np.where(mask < 0.05, 0.0, np.nan))
    kind = kind_of(sample)
    if kind in ("edit, made anew", "edit, not known which"):
        known[known == 0] = np.nan  # the generator rendered these, too
    if kind.endswith("no generator known"):
        known[:] = np.nan
    return known


def load(samples: list[Sample], kept: Path) -> tuple[Cells, list[Sample]]:
    cells, there = Cells(), []
    for sample in samples:
        path = kept / "train" / f"{sample.name}.npz"
        if not path.exists():
            continue
        with np.load(path) as file:
            if "why" in file:
                continue
            there.append(sample)
            known = truth(sample, file["mask"]).ravel()
            chosen = choose(known, np.random.default_rng(sample.seed))
            if not len(chosen):
                continue
            tokens = file["tokens"].reshape(file["tokens"].shape[0], -1)
            cells.tokens.append(tokens[:, chosen].T)
            cells.means.append(np.repeat(tokens.mean(1, dtype=np.float32)[None].astype(np.float16), len(chosen), 0))
            cells.residuals.append(contrast(file["residuals"]).reshape(-1, tokens.shape[1])[:, chosen].T)
            cells.labels.append(known[chosen])
            weight = WEIGHT[sample.kind] / len(chosen)
            if sample.kind in ("edit", "third", "generated in photograph"):  # both sides of a mask count alike
                side = np.where(known[chosen] > 0, (known[chosen] > 0).sum(), (known[chosen] == 0).sum())
                weight = WEIGHT[sample.kind] / 2 / side
            cells.weights.append(np.broadcast_to(weight, chosen.shape).copy())
            cells.folds.append(np.full(len(chosen), sample.fold))
    return cells, there


def choose(known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    inside, outside = np.nonzero(known == 1)[0], np.nonzero(known == 0)[0]
    rng.shuffle(inside)
    rng.shuffle(outside)
    if len(inside) and len(outside):
        return np.concatenate([inside[: CELLS // 2], outside[: CELLS // 2]])
    return np.concatenate([inside, outside])[:CELLS]


def within(score: np.ndarray, known: np.ndarray) -> float:
    """AUC inside one picture; NaN where all that is known is alike."""
    seen = ~np.isnan(known)
    y = known[seen]
    return float(roc_auc_score(y, score[seen])) if 0 < y.sum() < len(y) else float("nan")


def middle(shape: tuple[int, ...]) -> np.ndarray:
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])
    return -(x**2 + y**2)


def pooled(score: np.ndarray) -> dict[str, float]:
    """One number a picture, two ways: its highest cells, and those against its own middle."""
    smooth = uniform_filter(score, 3, mode="nearest")
    top = np.sort(smooth.ravel())[-max(2, round(0.05 * smooth.size)) :].mean()
    return {"top": float(top), "contrast": float(top - np.median(score))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/local/ideas.json"))
    parser.add_argument("--again", action="store_true", help="Judge the maps that an earlier run kept.")
    options = parser.parse_args()
    torch.manual_seed(0)
    samples = plan(PICTURES, options.originals)
    if not options.again:
        cells, there = load(samples, options.kept)
        models = fit(cells) | decode(there, options.kept, cells)
        torch.save({name: models[name] for name in (CONTRAST, DECODER)}, options.kept / "best.pt")
        made = {s.name: apply(models, s, options.kept) for s in there}
        np.savez(options.kept / "maps.npz", **{n: m["maps"] for n, m in made.items()})
    maps = kept_maps(options.kept)
    there = [s for s in samples if s.name in maps]
    report = judge(there, maps, [*IDEAS, BLOB])
    some = judge([s for s in there if s.fold < DECODED_FOLDS], maps, [*IDEAS, BLOB])
    counts = {kind: sum(kind_of(s) == kind for s in there) for kind in sorted({kind_of(s) for s in there})}
    whole = {
        "pictures": counts,
        "planned": len(samples),
        "owners": len({s.owner for s in there}),
        "ideas": report,
        "inside, where the decoder was judged": {name: row["inside"] for name, row in some.items()},
    }
    options.output.write_text(json.dumps(whole, indent=1) + "\n")
    show(report)


def kept_maps(kept: Path) -> dict[str, dict[str, Any]]:
    """What `apply` made of every picture, with its masks."""
    found = {}
    with np.load(kept / "maps.npz") as maps:
        for name in maps.files:
            with np.load(kept / "train" / f"{name}.npz") as file:
                made = maps[name]
                ideas = IDEAS if len(made) > len(IDEAS) else [idea for idea in IDEAS if idea != DECODER]
                found[name] = {"names": [*ideas, BLOB], "maps": made, "mask": file["mask"], "pasted": file["pasted"]}
    return found


def fit(cells: Cells) -> dict[str, Any]:
    x = torch.from_numpy(np.concatenate(cells.tokens))
    means = torch.from_numpy(np.concatenate(cells.means))
    residuals = torch.from_numpy(np.concatenate(cells.residuals))
    y = torch.from_numpy(np.concatenate(cells.labels)).float()
    w = torch.from_numpy(np.concatenate(cells.weights)).float()
    folds = np.concatenate(cells.folds)
    print(x.shape, residuals.shape, float(y.mean()), flush=True)
    D = x.shape[1]
    both = Moments(torch.cat([x, residuals.half()], 1), y, w, folds)
    models: dict[str, Any] = {
        "linear on tokens": Ridge(both, slice(0, D)),
        "linear on tokens at native scale": Ridge(both, slice(0, 768 * len(NATIVE))),
        "linear on residual statistics": Ridge(both, slice(D, None), ridge=10.0),
        "linear on both": Ridge(both),
    }
    print("linear", flush=True)
    del both
    models[CONTRAST] = Ridge(Moments(x - means, y, w, folds))
    print("contrast", flush=True)
    trees = []
    for out in range(FOLDS):
        rows = folds != out
        trees.append(
            HistGradientBoostingClassifier(
                max_iter=80, max_leaf_nodes=15, learning_rate=0.1, l2_regularization=10.0, early_stopping=False
            ).fit(residuals.numpy()[rows], y.numpy()[rows], w.numpy()[rows])
        )
        print("trees", out, flush=True)
    models["trees on residual statistics"] = trees
    return models


def decode(there: list[Sample], kept: Path, cells: Cells) -> dict[str, Any]:
    """A small convolutional decoder on principal components of the tokens, fitted a fold."""
    x = torch.from_numpy(np.concatenate(cells.tokens))[::4].float()
    mean = x.mean(0)
    _, _, basis = torch.svd_lowrank(x - mean, DECODED, niter=2)
    scale = ((x - mean) @ basis).std(0)
    grids = []
    for sample in there:
        with np.load(kept / "train" / f"{sample.name}.npz") as file:
            tokens = torch.from_numpy(file["tokens"]).float()
            inputs = (torch.einsum("dhw,dk->khw", tokens - mean[:, None, None], basis)) / scale[:, None, None]
            residuals = torch.from_numpy(contrast(file["residuals"])) / 3
            grids.append((torch.cat([inputs, residuals]).half(), torch.from_numpy(truth(sample, file["mask"])).float()))
    nets = []
    for out in range(DECODED_FOLDS):
        net = Decoder(grids[0][0].shape[0])
        rows = [i for i, s in enumerate(there) if s.fold != out and bool((~grids[i][1].isnan()).any())]
        optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
        rng = np.random.default_rng(out)
        steps = 5 * len(rows) // 8
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps + 1)
        for _ in range(steps):
            loss = torch.zeros(())
            for i in rng.choice(rows, 8):
                grid, known = grids[i]
                if rng.random() < 0.5:
                    grid, known = grid.flip(2), known.flip(1)
                logit, seen = net(grid[None].float())[0], ~known.isnan()
                y = known[seen]
                each = nn.functional.binary_cross_entropy_with_logits(logit[seen], y, reduction="none")
                parts = [each[y == v].mean() for v in (0, 1) if bool((y == v).any())]
                loss = loss + WEIGHT[there[i].kind] * torch.stack(parts).mean() / 8
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print("decoder", out, float(loss.detach()), flush=True)
        nets.append(net.eval())
    return {DECODER: (nets, mean, basis, scale)}


@torch.no_grad()
def apply(models: dict[str, Any], sample: Sample, kept: Path) -> dict[str, Any]:
    """Every idea's map of one picture, by the models that have not seen its owner."""
    with np.load(kept / "train" / f"{sample.name}.npz") as file:
        tokens = torch.from_numpy(file["tokens"]).float()
        residuals = contrast(file["residuals"])
    D, h, w = tokens.shape
    x, r = tokens.reshape(D, -1).T, torch.from_numpy(residuals).reshape(len(residuals), -1).T
    inputs = {
        "linear on tokens": x,
        CONTRAST: x - x.mean(0),
        "linear on tokens at native scale": x[:, : 768 * len(NATIVE)],
        "linear on residual statistics": r,
        "linear on both": torch.cat([x, r], 1),
    }
    maps = {n: models[n](v, sample.fold).reshape(h, w).numpy() for n, v in inputs.items()}
    maps["trees on residual statistics"] = (
        models["trees on residual statistics"][sample.fold].decision_function(r.numpy()).reshape(h, w)
    )
    half = len(residuals) // 2
    maps[ONE_CLASS] = np.sqrt((residuals[half + 2 :] ** 2).mean(0))
    if DECODER in models and sample.fold < DECODED_FOLDS:
        nets, mean, basis, scale = models[DECODER]
        inside = torch.cat([((x - mean) @ basis / scale), r / 3], 1)
        maps[DECODER] = nets[sample.fold](inside.T.reshape(1, -1, h, w))[0].numpy()
    maps[BLOB] = middle((h, w))
    return {"maps": np.stack(list(maps.values())).astype(np.float32)}


def judge(there: list[Sample], maps: dict[str, dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """By idea: mean AUC inside pictures by kind, and AUC of pictures against photographs, by how they are pooled."""
    inside: dict[str, dict[str, list[float]]] = {n: defaultdict(list) for n in names}
    pools: dict[str, dict[str, dict[str, list[float]]]] = {n: {} for n in names}
    scores: dict[str, dict[str, dict[str, float]]] = {n: defaultdict(dict) for n in names}
    for sample in there:
        found, kind = maps[sample.name], kind_of(sample)
        generated = kind.startswith(("edit,", "third")) or kind in (
            "generated in photograph",
            "photograph in generated",
        )
        mask = found["mask"] if generated else found["pasted"]
        known = np.where(mask > 0.6, 1.0, np.where(mask < 0.05, 0.0, np.nan))
        for name, score in zip(found["names"], found["maps"], strict=True):
            value = within(uniform_filter(score, 3, mode="nearest"), known)
            if not np.isnan(value):
                inside[name][kind].append(value)
            for how, number in pooled(score).items():
                pools[name].setdefault(how, defaultdict(list))[kind].append(number)
                scores[name][how][sample.name] = number
    report = {}
    for name in names:
        picture: dict[str, dict[str, float]] = {}
        for how, by_kind in pools[name].items():
            real = by_kind["photograph"] + by_kind["original"]
            picture[how] = {
                k: round(float(roc_auc_score([0] * len(real) + [1] * len(v), real + v)), 3)
                for k, v in by_kind.items()
                if k not in ("photograph", "original")
            }
        report[name] = {
            "flagged": {how: flagged([s for s in there if s.name in rows], rows) for how, rows in scores[name].items()},
            "inside": {k: [round(float(np.mean(v)), 3), len(v)] for k, v in sorted(inside[name].items())},
            "picture": picture,
        }
    return report


def threshold(worst: list[float]) -> float:
    """What at most FALSE of owners reach by their worst picture, with the finite-sample correction of conformal
    prediction; above all of them where there are too few."""
    rank = int(np.ceil((1 - FALSE) * (len(worst) + 1)))
    return sorted(worst)[rank - 1] if rank <= len(worst) else float(np.nextafter(max(worst), np.inf))


def flagged(there: list[Sample], scores: dict[str, float]) -> dict[str, Any]:
    """The share of pictures by kind that reach the threshold which at most FALSE of the photographs' owners reach."""
    worst: dict[str, float] = {}
    for s in there:
        if s.kind in ("photograph", "original"):
            worst[s.owner] = max(worst.get(s.owner, -np.inf), scores[s.name])
    least, by_kind = threshold(list(worst.values())), defaultdict(list)
    for s in there:
        by_kind[kind_of(s)].append(scores[s.name] >= least)
    shares = {kind: round(float(np.mean(v)), 3) for kind, v in sorted(by_kind.items())}
    return {"threshold": least, "owners": len(worst), "share": shares}


def show(report: dict[str, Any]) -> None:
    for name, row in report.items():
        print(name)
        print("   inside ", row["inside"])
        for how, values in row["picture"].items():
            print("  ", how, values)
            print("  ", "flagged", row["flagged"][how]["share"])


if __name__ == "__main__":
    main()
