"""Whether a mask can do what the paper promises: what is held back says who made or took a picture and what it shows,
not whether it was generated; what passes says that, of owners never seen.

    python -m benchmarks.detection.masks --originals ORIGINALS

Every idea of benchmarks.detection.masking.ideas is judged on the owners of each fold in turn; it, the verdict and the
probes learn from the other folds. Writes masks.json beside this file, idea by idea, and leaves out those that stand
there: a run that was stopped goes on.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.detection.masking.ideas import IDEAS
from benchmarks.detection.masking.pictures import (
    CLUSTERS,
    STRENGTH,
    Passed,
    Pictures,
    Split,
    balanced,
    centre,
    dual,
    read_pictures,
    splits,
)
from causalclip.training.measures import true_positive_rate
from causalclip.training.recipe import Recipe

HERE = Path(__file__).resolve().parent
NEIGHBOURS = 25
PARTS_OF_OWNERS = 4  # that a probe learned from the held-out owners themselves is judged on in turn
Measures = dict[str, float]


def judge(found: Passed, split: Split) -> Measures:
    """All measures of one idea on one fold's held-out owners."""
    report = {"density": found.density}
    verdict, content = predictions(found.through, split, strength=STRENGTH)
    labels = split.pictures.labels[split.test]
    report["auc"] = float(roc_auc_score(labels, verdict))
    report["tpr_at_5_fpr"] = true_positive_rate(labels, verdict, false_positive_rate=0.05)
    report["passed_content"] = content
    report["passed_owner"] = owner_accuracy(found.through, split)
    if found.held is not None:
        report |= {f"held_{name}": value for name, value in probes(found.held, split).items()}
    return report


def probes(K: np.ndarray, split: Split) -> Measures:
    """What a part still knows: the label by three probes, the content, the owner. The ridges are as strong as
    suits the part's own variance, so that a small rest is not hidden by a strong ridge."""
    rows = split.train
    K = centre(K, rows, split.weight)
    strength = STRENGTH * float(split.weight @ np.diag(K)[rows]) / split.x.shape[1]
    label, content = predictions(K, split, strength=max(strength, 1e-6))
    labels = split.pictures.labels[split.test]
    return {
        "label": float(roc_auc_score(labels, label)),
        "label_neighbours": float(roc_auc_score(labels, neighbours(K, split))),
        "label_fresh": fresh_probe(K, split, strength=max(strength, 1e-6)),
        "content": content,
        "owner": owner_accuracy(K, split),
    }


def predictions(K: np.ndarray, split: Split, *, strength: float) -> tuple[np.ndarray, float]:
    """The label's score on held-out rows, and the accuracy of the content cluster there, by one ridge regression."""
    p = split.pictures
    K = centre(K, split.train, split.weight)
    targets = np.column_stack([2 * p.labels - 1, np.eye(CLUSTERS)[p.content]])[split.train].astype(np.float32)
    found = K[np.ix_(split.test, split.train)] @ dual(K, split.train, split.weight, targets, strength=strength)
    content = (found[:, 1:] + split.weight @ targets[:, 1:]).argmax(1)
    return found[:, 0], float((content == p.content[split.test]).mean())


