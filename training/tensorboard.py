"""TensorBoard's log of a training, beside the training's own."""

from functools import cache
from pathlib import Path
from typing import Any

from training.purifier.loop import READERS, Row


class NoTensorBoard(RuntimeError):
    """The package is not installed; the message says how to install it."""


def log_to_tensorboard(folder: Path) -> None:
    """Write every row that is logged from now on to `folder`, too, as a run named after the
    training's own folder.

    Raises:
        NoTensorBoard: the package is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        raise NoTensorBoard(
            "--tensorboard needs a package that is not installed: pip install tensorboard"
        ) from None

    @cache
    def writer_of(run: str) -> Any:
        return SummaryWriter(folder / run)

    def write(training: Path, row: Row) -> None:
        (_, step), *values = row.items()
        writer = writer_of(training.name)
        for name, value in values:
            writer.add_scalar(name, value, int(step))
        writer.flush()

    READERS.append(write)
