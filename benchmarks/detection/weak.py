"""python -m benchmarks.detection.weak ORIGINALS KEPT: do pictures whose labels are weak help, or harm?

Weak are generated pictures that are called so by an agent's project, a size and silence alone, and photographs that
their owner, their site or a commit's date calls so (benchmarks.dataset.audit). A ridge learns with and without them, by
folds of owners, and is judged on held-out pictures with better labels. KEPT: what benchmarks.detection.finetuning has
prepared. Writes weak.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.dataset.audit import is_claimed, is_unsigned
from benchmarks.detection.finetuning.heads import gram, kernel_ridge, measures
from benchmarks.detection.finetuning.prepare import CUTS, chosen, load, prepare
from causalclip.dataset.table import PICTURES, read_table
from causalclip.training.data import assign_folds

OUT = Path(__file__).parent / "weak.json"
SEEDS, FOLDS = 3, 5
Rows = np.ndarray


def learned_from(unsigned: Rows, claimed: Rows, rng: np.random.Generator) -> dict[str, Rows]:
    """What each ridge may learn from, [N] bool; as many others by lot say what their number alone is worth."""

    def without(what: Rows) -> Rows:
        return ~np.isin(np.arange(len(what)), rng.choice(np.flatnonzero(~what), int(what.sum()), replace=False))

    return {
        "all": np.ones(len(unsigned), bool),
        "all but generated pictures with weak labels": ~unsigned,
        "all but photographs with weak labels": ~claimed,
        "all but as many others as the first": without(unsigned),
        "all but as many others as the second": without(claimed),
        "none with a weak label": ~unsigned & ~claimed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    options = parser.parse_args()
    prepare(options.originals, options.kept)
    table = {picture.sha256: picture for picture in read_table(PICTURES)}
    records = chosen(options.originals)
    views, _ = load(options.originals, options.kept, CUTS[0])
    labels, everything = views.labels, np.arange(len(records))
    products = gram(torch.from_numpy(views.parts).float(), everything)
    unsigned = np.array([is_unsigned(table[record.picture]) for record in records])
    claimed = np.array([is_claimed(table[record.picture]) for record in records])
    scores: dict[str, list[dict[str, float]]] = {}
    for seed in range(SEEDS):
        fold_of = assign_folds(records, folds=FOLDS, seed=seed)
        fold = np.array([fold_of[record.group] for record in records])
        for name, may in learned_from(unsigned, claimed, np.random.default_rng(seed)).items():
            said = np.zeros(len(labels))
            for held_out in range(FOLDS):
                rows = np.flatnonzero((fold != held_out) & may)
                said[fold == held_out] = kernel_ridge(products, labels, rows)[fold == held_out]
            judged = ~unsigned & ~claimed
            scores.setdefault(name, []).append({"learned": int(may.sum())} | measures(labels[judged], said[judged]))
            print(seed, name, scores[name][-1], flush=True)
    about = {
        "pictures": len(records),
        "owners": len(set(views.owners)),
        "weak": {"generated": int(unsigned.sum()), "photographs": int(claimed.sum())},
        "judged": int((~unsigned & ~claimed).sum()),
    }
    OUT.write_text(json.dumps(about | {"rows": scores}, indent=2) + "\n")


if __name__ == "__main__":
    main()
