"""Teaches the upper layers and a linear head together, and judges them on held-out owners."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.detection.finetuning.heads import measures
from benchmarks.detection.finetuning.upper import Teaching, Upper
from causalclip.clip.tower import Tower

GAIN = 3.0  # log-odds at a distance of 1 from the threshold, where the ridge aims at -1 and 1
SMOOTHING = 0.05
NEIGHBOURS = 8  # photographs of other sites that are most alike, of which one meets each generated picture


@dataclass(frozen=True, slots=True)
class Run:
    """How long and how fast one run learns.

    passes: pictures through the upper layers, all told. cut: the last layer that stays frozen.
    kept: patches of 196 that a pass sees, by lot.
    rate: of the layers, head_rate of the head. average: of the weights' exponential mean, a step.
    """

    teaching: Teaching
    seed: int
    passes: int
    rate: float
    head_rate: float = 1e-4
    batch: int = 32
    cut: int = 5
    kept: int = 96
    average: float = 0.98


@dataclass(slots=True)
class Views:
    """Tokens after the last frozen layer, and what is known of each picture.

    tokens: float16 [N, T, D]. parts: of the frozen tower, float16 [N, 10 D]. labels, owners: [N].
    alike: [N, D], unit vectors of the frozen tower, by which content is compared.
    """

    tokens: np.ndarray
    parts: np.ndarray
    labels: np.ndarray
    owners: np.ndarray
    alike: np.ndarray
    neighbours: dict[int, np.ndarray] = field(default_factory=dict)

    def read(self, rows: np.ndarray, *, kept: int | None, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """What `Upper` takes: float16 [B, 1 + kept, D], all patches where kept is None, and parts [B, 10 D]."""
        some = self.tokens[rows]
        if kept is not None:
            drawn = rng.random((len(rows), some.shape[1] - 1)).argsort(1)[:, :kept] + 1
            some = np.take_along_axis(some, np.insert(drawn, 0, 0, axis=1)[..., None], 1)
        return torch.from_numpy(some), torch.from_numpy(self.parts[rows])

    def meet(self, rows: np.ndarray) -> None:
        """Finds, for each generated picture among the rows, the photographs of other owners that are most alike."""
        real, generated = rows[self.labels[rows] == 0], rows[self.labels[rows] == 1]
        near = self.alike[generated] @ self.alike[real].T
        near[self.owners[generated][:, None] == self.owners[real][None]] = -1
        best = np.argsort(-near, 1)[:, :NEIGHBOURS]
        self.neighbours = {int(g): real[b] for g, b in zip(generated, best, strict=True)}


def teach(
    tower: Tower,
    views: Views,
    rows: np.ndarray,
    held_out: np.ndarray,
    head: nn.Linear,
    run: Run,
    *,
    tell: Callable[[dict[str, Any]], None],
    checks: int = 2,
) -> tuple[Upper, nn.Linear]:
    """The mean over steps of the layers and the head; `tell` gets what they do on held-out owners, `checks` times.

    rows, held_out: of the views to learn from, and to be judged. head: standardised; it starts as the ridge.
    """
    torch.manual_seed(run.seed)
    rng = np.random.default_rng(run.seed)
    upper, head = Upper(tower, run.teaching, run.cut), copy.deepcopy(head)
    taught, judge = copy.deepcopy(upper), copy.deepcopy(head)  # their means over steps
    learning = [p for p in upper.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": learning, "lr": run.rate}, {"params": list(head.parameters()), "lr": run.head_rate}],
        weight_decay=0.01,
    )
    steps = run.passes // run.batch
    plan = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda at: min(1, (at + 1) / 20) * (1 - at / steps) ** 0.5)
    views.meet(rows)
    generated = np.array(sorted(views.neighbours))
    weight = 1 / np.sqrt(np.unique(views.owners[generated], return_inverse=True, return_counts=True)[2])
    weight = weight[np.unique(views.owners[generated], return_inverse=True)[1]]
    real = rows[views.labels[rows] == 0]
    spent, losses = 0.0, []
    for step in range(steps):
        begun = time.process_time()
        half = run.batch // 2
        fakes = rng.choice(generated, half, p=weight / weight.sum())
        met = [rng.choice(views.neighbours[int(g)]) if rng.random() < 0.5 else rng.choice(real) for g in fakes]
        batch = np.concatenate([fakes, met])
        logit = GAIN * head(upper(*views.read(batch, kept=run.kept, rng=rng)))[:, 0]
        label = torch.from_numpy(views.labels[batch]).float()
        loss = F.binary_cross_entropy_with_logits(logit, label * (1 - 2 * SMOOTHING) + SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        plan.step()
        losses.append(float(loss.detach()))
        with torch.no_grad():
            share = min(run.average, step / (step + 10))
            means = [*taught.parameters(), *judge.parameters()]
            for kept, now in zip(means, [*upper.parameters(), *head.parameters()], strict=True):
                if now.requires_grad:
                    kept.lerp_(now, 1 - share)
        spent += time.process_time() - begun
        if (step + 1) % max(1, steps // checks) == 0:
            tell(
                {"passes": (step + 1) * run.batch, "loss": round(float(np.mean(losses[-50:])), 4)}
                | {"processor_seconds_a_pass": round(spent / ((step + 1) * run.batch), 3)}
                | judged(views, held_out, taught, judge)
            )
    return taught, judge


@torch.no_grad()
def embedded(views: Views, rows: np.ndarray, upper: Upper) -> Tensor:
    """Parts of the rows, every patch seen, float32 [n, 10 D]."""
    rng = np.random.default_rng(0)
    some = [rows[at : at + 16] for at in range(0, len(rows), 16)]
    return torch.cat([upper(*views.read(r, kept=None, rng=rng)) for r in some])


@torch.no_grad()
def judged(views: Views, rows: np.ndarray, upper: Upper, head: nn.Linear) -> dict[str, Any]:
    """AUC, and TPR at 5 % and 1 % FPR, of the rows."""
    return measures(views.labels[rows], head(embedded(views, rows, upper))[:, 0].numpy())
