"""python -m training data collect | folder | check | card"""

from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from causalclip.commands.shared import DONE, REFUSED, STOPPED, exit_with_sentence
from training.dataset.table import (
    PICTURES,
    SITES,
    BadTable,
    read_sites,
    read_table,
)
from training.outputs import OverwritesInput, check_outputs

ENOUGH_SHARE = 0.97  # of the rows that were asked for
CARD = Path("training/tables/README.md")
data = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The data set by reference: which picture of which public repository.",
)
Table = Annotated[Path, typer.Option(help="The table of pictures.")]
Sites = Annotated[Path, typer.Option(help="The table of owners.")]
Reserved = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Hashes of repositories and owners that must not be in the table.",
    ),
]


@data.callback()
def _settings() -> None:
    """The data set by reference: which picture of which public repository."""


@data.command()
def collect(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Where originals go, as ab/HASH.ENDING.")
    ],
    split: Annotated[str, typer.Option(help="Only this one: train, test or aside.")] = "",
    sites: Annotated[
        int, typer.Option(min=0, help="Only so many owners, drawn by a hash; 0: all.")
    ] = 0,
    sample: Annotated[
        bool, typer.Option("--sample", help="Only 50 test pictures with clear licences.")
    ] = False,
    mirrors: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Bare git directories owner+name; without, GitHub is asked.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Repositories side by side.")] = 8,
    table: Table = PICTURES,
) -> None:
    """Bring the originals of the table there, each checked by its hash. Started again, it goes on.

    Writes manifest.csv, which `train` and `evaluate` read, and missing.csv. Exit code 2 if under 97
    % are there.
    """
    from training.dataset import collecting
    from training.dataset.rules import choose

    with exit_with_sentence(BadTable):
        rows = choose(read_table(table), split=split, sites=sites, sample=sample)
    if not rows:
        typer.echo("No row of the table is asked for.", err=True)
        raise typer.Exit(STOPPED)
    out.mkdir(parents=True, exist_ok=True)
    have = len(collecting.split_by_presence(rows, out)[0])
    with tqdm(total=len(rows), initial=have, unit="picture", smoothing=0.05) as bar:
        source = collecting.Source(mirrors=mirrors)
        missing = collecting.collect(rows, out, source, workers=workers, tell=bar.update)
    typer.echo(collecting.finish(rows, missing, out))
    raise typer.Exit(DONE if len(missing) <= (1 - ENOUGH_SHARE) * len(rows) else REFUSED)


@data.command()
def folder(
    root: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder of pictures.")
    ],
    out: Annotated[Path, typer.Option(dir_okay=False, help="The manifest that is written.")],
    layout: Annotated[
        str, typer.Option(help="genimage, universalfakedetect, or flat: real/ and fake/SERIES/.")
    ] = "flat",
    series: Annotated[
        list[str] | None,
        typer.Option("--train", help="Learn from this series alone; may be given again."),
    ] = None,
) -> None:
    """Write a manifest of a folder that is laid out as GenImage, UniversalFakeDetect, or real/
    beside fake/."""
    from training.dataset.folders import LAYOUTS, BadFolder, read_folder, summary, write_manifest

    layouts = {name: name for name in LAYOUTS}
    if layout not in layouts:
        raise typer.BadParameter(f"{layout!r} is none of {', '.join(LAYOUTS)}.")
    with exit_with_sentence(BadFolder, OverwritesInput):
        rows = read_folder(root, layouts[layout], train=series or ())
        check_outputs([out], (root / row.path for row in rows if Path(row.path).name == out.name))
    write_manifest(rows, out)
    typer.echo(summary(rows))


@data.command()
def check(table: Table = PICTURES, sites: Sites = SITES, reserved: Reserved = None) -> None:
    """Say what breaks a rule: a picture, near-copy or owner in two splits, a row without evidence,
    a reserved owner, an owner's row that does not count the pictures."""
    from training.dataset.rules import find_faults, read_reserved

    with exit_with_sentence(BadTable):
        pictures, owners = read_table(table), read_sites(sites)
    if reserved is None:
        typer.echo(
            "No list of reserved owners was given (--reserved), so nothing was compared with one.",
            err=True,
        )
    faults = find_faults(pictures, owners, read_reserved(reserved))
    unseen = sum(not p.phash for p in pictures)
    if unseen:
        typer.echo(
            f"{unseen:,} rows have no perceptual hash yet, so near-copies of them cannot be seen.",
            err=True,
        )
    for fault in faults:
        typer.echo(fault)
    typer.echo(
        f"{len(pictures):,} pictures of {len(owners):,} owners; {len(faults) or 'no'} faults."
    )
    raise typer.Exit(REFUSED if faults else DONE)


@data.command()
def card(
    page: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The data card.")] = CARD,
    table: Table = PICTURES,
    sites: Sites = SITES,
) -> None:
    """Write the counts of the data card from the tables."""
    from training.dataset.card import fill

    with exit_with_sentence(ValueError):
        text = fill(page.read_text(encoding="utf-8"), read_table(table), read_sites(sites))
    page.write_text(text, encoding="utf-8")
