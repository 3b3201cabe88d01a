"""Square: a black box attack by random search over squares (Andriushchenko et al., ECCV 2020, arXiv 1912.00049)."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from purifier.attacks.state import Best, Objective, Plan, State

FIRST_SHARE = 0.8  # of the picture that the first squares cover (p_init of the paper)
HALVINGS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)  # queries of 10,000 at which the share halves


@torch.no_grad()
def square(clean: Tensor, objective: Objective, plan: Plan) -> Iterator[State]:
    """Starts from vertical stripes of +-eps; a square of new signs stays if it raises the loss. Needs no gradient."""
    best, rng, eps = Best(clean, plan), plan.generator(), plan.budget.eps
    stripes = _signs(rng, len(clean), 1, clean.shape[3]).to(clean)
    moved = (clean + eps * stripes).clamp(0, 1)
    best.offer(clean, objective(clean).float())
    better = best.offer(moved, objective(moved).float())
    kept = torch.where(better.view(-1, 1, 1, 1), moved, clean)
    for step in range(1, plan.steps + 1):
        tried = _with_squares(kept, clean, eps, _side(step, plan.steps, clean), rng)
        better = best.offer(tried, objective(tried).float())
        kept = torch.where(better.view(-1, 1, 1, 1), tried, kept)
        yield best.state(step)


def _side(step: int, steps: int, clean: Tensor) -> int:
    """The side of the squares at this step, in px."""
    at = step / steps * 10_000
    share = FIRST_SHARE / 2 ** sum(at > h for h in HALVINGS)
    return max(1, min(clean.shape[2], clean.shape[3], round(math.sqrt(share * clean.shape[2] * clean.shape[3]))))


def _with_squares(kept: Tensor, clean: Tensor, eps: float, side: int, rng: torch.Generator) -> Tensor:
    """One square a picture, at a random place, of a random sign a channel."""
    tried = kept.clone()
    tops = torch.randint(clean.shape[2] - side + 1, (len(clean),), generator=rng).tolist()
    lefts = torch.randint(clean.shape[3] - side + 1, (len(clean),), generator=rng).tolist()
    signs = _signs(rng, len(clean), 1, 1).to(clean)
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        place = (i, slice(None), slice(top, top + side), slice(left, left + side))
        tried[place] = (clean[place] + eps * signs[i]).clamp(0, 1)
    return tried


def _signs(rng: torch.Generator, count: int, height: int, width: int) -> Tensor:
    return torch.randint(2, (count, 3, height, width), generator=rng).float() * 2 - 1
