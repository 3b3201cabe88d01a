"""A patch: a square of the picture that may become anything (Brown et al., 2017, arXiv 1712.09665, on one picture)."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from purifier.attacks.state import Best, Objective, Plan, State, loss_and_gradient

STEP = 16 / 255  # of the sign of the gradient, at first; falls to a quarter of it


def patch(clean: Tensor, objective: Objective, plan: Plan) -> Iterator[State]:
    """Sign ascent inside one square of `plan.area`, at a seeded random place; everything else stays as it is."""
    best, rng = Best(clean, plan, bounded=False), plan.generator()
    mask = _mask(clean, plan.area, rng)
    moved = torch.where(mask, torch.rand(clean.shape, generator=rng).to(clean), clean)
    for step in range(1, plan.steps + 1):
        loss, gradient = loss_and_gradient(objective, moved)
        best.offer(moved, loss)
        size = STEP * (1 - 0.75 * step / plan.steps)
        moved = torch.where(mask, (moved + size * gradient.sign()).clamp(0, 1), clean)
        if step == plan.steps:
            with torch.no_grad():
                best.offer(moved, objective(moved).float())
        yield best.state(step)


def _mask(clean: Tensor, area: float, rng: torch.Generator) -> Tensor:
    """True inside each picture's square, [N, 1, H, W]."""
    count, _, height, width = clean.shape
    side = max(1, min(height, width, math.floor(math.sqrt(area * height * width))))
    mask = torch.zeros(count, 1, height, width, dtype=torch.bool)
    tops = torch.randint(height - side + 1, (count,), generator=rng).tolist()
    lefts = torch.randint(width - side + 1, (count,), generator=rng).tolist()
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        mask[i, :, top : top + side, left : left + side] = True
    return mask.to(clean.device)
