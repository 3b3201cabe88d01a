"""What a training keeps of itself while it runs: a log, a checkpoint to go on from, and an average of its weights."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

LOG = logging.getLogger(__name__)


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
