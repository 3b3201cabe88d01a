"""A training's steps, and what it keeps of itself: a log, a checkpoint to go on from, and an
average of its weights."""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from causalclip.clip.weights import check_finite
from training.mixed_precision import mixed_precision

LOG = logging.getLogger(__name__)
LOG_NAME = "train.jsonl"
Loss = tuple[Tensor, Mapping[str, float]]  # what is minimised, and what is logged of it
Row = Mapping[str, float]  # of a log: the step or epoch first
READERS: list[Callable[[Path, Row], None]] = []  # are given every row, and the training's folder


def learn(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_at: Callable[[int], Loss],
    *,
    steps: int,
    rate: Callable[[int], float],
    decay: float,
    check: int,
    measure: Callable[[], Mapping[str, float]] = dict,
) -> None:
    """Minimise `loss_at(step)`, gradients clipped to a length of 1; go on from the checkpoint in
    `folder`; leave the average of the weights in the model.

    Args:
        steps: the last one. rate: of the optimiser at a step; of a group with a "share", so much of
            it. decay: of the average. check: after so many steps the means of what is logged are
            written, with what `measure` finds of the averaged weights, and all is saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    average = EMAModel(model.parameters(), decay=decay)
    device = next(model.parameters()).device
    log: dict[str, list[float]] = defaultdict(list)
    for step in range(resume(folder, model, average, optimizer, device=device), steps):
        with precision(device):
            loss, terms = loss_at(step)
        for name, value in terms.items():
            log[name].append(value)
        for group in optimizer.param_groups:
            group["lr"] = group.get("share", 1.0) * rate(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.step(model.parameters())
        if (step + 1) % check == 0 or step + 1 == steps:
            means = {name: fmean(values) for name, values in log.items()}
            with averaged(model, average):
                measures = measure()
            log_row(folder, {"step": step + 1, **means, **measures})
            save_checkpoint(folder, step + 1, model, average, optimizer)
            log.clear()
    average.copy_to(model.parameters())


def precision(device: torch.device) -> AbstractContextManager[None]:
    """Have products made in bfloat16 on a graphics card; on a processor, in the weights' type."""
    return mixed_precision(device) if device.type == "cuda" else nullcontext()


@contextmanager
def averaged(model: nn.Module, average: EMAModel) -> Iterator[None]:
    """The model with the averaged weights for as long as it takes."""
    average.store(model.parameters())
    average.copy_to(model.parameters())
    try:
        yield
    finally:
        average.restore(model.parameters())


def trapezoid(step: int, steps: int, *, warm: int, decay: float, end: float = 0.0) -> float:
    """The share of a learning rate: it rises over the first `warm` steps, stays, and falls to `end`
    / `decay` over the last share `decay` of `steps`."""
    return min(
        1.0, (step + 1) / warm, (1 + end - step / max(1, steps)) / max(decay, 1.0 / max(1, steps))
    )


def log_row(folder: Path, row: Row) -> None:
    """Add a line to train.jsonl, say it, and give it to the readers."""
    line = json.dumps({name: round(value, 4) for name, value in row.items()})
    LOG.info(line)
    with (folder / LOG_NAME).open("a") as file:
        file.write(line + "\n")
    for read in READERS:
        read(folder, row)


def save_checkpoint(folder: Path, done: int, *kept: Any) -> None:
    """Keep the state of models, optimizers and schedulers after `done` steps or epochs.

    The checkpoint appears whole: a kill while it is written leaves the last one.

    Raises:
        NotFinite: a weight of a model is NaN or infinite; the last checkpoint stays.
    """
    for part in kept:
        if isinstance(part, nn.Module):
            check_finite(part.state_dict(), "network")
    temporary = folder / "checkpoint.part"
    torch.save({"done": done, "parts": [part.state_dict() for part in kept]}, temporary)
    temporary.replace(folder / "checkpoint.pt")


def resume(folder: Path, *kept: Any, device: torch.device | str = "cpu") -> int:
    """Load the checkpoint if there is one; return how many steps or epochs were done before it."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return 0
    checkpoint = torch.load(path, weights_only=True, map_location=device)
    for one, state in zip(kept, checkpoint["parts"], strict=True):
        one.load_state_dict(state)
    return int(checkpoint["done"])
