"""python -m benchmarks.detection.finetuning ORIGINALS KEPT [--way norms --passes 20000 --seed 0]: is a taught tower
better than the frozen one, with the same pictures? A line a check into finetuning.jsonl, by held-out owners of `train`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.detection.finetuning.prepare import HELD_OUT, load, prepare, prepare_others
from benchmarks.detection.finetuning.teach import Run, Views, embedded, judged, measures, teach
from benchmarks.detection.finetuning.upper import Teaching, Upper
from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import Tower

LOG = Path(__file__).parent / "finetuning.jsonl"
RATES = {"frozen": 0.0, "norms": 1e-3, "low-rank": 3e-4, "whole": 1e-5}
RIDGE = 1.0


def ridge(features: Tensor, views: Views, rows: np.ndarray) -> nn.Linear:
    """The ridge of -1 and 1 on standardised features [n, D] of the rows; both classes count as much."""
    labels = torch.from_numpy(views.labels[rows]).float()
    share = labels.mean()
    weight = torch.where(labels > 0, 0.5 / share, 0.5 / (1 - share)) / len(labels)
    shift, scale = features.mean(0), features.std(0)
    x = torch.cat([(features - shift) / scale, torch.ones(len(features), 1)], 1)
    strength = torch.full((x.shape[1],), RIDGE)
    strength[-1] = 0
    gram = x.T @ (x * weight[:, None]) + torch.diag(strength)
    solved = torch.linalg.solve(gram, x.T @ (weight * (2 * labels - 1)))
    head = nn.Linear(features.shape[1], 1)
    with torch.no_grad():
        head.weight.copy_((solved[:-1] / scale)[None])
        head.bias.copy_(solved[-1:] - (solved[:-1] * shift / scale).sum())
    return head


def frozen(tower: Tower, views: Views, kept: Path) -> Tensor:
    """Parts of every picture by the frozen layers, [N, 10 D], kept."""
    file = kept / "frozen.npy"
    if not file.is_file():
        upper, all_rows = Upper(tower, Teaching("frozen")), np.arange(len(views.labels))
        np.save(file, embedded(views, all_rows, upper).half().numpy())
    return torch.from_numpy(np.load(file)).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("--way", choices=list(RATES), default="norms")
    parser.add_argument("--passes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--head-rate", type=float, default=1e-4)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--patches", type=int, default=96, help="of 196, that a pass sees, by lot")
    parser.add_argument("--copies", type=int, default=1, choices=[1, 3], help="of a picture; a pass sees one, by lot")
    parser.add_argument("--average", type=float, default=0.98, help="of the weights' exponential mean, a step")
    parser.add_argument("--checks", type=int, default=2)
    parser.add_argument("--refit", action="store_true", help="the ridge once more on the taught features")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not (options.kept / "records.pkl").is_file():
        prepare(options.originals, options.kept)
    if options.copies > 1:
        prepare_others(options.originals, options.kept)
    views, fold = load(options.kept)
    views.others = views.others[: options.copies - 1]
    rows, held_out = np.flatnonzero(fold != HELD_OUT), np.flatnonzero(fold == HELD_OUT)
    tower = load_tower(dtype=torch.bfloat16)
    features = frozen(tower, views, options.kept)
    head = ridge(features[rows], views, rows)
    with torch.no_grad():
        start = measures(views.labels[held_out], head(features[held_out])[:, 0].numpy())
    run = Run(
        Teaching(options.way, options.rank),
        options.seed,
        options.passes,
        options.rate or RATES[options.way],
        options.head_rate,
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
        "copies": 1 + len(views.others),
    }

    def tell(what: dict[str, Any]) -> None:
        with LOG.open("a") as log:
            log.write(json.dumps(about | what) + "\n")
        print(json.dumps(about | what), flush=True)

    tell({"passes": 0, "pictures": len(rows), "held_out": len(held_out)} | start)
    upper, taught = teach(tower, views, rows, held_out, head, run, tell=tell, checks=options.checks)
    name = f"{run.teaching.way}-{run.seed}-{run.passes}"
    torch.save({"upper": upper.state_dict(), "head": taught.state_dict()}, options.kept / f"{name}.pt")
    if options.refit:
        again = ridge(embedded(views, rows, upper), views, rows)
        tell({"passes": run.passes, "refit": True} | judged(views, held_out, upper, again))


if __name__ == "__main__":
    main()
