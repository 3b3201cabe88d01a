"""python -m training data | detector | evaluate | lora | purifier | vlm"""

import logging
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# Name -> module and what is run there; each module is imported only for its command.
COMMANDS = {
    "data": ("training.dataset.command", "data"),
    "detector": ("training.detector.command", "train"),
    "evaluate": ("training.detector.command", "evaluate"),
    "lora": ("training.detector.command", "lora"),
    "purifier": ("training.purifier.command", "app"),
    "vlm": ("training.vlm.command", "app"),
}


class Commands(TyperGroup):
    """The commands that COMMANDS lists."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name]
        target = getattr(import_module(module), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, typer.Typer(add_completion=False)
            target.command()(function)
        command = typer.main.get_command(target)
        command.name = name
        return command


app = typer.Typer(
    cls=Commands,
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
