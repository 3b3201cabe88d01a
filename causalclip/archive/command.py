"""python -m causalclip archive SOURCE --out FOLDER"""

import os
import random
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from causalclip.archive import ArchiveError
from causalclip.cli_helpers import (
    DONE,
    REFUSED,
    STOPPED,
    Head,
    Lang,
    Model,
    ProfileFile,
    chosen_model,
    held_to,
)
from causalclip.languages import ENGLISH, N_, _, decimal, number, speaking
from causalclip.paths import WeightsMissing, revision_of
from causalclip.reference import BadProfile, Profile

PART_ROWS = 200  # pictures a part: so many at most are judged again after a kill
SAMPLE = 24  # pictures that a dry run judges
MACHINES = 1, 10, 100
NEEDS = N_("An archive needs Ray: {command}.")
ESTIMATE = N_(
    "{count} pictures. {sample} of them, chosen by chance, took {seconds} s each on one worker. By "
    "that, without what starting takes and as if workers did not slow each other down, hours on so "
    "many machines with {workers} workers each:"
)
NEAR_EQUAL = N_("{count} pictures have a near-equal one, in {groups} groups.")


def archive(
    source: Annotated[
        str, typer.Argument(help="A folder, a list (.txt, .csv, .parquet with `path`), or a URL.")
    ],
    out: Annotated[
        Path, typer.Option(help="The output's folder. An interrupted run goes on in it.")
    ],
    model: Model = "",
    head: Head = "",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that judge; as many as cores by default.")
    ] = (os.cpu_count() or 1),
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; without, Ray runs here.")
    ] = None,
    stability: Annotated[
        bool, typer.Option("--stability", help="Check whether answers survive re-encoding.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how long it would take, from a sample.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Also write groups of near-equal pictures.")
    ] = False,
    marks_only: Annotated[
        bool,
        typer.Option(
            "--marks-only",
            help="Read metadata and marks alone, many times as fast; nothing is judged.",
        ),
    ] = False,
    profile: ProfileFile = None,
    lang: Lang = ENGLISH,
) -> None:
    """Judge a whole archive into a Parquet dataset. Exit code 0 if all were read, 2 if any was
    refused."""
    try:
        import ray.data  # noqa: F401
    except ModuleNotFoundError:
        with speaking(lang):
            typer.echo(_(NEEDS, command="pip install -r requirements-archive.txt"), err=True)
        raise typer.Exit(STOPPED) from None
    from causalclip.archive.workers import list_pictures

    try:
        with speaking(lang):
            pictures, held = list_pictures(source), held_to(None if marks_only else profile)
            # wherever a worker is started
            folder = None if marks_only else Path(chosen_model(model, head)).resolve()
            judged_by = _judged_by(folder, held) if folder else {"marks_only": True}
            run, place = (
                {"source": source, **judged_by, "stability": stability},
                str(folder) if folder else None,
            )
            if dry_run:
                typer.echo(_estimated(pictures, place, workers, stability=stability, profile=held))
                return
            refused = _judge(
                pictures, out, run, place, workers, held, address=address, duplicates=duplicates
            )
    except (ArchiveError, WeightsMissing, BadProfile) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(getattr(problem, "code", STOPPED)) from None
    raise typer.Exit(REFUSED if refused else DONE)


def _judged_by(folder: Path, profile: Profile | None) -> dict[str, Any]:
    """What every row of a run will say judged it, known before a worker has loaded it; raises
    BadProfile."""
    from causalclip.archive.output import VERSION
    from causalclip.archive.workers import runtime_apart

    by = {
        "schema": VERSION,
        "model": folder.name,
        "revision": revision_of(folder),
        "runtime": runtime_apart(),
    }
    if profile:
        profile.check(str(by["model"]), str(by["revision"]))
        by["profile"] = sha256(profile.as_json().encode()).hexdigest()[:16]
    return by


def _estimated(
    pictures: Sequence[str],
    model: str | None,
    workers: int,
    *,
    stability: bool,
    profile: Profile | None,
) -> str:
    """Hours that it would take, a line for each number of MACHINES, by a sample by chance; nothing
    is written."""
    from causalclip.archive.workers import Judge

    judge, chosen = Judge(model, stability, profile, remembered=0), random.Random(0)
    sample = chosen.sample(list(pictures), min(SAMPLE, len(pictures)))
    judge({"path": sample[:1]})  # the first one of a process is slow
    started = time.perf_counter()
    for path in sample:
        judge({"path": [path]})
    seconds = (time.perf_counter() - started) / len(sample)
    values = {
        "count": number(len(pictures)),
        "sample": number(len(sample)),
        "workers": number(workers),
    }
    hours = {n: len(pictures) * seconds / (workers * n) / 3600 for n in MACHINES}
    lines = [f"{number(n):>5}: {decimal(hours[n], digits=2)}" for n in MACHINES]
    return "\n".join([_(ESTIMATE, seconds=decimal(seconds, digits=2), **values), *lines])


def _judge(
    pictures: list[str],
    out: Path,
    run: dict[str, Any],
    model: str | None,
    workers: int,
    profile: Profile | None,
    *,
    address: str | None,
    duplicates: bool,
) -> bool:
    """Judges what has no row yet. True if any picture was refused."""
    from causalclip.archive.output import RunFolder, failed_row, write_whole
    from causalclip.archive.summary import as_page, as_text, counts
    from causalclip.archive.workers import judge_paths, ray_session

    kept, stability = RunFolder(out, run), bool(run["stability"])
    done = kept.done()
    # a path need not be text
    named = {path: path.encode("utf-8", "replace").decode() for path in pictures}
    left = [path for path in pictures if named[path] not in done]
    if odd := [
        failed_row(named[path], "Its name is no text.") for path in left if named[path] != path
    ]:
        kept.add(odd)
    if left := [path for path in left if named[path] == path]:
        bar = tqdm(total=len(pictures), initial=len(pictures) - len(left), unit="picture")
        with ray_session(address, workers=workers), bar:
            rows = []
            for row in judge_paths(
                left, model=model, workers=workers, stability=stability, profile=profile
            ):
                rows.append(row)
                bar.update()
                if len(rows) == PART_ROWS:
                    kept.add(rows)
                    rows = []
            if rows:
                kept.add(rows)
    found = counts(kept)
    write_whole(
        out / "summary.html",
        as_page(found, source=str(run["source"]), stability=stability).encode(),
    )
    typer.echo(as_text(found, stability=stability))
    if duplicates:
        typer.echo(_grouped(kept))
    return bool(found["error"])


def _grouped(kept: Any) -> str:
    """Writes the groups of near-equal pictures, if there are any, and says how many."""
    import pyarrow.parquet as pq

    from causalclip.archive.summary import near_equal

    rows = [row for row in kept.rows("path", "perceptual_hash") if row["perceptual_hash"]]
    groups = (
        near_equal([row["path"] for row in rows], [row["perceptual_hash"] for row in rows])
        if rows
        else None
    )
    if groups is None or not len(groups):
        return _("No two pictures are near-equal.")
    pq.write_table(groups, kept.folder / "duplicates.parquet")
    return _(NEAR_EQUAL, count=number(len(groups)), groups=number(groups["group"][-1].as_py() + 1))
