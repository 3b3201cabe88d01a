"""python -m causalclip data check"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from causalclip.codes import REFUSED, STOPPED
from causalclip.dataset.sites import SITES, read_sites
from causalclip.dataset.table import PICTURES, BadTable, read_table

data = typer.Typer(no_args_is_help=True, help="The data set by reference: which picture of which public repository.")
Table = Annotated[Path, typer.Option(help="The table of pictures.")]
Sites = Annotated[Path, typer.Option(help="The table of owners.")]
Reserved = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Hashes of repositories and owners that must not be in the table."),
]


@data.callback()
def _settings() -> None:
    """The data set by reference: which picture of which public repository."""


@data.command()
def check(table: Table = PICTURES, sites: Sites = SITES, reserved: Reserved = None) -> None:
    """Say what breaks a rule: a picture, near-copy or owner in two splits, a row without evidence, a reserved owner."""
    from causalclip.dataset.rules import find_faults, read_reserved

    with _told():
        pictures, owners = read_table(table), read_sites(sites)
    if reserved is None:
        typer.echo("No list of reserved owners was given (--reserved), so nothing was compared with one.", err=True)
    faults = find_faults(pictures, owners, read_reserved(reserved))
    unseen = sum(not p.phash for p in pictures)
    if unseen:
        typer.echo(f"{unseen:,} rows have no perceptual hash yet, so near-copies of them cannot be seen.", err=True)
    for fault in faults:
        typer.echo(fault)
    typer.echo(f"{len(pictures):,} pictures of {len(owners):,} owners; {len(faults) or 'no'} faults.")
    raise typer.Exit(REFUSED if faults else 0)


@contextmanager
def _told() -> Iterator[None]:
    """Errors that the user can mend become their sentence and an exit code."""
    try:
        yield
    except BadTable as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(STOPPED) from None
