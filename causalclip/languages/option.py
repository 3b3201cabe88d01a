"""The option --lang of the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from causalclip.languages.names import LANGUAGES

Lang = Annotated[str, typer.Option(help=f"Of the answers: {', '.join(LANGUAGES)}.")]


def check_language(lang: str) -> None:
    """Ends the command where nobody speaks it here."""
    if lang not in LANGUAGES:
        raise typer.BadParameter(f"--lang is one of {', '.join(LANGUAGES)}.")
