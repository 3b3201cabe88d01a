"""python -m training data collect | check | gather | add | hash | card"""

import json
import re
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
    write_sites,
    write_table,
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
def check(
    table: Table = PICTURES,
    sites: Sites = SITES,
    reserved: Reserved = None,
    originals: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Where `collect` put them: asked for hints, too."
        ),
    ] = None,
    cache: Annotated[Path, typer.Option(file_okay=False, help="Where thumbnails are kept.")] = Path(
        ".cache/thumbnails"
    ),
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="JSON: what is counted, and what hints say of the label."
        ),
    ] = None,
) -> None:
    """Say what breaks a rule: a picture, near-copy or owner in two splits, a row without evidence,
    a reserved owner.

    With --out, also count, and measure what size, format, quality or a thumbnail alone say of the
    label.
    """
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
    if out:
        from training.dataset.counting import survey

        report = survey(pictures, originals, cache) | {"faults": len(faults)}
        out.write_text(json.dumps(report, indent=2) + "\n")
        typer.echo(json.dumps(report["hints"], indent=2))
    typer.echo(
        f"{len(pictures):,} pictures of {len(owners):,} owners; {len(faults) or 'no'} faults."
    )
    raise typer.Exit(REFUSED if faults else DONE)


@data.command()
def gather(
    mirror: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A bare git directory owner+name.")
    ],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Where the contact sheet and the draft go.")
    ],
    under: Annotated[str, typer.Option(help="Only paths that begin so.")] = "",
    match: Annotated[
        str, typer.Option(help="Only paths in which this regular expression is found.")
    ] = "",
    most: Annotated[int, typer.Option(min=1, help="Pictures on the sheet.")] = 48,
    table: Table = PICTURES,
    reserved: Reserved = None,
) -> None:
    """Find pictures in a repository that may be worth rows: a contact sheet to look at, and a draft
    to complete.

    Fill in the label of each row that you keep, delete the others, and give the draft to `add`.
    """
    from training.dataset import gathering
    from training.dataset.repositories import RepositoryGone, find_mirror
    from training.dataset.rules import is_reserved, read_reserved

    repo = mirror.absolute().name.removesuffix(".git").replace("+", "/", 1)
    if is_reserved(repo, read_reserved(reserved)):
        typer.echo(f"{repo} is reserved: leave it.", err=True)
        raise typer.Exit(STOPPED)
    with exit_with_sentence(BadTable, RepositoryGone, re.error):
        re.compile(match)
        repository = find_mirror(mirror.absolute().parent, repo)
        commit = repository.head()
        pictures = read_table(table)
    candidates, left_out = gathering.find_candidates(
        repository, commit, pictures, most=most, under=under, match=match
    )
    out.mkdir(parents=True, exist_ok=True)
    stem = out / repo.replace("/", "+")
    gathering.draw_sheet(candidates).save(f"{stem}.png")
    gathering.write_draft(candidates, repo, commit, Path(f"{stem}.csv"))
    for reason, number in left_out.most_common():
        typer.echo(f"{number:,} left out: {reason}.")
    typer.echo(f"{len(candidates):,} candidates. Look at {stem}.png, then complete {stem}.csv.")


@data.command()
def add(
    drafts: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, help="CSV; labels confirmed by hand."),
    ],
    words: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV with owner, shown, remarks: what was seen on the sheets.",
        ),
    ] = None,
    table: Table = PICTURES,
    sites: Sites = SITES,
    reserved: Reserved = None,
) -> None:
    """Add drafts to both tables: without what is known, and with splits that are drawn by owner."""
    from training.dataset import gathering
    from training.dataset.rules import read_reserved

    with exit_with_sentence(BadTable):
        rows = [row for draft in drafts for row in gathering.read_draft(draft)]
        site_words = gathering.read_words(words) if words else []
        before = read_table(table), read_sites(sites)
        result = gathering.add(rows, *before, words=site_words, reserved=read_reserved(reserved))
        write_table(result.pictures, table)
        write_sites(result.sites, sites)
    for reason, number in result.left_out.items():
        typer.echo(f"{number:,} left out: {reason}.")
    typer.echo(
        f"{result.new:,} pictures were added. There are {len(result.pictures):,} of "
        f"{len(result.sites):,} owners."
    )


@data.command("hash")
def hash_(
    originals: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Where `collect` put them.")
    ],
    table: Table = PICTURES,
    sites: Sites = SITES,
) -> None:
    """Fill in the perceptual hashes that the table lacks, and set aside what turns out to be a
    near-copy."""
    from training.dataset.gathering import fill_hashes
    from training.dataset.rules import describe, settle

    with exit_with_sentence(BadTable):
        rows, owners = read_table(table), read_sites(sites)
        pictures = settle(fill_hashes(tqdm(rows, unit="picture"), originals))
        write_table(pictures, table)
        write_sites(describe(pictures, owners), sites)
    lacking = sum(not p.phash for p in pictures)
    changes = sum(a.split != b.split for a, b in zip(rows, pictures, strict=True))
    typer.echo(
        f"{changes:,} pictures were set aside. {lacking:,} of {len(pictures):,} have no hash still."
    )


@data.command()
def card(
    page: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The data card.")] = CARD,
    table: Table = PICTURES,
    sites: Sites = SITES,
) -> None:
    """Write the counts of the data card from the tables."""
    from training.dataset.counting import fill

    with exit_with_sentence(ValueError):
        text = fill(page.read_text(encoding="utf-8"), read_table(table), read_sites(sites))
    page.write_text(text, encoding="utf-8")
