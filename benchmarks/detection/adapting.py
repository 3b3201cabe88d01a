"""Is an adapted tower, or a learned pooling, better than the frozen one? On held-out families and sites of `train`.

    python -m benchmarks.detection.adapting --data ../shared/data/forensics --fold 0 --rank 8
    python -m benchmarks.detection.adapting --data ../shared/data/forensics --fold 0 --rank 0 --pooling

One fold of families and sites is left out. Both kinds of view learn at once: linear heads on the shipped parts that
start at the frozen features' least squares, and with them low-rank updates (LoRA, arXiv 2106.09685) of attention
outputs and MLPs of the later layers, or for each patch part a query whose attention takes the place of the mean over
patches (its values stay linear, so that a verdict is still a sum over patches). Every view is a fresh random delivery;
the weights are averaged. Then the fold that was left out is judged, whole picture and window fused, before and after.
A line a run is appended to adapting.jsonl.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, inject_adapter_in_model
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import embed, needs, parse_part
from causalclip.clip.tower import Tower, Trace, normalise
from causalclip.clip.views import Kind
from causalclip.head.model import CausalHead
from causalclip.training.data import Record, assign_folds, read_manifest
from causalclip.training.features import compute_features, copy_view
from causalclip.training.fitting import TrainConfig
from causalclip.training.recipe import KINDS, PARTS, Problem, balance, by_picture, fit, fuse, problem

LOG = Path(__file__).resolve().parent / "adapting.jsonl"
BACKBONE = "clip-vit-b-16"
COPIES = {"clean": 0, "worn": 1}  # that are judged, of the cached ones
FOLDS = 5
SMOOTHING = 0.1


class Adapted(nn.Module):
    """A tower and a linear head a kind of view.

    Args:
        rank: of the low-rank updates; 0 adapts nothing. after: the last layer that stays as it is.
        pooling: learn where to look in place of the mean over patches. parts: of the heads' embedding.
    """

    def __init__(
        self,
        tower: Tower,
        heads: dict[Kind, CausalHead],
        *,
        rank: int,
        after: int,
        pooling: bool,
        parts: Sequence[str] = PARTS,
    ) -> None:
        super().__init__()
        self.tower, self.parts = tower.requires_grad_(False), tuple(parts)
        self.heads = nn.ModuleDict({str(kind): head for kind, head in heads.items()})
        for head in heads.values():
            head.requires_grad_(False).verdict.requires_grad_(True)
        if rank:
            layers = "|".join(str(layer) for layer in range(after, tower.layers))
            names = rf".*resblocks\.({layers})\.(attn\.out_proj|mlp\.c_fc|mlp\.c_proj)"
            inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=names), tower)
        patch_parts = [part for part in parts if parse_part(part, tower)[0] == "patch"] if pooling else []
        self.queries = nn.ParameterDict(
            {f"{kind} {part}": nn.Parameter(torch.zeros(tower.width)) for kind in heads for part in patch_parts}
        )

    def forward(self, pixels: Tensor, kinds: Sequence[Kind]) -> Tensor:
        """Views [B, 3, S, S] -> logits [B]."""
        trace = self.tower(pixels, **needs(self.parts, self.tower))
        logits = pixels.new_zeros(len(kinds))
        for kind, head in self.heads.items():
            rows = torch.tensor([k == kind for k in kinds])
            if rows.any():
                logits = logits.masked_scatter(rows, head(self._embedding(trace, rows, kind)).logit)
        return logits

    def _embedding(self, trace: Trace, rows: Tensor, kind: str) -> Tensor:
        mine = Trace(cls=[x[rows] for x in trace.cls], patches=[x[rows] for x in trace.patches])
        if not self.queries:
            return embed(mine, self.parts, self.tower)
        return torch.cat([self._part(mine, part, kind) for part in self.parts], 1)

    def _part(self, trace: Trace, part: str, kind: str) -> Tensor:
        if f"{kind} {part}" not in self.queries:
            return embed(trace, [part], self.tower)
        tokens = normalise(trace.patches[parse_part(part, self.tower)[1]])[0]
        looked: Tensor = (tokens @ self.queries[f"{kind} {part}"] / tokens.shape[-1] ** 0.5).softmax(1)
        return (looked[:, None] @ tokens)[:, 0]


def batches(records: Sequence[Record], root: Path, *, size: int, steps: int, batch: int) -> Iterator[tuple[Any, ...]]:
    """(views, labels, kinds), sets and classes drawn alike, each view a random delivery of light or full strength."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(balance(records), steps * batch, replacement=True, generator=generator).view(steps, batch)
    copy = torch.randint(1, 4, (steps, batch), generator=generator)

    def view(place: tuple[int, int]) -> Tensor:
        number = place[0] * batch + place[1] + 1_000_000  # apart from the cached copies' seeds
        return copy_view(records[int(drawn[place])], root, int(copy[place]), seed=number, size=size)

    with ThreadPoolExecutor(2) as pool:
        for step in range(steps):
            mine = [records[int(i)] for i in drawn[step]]
            views = torch.stack(list(pool.map(view, [(step, i) for i in range(batch)])))
            yield views, torch.tensor([float(r.label) for r in mine]), [r.kind for r in mine]


