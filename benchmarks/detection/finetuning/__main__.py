"""python -m benchmarks.detection.finetuning ORIGINALS KEPT [--way norms --passes 20000 --seed 0]: is a taught tower
better than the frozen one, with the same pictures? A line a check into finetuning.jsonl, by held-out owners of `train`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.detection.finetuning.heads import measures, ridge
from benchmarks.detection.finetuning.prepare import CUTS, HELD_OUT, load, prepare
from benchmarks.detection.finetuning.teach import Run, embedded, judged, teach
from benchmarks.detection.finetuning.upper import Teaching
from causalclip.clip.backbones import load_tower

LOG = Path(__file__).parent / "finetuning.jsonl"
RATES = {"frozen": 0.0, "norms": 1e-3, "low-rank": 3e-4, "whole": 1e-5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("--way", choices=list(RATES), default="norms")
    parser.add_argument("--passes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="of the run, and of the folds")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--head-rate", type=float, default=1e-4)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--cut", type=int, default=CUTS[0], choices=CUTS, help="the last layer that stays frozen")
    parser.add_argument("--patches", type=int, default=96, help="of 196, that a pass sees, by lot")
    parser.add_argument("--average", type=float, default=0.98, help="of the weights' exponential mean, a step")
    parser.add_argument("--checks", type=int, default=2)
    parser.add_argument("--refit", action="store_true", help="the ridge once more on the taught features")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    prepare(options.originals, options.kept)
    views, fold = load(options.originals, options.kept, options.cut, seed=options.seed)
    rows, held_out = np.flatnonzero(fold != HELD_OUT), np.flatnonzero(fold == HELD_OUT)
    tower, features = load_tower(), torch.from_numpy(views.parts).float()
    head = ridge(features[rows], views.labels[rows])
    with torch.no_grad():
        start = measures(views.labels[held_out], head(features[held_out])[:, 0].numpy())
    run = Run(
        Teaching(options.way, options.rank),
        options.seed,
        options.passes,
        options.rate or RATES[options.way],
        options.head_rate,
        cut=options.cut,
        kept=options.patches,
        average=options.average,
    )
    about = {
        "way": run.teaching.way,
        "rank": run.teaching.rank,
        "seed": run.seed,
        "rate": run.rate,
        "head_rate": run.head_rate,
        "patches": run.kept,
        "cut": run.cut,
        "owners": len(set(views.owners)),
    }

    def tell(what: dict[str, Any]) -> None:
        with LOG.open("a") as log:
            log.write(json.dumps(about | what) + "\n")
        print(json.dumps(about | what), flush=True)

    tell({"passes": 0, "pictures": len(rows), "held_out": len(held_out)} | start)
    upper, taught = teach(tower, views, rows, held_out, head, run, tell=tell, checks=options.checks)
    name = f"{run.teaching.way}-{run.cut}-{run.seed}-{run.passes}"
    torch.save({"upper": upper.state_dict(), "head": taught.state_dict()}, options.kept / f"{name}.pt")
    if options.refit:
        again = ridge(embedded(views, rows, upper), views.labels[rows])
        tell({"passes": run.passes, "refit": True} | judged(views, held_out, upper, again))


if __name__ == "__main__":
    main()
