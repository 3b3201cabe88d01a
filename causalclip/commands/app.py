"""python -m causalclip detect | explain | compare | calibrate | archive | mcp"""

import typer

from causalclip.commands.shared import TABLE, Elsewhere, group_with

COMMANDS = {
    "detect": Elsewhere("causalclip.commands.detect", "detect", TABLE),
    "explain": Elsewhere("causalclip.commands.explain", "explain", TABLE),
    "compare": Elsewhere("causalclip.commands.compare", "compare", TABLE),
    "calibrate": Elsewhere("causalclip.commands.calibrate", "calibrate", TABLE),
    "archive": Elsewhere("causalclip.commands.archive", "archive"),
    "mcp": Elsewhere("causalclip.commands.mcp", "mcp"),
}
app = typer.Typer(
    cls=group_with(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=__doc__,
    epilog=TABLE,
)


@app.callback()
def _settings() -> None:
    """Was this picture generated, and which part of it says so?"""