def neighbours(K: np.ndarray, split: Split) -> np.ndarray:
    """The share of generated pictures among the nearest of the pictures learned from, by cosine."""
    norm = np.sqrt(np.diag(K).clip(1e-9))
    cosine = K[np.ix_(split.test, split.train)] / norm[split.train]
    nearest = np.argpartition(-cosine, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    weight = split.weight[nearest]
    share: np.ndarray = (weight * split.pictures.labels[split.train][nearest]).sum(1) / weight.sum(1)
    return share


def fresh_probe(K: np.ndarray, split: Split, *, strength: float) -> float:
    """AUC of a ridge that learns from owners that neither the mask nor the verdict has seen: three quarters of the
    held-out ones, judged on the last."""
    p, scores = split.pictures, np.zeros(len(split.test))
    names = np.unique(p.owners[split.test])
    names = names[np.random.default_rng(0).permutation(len(names))]
    for turn in range(PARTS_OF_OWNERS):
        out = np.isin(p.owners[split.test], names[turn::PARTS_OF_OWNERS])
        rows, weight = split.test[~out], balanced(p.labels[split.test[~out]])
        inner = centre(K[np.ix_(split.test, split.test)], np.flatnonzero(~out), weight)
        a = dual(inner, np.flatnonzero(~out), weight, 2.0 * p.labels[rows] - 1, strength=strength)
        scores[out] = inner[np.ix_(out, ~out)] @ a
    return float(roc_auc_score(p.labels[split.test], scores))


def owner_accuracy(K: np.ndarray, split: Split) -> float:
    """Whose picture is it? Of the held-out owners with four pictures or more: learned from half of the pictures,
    asked of the others, and the other way round."""
    owners = split.pictures.owners[split.test]
    names, which, counts = np.unique(owners, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(counts[which] >= 4)
    rows = rows[np.argsort(which[rows], kind="stable")]
    right = 0
    for turn in (0, 1):
        known, asked = rows[turn::2], rows[1 - turn :: 2]
        weight = np.full(len(known), 1 / len(known), dtype=np.float32)
        inner = centre(K[np.ix_(split.test, split.test)], known, weight)
        strength = max(STRENGTH * float(np.diag(inner)[known].mean()) / split.x.shape[1], 1e-6)
        a = dual(inner, known, weight, np.eye(len(names))[which[known]], strength=strength)
        right += int(((inner[np.ix_(asked, known)] @ a).argmax(1) == which[asked]).sum())
    return right / len(rows)


def chances(pictures: Pictures) -> Measures:
    """What guessing the commonest owner and cluster of the held-out ones would reach, mean over folds."""
    folds = [pictures.fold == f for f in range(pictures.fold.max() + 1)]
    common = lambda v: float(np.mean([np.bincount(v[f]).max() / f.sum() for f in folds]))  # noqa: E731
    return {"owner": common(pictures.owners), "content": common(pictures.content)}


def measure(folds: Iterable[Split], idea: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of an idea: mean over folds and seeds of every measure, and by seed the AUC's mean over folds."""
    make, seeds = IDEAS[idea]
    rows: dict[str, list[list[Measures]]] = {}
    for split in folds:
        for seed in range(seeds):
            for name, found in make(split, seed):
                by_seed = rows.setdefault(name, [[] for _ in range(seeds)])
                by_seed[seed].append(judge(found, split))
    for name, by_seed in rows.items():
        flat = [m for seed in by_seed for m in seed]
        report: dict[str, Any] = {key: float(np.mean([m[key] for m in flat])) for key in flat[0]}
        means = [np.mean([m["auc"] for m in seed]) for seed in by_seed]
        report |= {"seeds": seeds, "auc_spread": float((max(means) - min(means)) / 2)}
        report["auc_by_fold"] = [float(np.mean([seed[f]["auc"] for seed in by_seed])) for f in range(len(by_seed[0]))]
        yield name, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--originals", type=Path, required=True)
    parser.add_argument("--table", default="data/pictures.csv.gz")
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    parser.add_argument("--only", nargs="+", choices=IDEAS, default=list(IDEAS))
    parser.add_argument("--out", type=Path, default=HERE / "masks.json")
    parser.add_argument("--each", type=int, default=5, help="pictures of one owner and class, at most")
    options = parser.parse_args()
    pictures = read_pictures(
        options.table, options.originals, parts=Recipe().parts, cache=options.cache, each=options.each
    )
    report = json.loads(options.out.read_text()) if options.out.is_file() else {"ideas": {}}
    report |= {
        "date": date.today().isoformat(),
        "pictures": len(pictures.labels),
        "owners": int(pictures.owners.max() + 1),
        "channels": pictures.x.shape[1],
        "chance": chances(pictures),
    }
    folds = list(splits(pictures))
    for idea in options.only:
        if idea not in report["ideas"]:
            report["ideas"][idea] = dict(measure(folds, idea))
            options.out.write_text(json.dumps(report, indent=2) + "\n")
            print(idea, json.dumps(report["ideas"][idea]), flush=True)


if __name__ == "__main__":
    main()
