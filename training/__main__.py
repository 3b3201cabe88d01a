"""python -m training data | detector | evaluate | lora | purifier | vlm"""

import logging

import typer

from causalclip.commands.shared import Elsewhere, group_with

COMMANDS = {
    "data": Elsewhere("training.dataset.command", "data"),
    "detector": Elsewhere("training.detector.command", "train"),
    "evaluate": Elsewhere("training.detector.command", "evaluate"),
    "lora": Elsewhere("training.detector.command", "lora"),
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
def _show_progress() -> None:
    """Learn the detector, the purifier and the language model, from data listed by reference."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


if __name__ == "__main__":
    app(prog_name="python -m training")
