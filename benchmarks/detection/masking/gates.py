"""Ideas of a mask that are learned: one gate a channel, the same for every picture, in front of the fixed weights of
the ridge regression; and the causal head's own mask, which is another for every picture."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.detection.masking.pictures import STRENGTH, Passed, Split, dual, gram
from causalclip.head.environments import environment_dependence, environment_risks, irm_penalty, rex_penalty
from causalclip.head.masks import sample_logistic
from causalclip.head.model import CausalHead
from causalclip.training.fitting import fit_head
from causalclip.training.recipe import CAUSAL, Recipe

STEPS, BATCH, RATE = 60, 256, 0.15
SPARSITY = 0.1
PENALTIES = {"gates": 0.0, "gates, V-REx": 10.0, "gates, IRM": 100.0, "gates, HSIC to the owner": 10.0}
DENSITIES = (0.5,)


def learned_gates() -> dict[str, Callable[[Split, int], Iterator[tuple[str, Passed]]]]:
    """By name: gates without a penalty and with each of them, and the causal head."""
    return {name: partial(gates, penalty=name) for name in PENALTIES} | {"causal head": causal_head}


def gates(split: Split, seed: int, *, penalty: str) -> Iterator[tuple[str, Passed]]:
    """Gates sigmoid((a + l) / tau), l logistic, as the paper's, but with one a channel; the most open ones pass."""
    torch.manual_seed(seed)
    order = np.argsort(-fit_gates(split, penalty).numpy())
    for density in DENSITIES:
        passing = np.sort(order[: round(density * len(order))])
        through = gram(np.ascontiguousarray(split.x[:, passing]))
        yield f"{penalty}, {density:.0%}", Passed(through, split.gram - through, density)


def fit_gates(split: Split, penalty: str) -> Tensor:
    """The gates' logits, [D]."""
    p, rows = split.pictures, split.train
    y = 2.0 * p.labels[rows] - 1
    a = dual(split.gram, rows, split.weight, y, strength=STRENGTH).astype(np.float32)
    x, labels = torch.from_numpy(split.x[rows]), torch.from_numpy(p.labels[rows]).float()
    w, sites = x.T @ torch.from_numpy(a), torch.from_numpy(p.environments[rows])
    logits, scale = torch.zeros(len(w), requires_grad=True), torch.tensor([1.5, 0.0], requires_grad=True)
    optimiser = torch.optim.Adam([logits, scale], lr=RATE)
    for step in range(STEPS):
        open_ = torch.sigmoid((logits + sample_logistic(logits)) / (2 * 0.25 ** (step / STEPS)))
        verdict = scale[0].exp() * (x @ (open_ * w)) + scale[1]
        loss = verdict_loss(verdict, labels, torch.from_numpy(split.weight)) + SPARSITY * open_.mean()
        if penalty != "gates":
            drawn = torch.randperm(len(x))[:BATCH]
            if penalty == "gates, V-REx":
                dependence = rex_penalty(environment_risks(verdict, labels, sites))
            elif penalty == "gates, IRM":
                dependence = irm_penalty(verdict, labels, sites)
            else:
                owners = torch.from_numpy(p.owners[rows])[drawn]
                dependence = environment_dependence(open_ * x[drawn], labels[drawn], owners)
            loss = loss + PENALTIES[penalty] * dependence
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return logits.detach()


def verdict_loss(verdict: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    loss: Tensor = weight @ torch.nn.functional.binary_cross_entropy_with_logits(verdict, labels, reduction="none")
    return loss


def causal_head(split: Split, seed: int) -> Iterator[tuple[str, Passed]]:
    """The head as it is trained to be shipped, but for splices."""
    config = replace(Recipe().head, ridge=STRENGTH, seed=seed, weights=replace(CAUSAL, places=0.0))
    x, labels = torch.from_numpy(split.x), torch.from_numpy(split.pictures.labels).float()
    torch.manual_seed(seed)
    head = fit_head(
        CausalHead(x.shape[1], hidden=config.hidden),
        x[split.train],
        labels[split.train],
        config=config,
        sample_weight=torch.from_numpy(split.weight * len(split.train)),
    )
    with torch.inference_mode():
        out = head(x)
    causal, rest = out.causal.numpy(), out.non_causal.numpy()
    yield "the causal head's own mask, soft", Passed(gram(causal), gram(rest), float(out.mask.mean()))