def adapt(model: Adapted, records: Sequence[Record], root: Path, options: argparse.Namespace) -> Adapted:
    """Trains and returns the averaged model; prints its loss."""
    own = [p for p in model.heads.parameters() if p.requires_grad]
    rest = [p for p in [*model.tower.parameters(), *model.queries.values()] if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": own, "lr": options.head_rate}, {"params": rest, "lr": options.rate}], weight_decay=1e-2
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [options.head_rate, options.rate], total_steps=options.steps, pct_start=0.1
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98))
    losses = []
    source = batches(records, root, size=model.tower.image_size, steps=options.steps, batch=options.batch)
    for step, (views, labels, kinds) in enumerate(source, 1):
        target = labels * (1 - SMOOTHING) + SMOOTHING / 2
        loss = F.binary_cross_entropy_with_logits(model(views, kinds), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        losses.append(float(loss.detach()))
        if step % 25 == 0:
            print(f"step {step}: loss {np.mean(losses[-25:]):.3f}", flush=True)
    return cast(Adapted, average.module)


@torch.inference_mode()
def judged(model: Adapted, records: Sequence[Record], seeds: Sequence[int], root: Path, copy: int) -> np.ndarray:
    """Logits [N] of one copy of each record, as the cached features have it."""
    logits = []
    for at in range(0, len(records), 16):
        mine = records[at : at + 16]
        views = [
            copy_view(r, root, copy, seed=s, size=model.tower.image_size)
            for r, s in zip(mine, seeds[at : at + 16], strict=True)
        ]
        logits.append(model(torch.stack(views), [r.kind for r in mine]))
    return torch.cat(logits).numpy()


def report(problems: dict[Kind, Problem], logits: dict[Kind, np.ndarray], fold: int) -> dict[str, Any]:
    """AUC by set and copy in the fold that was left out; logits [K, N] a kind, of all records of the kind."""
    whole = problems["whole"]
    raw = fuse(logits["whole"], logits["window"], by_picture(problems), 0.5)
    inside, labels = whole.fold == fold, whole.labels.numpy()
    sets = np.array([r.set for r in whole.records])
    rows = {name: inside & (sets == name) for name in ("broad", "alike")}
    return {
        name: {copy: round(float(roc_auc_score(labels[r], raw[i, r])), 4) for i, copy in enumerate(COPIES)}
        for name, r in rows.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS))
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--after", type=int, default=5, help="the last layer that stays as it is")
    parser.add_argument("--pooling", action="store_true", help="learn where to look in place of the mean over patches")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--head-rate", type=float, default=1e-4)
    options = parser.parse_args()
    started = time.time()
    records = [r for r in read_manifest(options.data / "manifest.csv") if r.split == "train"]
    features = compute_features(records, options.data, backbone=BACKBONE, copies=4, cache=options.cache)
    problems = {kind: problem(records, features, PARTS, kind, folds=FOLDS) for kind in KINDS}
    start = TrainConfig(masked=False, ridge=1.0, epochs=0, average=0.0)
    heads = {kind: fit(data, start, leave_out=options.fold) for kind, data in problems.items()}
    copies = list(COPIES.values())
    with torch.inference_mode():
        before = {
            k: np.stack([heads[k](p.features[copy].float()).logit.numpy() for copy in copies])
            for k, p in problems.items()
        }
    found = {"before": report(problems, before, options.fold)}
    print(found["before"], flush=True)
    torch.manual_seed(0)
    model = Adapted(
        load_tower(BACKBONE), heads, rank=options.rank, after=options.after, pooling=options.pooling
    ).train()
    fold_of = assign_folds(records, folds=FOLDS)
    adapted = adapt(model, [r for r in records if fold_of[r.group] != options.fold], options.data, options).eval()
    after = {kind: np.zeros((len(copies), len(p.labels))) for kind, p in problems.items()}
    for kind, data in problems.items():
        rows = np.flatnonzero(data.fold == options.fold)
        seeds = [i for i, r in enumerate(records) if r.kind == kind]
        mine = [data.records[i] for i in rows]
        for k, copy in enumerate(copies):
            after[kind][k, rows] = judged(adapted, mine, [seeds[i] for i in rows], options.data, copy)
    found["after"] = report(problems, after, options.fold)
    settings = {k: v for k, v in vars(options).items() if k not in ("data", "cache")}
    line = {"date": date.today().isoformat(), **found, "seconds": round(time.time() - started), "config": settings}
    with LOG.open("a") as log:
        log.write(json.dumps(line) + "\n")
    print(json.dumps(line))


if __name__ == "__main__":
    main()
