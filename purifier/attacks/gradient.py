"""Attacks that follow the gradient: FGSM, PGD and MI-FGSM."""

from collections.abc import Iterator

import torch
from torch import Tensor

from purifier.attacks.state import Best, Objective, Plan, State, loss_and_gradient, starts


def fgsm(clean: Tensor, objective: Objective, plan: Plan) -> Iterator[State]:
    """One step of the whole budget along the gradient's sign (Goodfellow et al., ICLR 2015, arXiv 1412.6572)."""
    best = Best(clean, plan)
    start = starts(objective, clean, plan, random=False)
    loss, gradient = loss_and_gradient(objective, start)
    best.offer(start, loss)
    moved = plan.budget.project(start + plan.budget.eps * plan.budget.ascent(gradient), clean)
    with torch.no_grad():
        best.offer(moved, objective(moved).float())
    yield best.state(1, 1)


def pgd(clean: Tensor, objective: Objective, plan: Plan) -> Iterator[State]:
    """Projected gradient ascent from a random start (Madry et al., ICLR 2018, arXiv 1706.06083)."""
    best = Best(clean, plan)
    moved = starts(objective, clean, plan, random=True)
    for step in range(1, plan.steps + 1):
        loss, gradient = loss_and_gradient(objective, moved)
        best.offer(moved, loss)
        moved = plan.budget.project(moved + plan.step_size * plan.budget.ascent(gradient), clean)
        if step == plan.steps:
            _offer_last(best, objective, moved)
        yield best.state(step)


def mi_fgsm(clean: Tensor, objective: Objective, plan: Plan, *, decay: float = 1.0) -> Iterator[State]:
    """Steps along an accumulated gradient, g = decay g + grad / |grad|_1 (Dong et al., CVPR 2018, arXiv 1710.06081)."""
    best = Best(clean, plan)
    moved, momentum = starts(objective, clean, plan, random=False), torch.zeros_like(clean)
    for step in range(1, plan.steps + 1):
        loss, gradient = loss_and_gradient(objective, moved)
        best.offer(moved, loss)
        momentum = decay * momentum + gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
        moved = plan.budget.project(moved + plan.step_size * plan.budget.ascent(momentum), clean)
        if step == plan.steps:
            _offer_last(best, objective, moved)
        yield best.state(step)


@torch.no_grad()
def _offer_last(best: Best, objective: Objective, moved: Tensor) -> None:
    best.offer(moved, objective(moved).float())
