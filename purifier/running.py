"""A training's steps, and what it keeps of itself: a log, a checkpoint to go on from, and an average of its weights."""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

LOG = logging.getLogger(__name__)
Loss = tuple[Tensor, Mapping[str, float]]  # what is minimised, and what is logged of it


def learn(
    folder: Path,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_at: Callable[[int], Loss],
    *,
    steps: int,
    rate: Callable[[int], float],
    decay: float,
    check: int,
    measure: Callable[[], Mapping[str, float]] = dict,
) -> None:
    """Minimises `loss_at(step)`, gradients clipped to a length of 1; goes on from the checkpoint in `folder`.

    Args:
        model, average: what learns, and the average of its weights. steps: the last one.
        rate: of the optimiser at a step; of a group with a "share", so much of it. decay: of the average.
        check: after so many steps the means of what is logged are written, with what `measure` finds, and all is saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logged: dict[str, list[float]] = defaultdict(list)
    for step in range(resume(folder, model, average, optimizer), steps):
        loss, said = loss_at(step)
        for name, value in said.items():
            logged[name].append(value)
        for group in optimizer.param_groups:
            group["lr"] = group.get("share", 1.0) * rate(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        blend(average, model, decay, step)
        if (step + 1) % check == 0 or step + 1 == steps:
            means = {name: fmean(values) for name, values in logged.items()}
            log_row(folder, {"step": step + 1, **means, **measure()})
            save_checkpoint(folder, step + 1, model, average, optimizer)
            logged.clear()


def log_row(folder: Path, row: Mapping[str, float]) -> None:
    """Adds a line to train.jsonl, and says it."""
    line = json.dumps({name: round(value, 4) for name, value in row.items()})
    LOG.info(line)
    with (folder / "train.jsonl").open("a") as file:
        file.write(line + "\n")


def save_checkpoint(folder: Path, done: int, *parts: Any) -> None:
    """Keeps the state of models, optimizers and schedulers after `done` steps or epochs.

    The checkpoint appears whole: a kill while it is written leaves the last one.
    """
    part = folder / "checkpoint.part"
    torch.save({"done": done, "parts": [p.state_dict() for p in parts]}, part)
    part.replace(folder / "checkpoint.pt")


def resume(folder: Path, *parts: Any) -> int:
    """Loads the checkpoint if there is one; how many steps or epochs were done before it."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return 0
    kept = torch.load(path, weights_only=True)
    for part, state in zip(parts, kept["parts"], strict=True):
        part.load_state_dict(state)
    return int(kept["done"])


@torch.no_grad()
def blend(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Moves the average towards the model; faster than `decay` in the first steps, as it begins with random weights."""
    ours: list[Tensor] = list(average.parameters())
    torch._foreach_lerp_(ours, [p.detach() for p in model.parameters()], 1 - min(decay, step / (step + 10)))
