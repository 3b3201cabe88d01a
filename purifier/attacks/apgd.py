"""APGD: projected gradient ascent whose step size halves by itself (Croce & Hein, ICML 2020, arXiv 2003.01690)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from purifier.attacks.state import Best, Objective, Plan, State, loss_and_gradient, starts

MOMENTUM = 0.75  # alpha of the paper
SUCCESSES = 0.75  # rho: the share of steps that must raise the loss, or the step size halves


def checkpoints(steps: int) -> list[int]:
    """The steps at which the step size is looked at: p0 = 0, p1 = 0.22, then gaps that shrink by 0.03 down to 0.06."""
    shares, gap = [0.0, 0.22], 0.22
    while shares[-1] < 1:
        gap = max(gap - 0.03, 0.06)
        shares.append(shares[-1] + gap)
    return [min(steps, max(1, round(s * steps))) for s in shares[1:]]


def apgd(clean: Tensor, objective: Objective, plan: Plan) -> Iterator[State]:
    """From a random start: steps of 2 eps at first, momentum, a return to the best picture at every halving."""
    budget, best, watch = plan.budget, Best(clean, plan), _Watch(len(clean))
    size = torch.full((len(clean), 1, 1, 1), 2 * budget.eps, device=clean.device)
    moved = starts(objective, clean, plan, random=True)
    before, last = moved, torch.full((len(clean),), -torch.inf, device=clean.device)
    due = set(checkpoints(plan.steps))
    for step in range(1, plan.steps + 1):
        loss, gradient = loss_and_gradient(objective, moved)
        best.offer(moved, loss)
        watch.rises += (loss > last).float()
        last = loss
        if step in due and step > 1:
            halve = watch.stuck(best.loss, since=step)
            size = torch.where(halve.view(-1, 1, 1, 1), size / 2, size)
            moved = torch.where(halve.view(-1, 1, 1, 1), best.pixels, moved)
        straight = budget.project(moved + size * budget.ascent(gradient), clean)
        onward = moved + MOMENTUM * (straight - moved) + (1 - MOMENTUM) * (moved - before)
        before, moved = moved, straight if step == 1 else budget.project(onward, clean)
        if step == plan.steps:
            with torch.no_grad():
                best.offer(moved, objective(moved).float())
        yield best.state(step)


class _Watch:
    """The paper's two conditions for halving, [N] each."""

    def __init__(self, count: int) -> None:
        self.rises = torch.zeros(count)
        self.best = torch.full((count,), -torch.inf)
        self.halved = torch.ones(count, dtype=torch.bool)
        self.looked = 0

    def stuck(self, best: Tensor, *, since: int) -> Tensor:
        """Too few steps raised the loss; or nothing was halved last time and the best has not improved since."""
        few = self.rises < SUCCESSES * (since - self.looked)
        still = ~self.halved & (best.cpu() <= self.best)
        self.halved, self.best, self.looked = few | still, best.cpu().clone(), since
        self.rises = torch.zeros_like(self.rises)
        return self.halved.to(best.device)
