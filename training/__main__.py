"""python -m training data | detector | evaluate | lora | papers | purifier | vlm"""

import logging
from pathlib import Path
from typing import Annotated

import typer

from causalclip.commands.shared import Elsewhere, exit_with_sentence, group_with

COMMANDS = {
    "data": Elsewhere("training.dataset.command", "data"),
    "detector": Elsewhere("training.detector.command", "train"),
    "evaluate": Elsewhere("training.detector.command", "evaluate"),
    "lora": Elsewhere("training.detector.command", "lora"),
    "papers": Elsewhere("training.papers", "papers"),
    "purifier": Elsewhere("training.purifier.command", "app"),
    "vlm": Elsewhere("training.vlm.command", "app"),
}
app = typer.Typer(
    cls=group_with(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=__doc__,
)


@app.callback()
def _show_progress(
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="A folder for TensorBoard's log of `detector`, `lora fit`, `purifier` and `vlm`. "
            "Stands before the command's name.",
        ),
    ] = None,
) -> None:
    """Learn the detector, the purifier and the language model, from data listed by reference."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if tensorboard:
        from training.tensorboard import NoTensorBoard, log_to_tensorboard

        with exit_with_sentence(NoTensorBoard):
            log_to_tensorboard(tensorboard)


if __name__ == "__main__":
    app(prog_name="python -m training")
