"""python -m causalclip archive SOURCE --out FOLDER"""

import os
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from causalclip.archive.identity import identity
from causalclip.archive.problems import ArchiveProblem
from causalclip.cli_helpers import PROFILE, Lang, check_language, held_to
from causalclip.clip.paths import WeightsMissing, detector_folder
from causalclip.languages import N_, _, number, speaking
from causalclip.languages.locale import ENGLISH
from causalclip.profile import BadProfile, Profile

PART = 200  # pictures a part: so many at most are judged again after a kill
NEEDS = N_("An archive needs Ray: {command}.")


def archive(
    source: Annotated[str, typer.Argument(help="A folder, a list (.txt, .csv, .parquet with `path`), or a URL.")],
    out: Annotated[Path, typer.Option(help="The output's folder. An interrupted run goes on in it.")],
    model: Annotated[str, typer.Option(help="A folder, or a name in assets/models.")] = "detector",
    workers: Annotated[int, typer.Option(min=1, help="Processes that judge; as many as cores by default.")] = (
        os.cpu_count() or 1
    ),
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; without, Ray runs here.")] = None,
    stability: Annotated[bool, typer.Option("--stability", help="Check whether answers survive re-encoding.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how long it would take, from a sample.")] = False,
    duplicates: Annotated[bool, typer.Option("--duplicates", help="Also write groups of near-equal pictures.")] = False,
    profile: Annotated[
        Path | None, typer.Option(envvar=PROFILE, help="Of your own archive, which `calibrate` made.")
    ] = None,
    lang: Lang = ENGLISH,
) -> None:
    """Judge a whole archive into a Parquet dataset. Exit code 0 if all were read, 2 if any was refused."""
    check_language(lang)
    try:
        import ray.data  # noqa: F401
    except ModuleNotFoundError:
        with speaking(lang):
            typer.echo(_(NEEDS, command="pip install -r requirements-archive.txt"), err=True)
        raise typer.Exit(1) from None
    asked: dict[str, Any] = {"address": address, "stability": stability, "duplicates": duplicates}
    try:
        with speaking(lang):
            if dry_run:
                typer.echo(_plan(source, model, workers, stability=stability, profile=held_to(profile)))
                return
            refused = _run(source, out, model, workers, profile=held_to(profile), **asked)
    except (ArchiveProblem, WeightsMissing, BadProfile) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(getattr(problem, "code", 1)) from None
    raise typer.Exit(2 if refused else 0)


def _plan(source: str, model: str, workers: int, *, stability: bool, profile: Profile | None) -> str:
    """How long it would take; nothing is written."""
    from causalclip.archive.planning import as_text, estimate
    from causalclip.archive.running import Judge
    from causalclip.archive.sources import list_pictures

    pictures = list_pictures(source)
    identity(detector_folder(model))  # which says what is wrong with the runtime that is asked for
    judge = Judge(str(detector_folder(model)), stability, profile, remembered=0)  # its first picture is judged twice
    return as_text(estimate(pictures, judge), workers=workers)


def _run(
    source: str,
    out: Path,
    model: str,
    workers: int,
    *,
    address: str | None,
    stability: bool,
    duplicates: bool,
    profile: Profile | None,
) -> bool:
    """True if any picture was refused."""
    from causalclip.archive.parts import Parts, write_whole
    from causalclip.archive.rows import VERSION, failed_row
    from causalclip.archive.running import judge_paths, ray_session
    from causalclip.archive.sources import list_pictures
    from causalclip.archive.summary import as_page, as_text, counts

    folder = detector_folder(model).resolve()  # wherever a worker is started
    judge = identity(folder)
    run = {"schema": VERSION, "source": source, **judge, "stability": stability, **_held(judge, profile)}
    pictures = list_pictures(source)
    parts = Parts(out, run)
    done = parts.done()
    named = {path: path.encode("utf-8", "replace").decode() for path in pictures}  # a path need not be text
    left = [path for path in pictures if named[path] not in done]
    odd = [failed_row(named[path], "Its name is no text.") for path in left if named[path] != path]
    if odd:
        parts.add(odd)
    left = [path for path in left if named[path] == path]
    asked: dict[str, Any] = {"model": str(folder), "workers": workers, "stability": stability, "profile": profile}
    if left:
        bar = tqdm(total=len(pictures), initial=len(pictures) - len(left), unit="picture")
        with ray_session(address, workers=workers), bar:
            rows = []
            for row in judge_paths(left, **asked):
                rows.append(row)
                bar.update()
                if len(rows) == PART:
                    parts.add(rows)
                    rows = []
            if rows:
                parts.add(rows)
    found = counts(parts)
    write_whole(out / "summary.html", as_page(found, source=source, stability=stability).encode())
    typer.echo(as_text(found, stability=stability))
    if duplicates:
        typer.echo(_group(parts))
    return bool(found["error"])


def _held(judge: dict[str, Any], profile: Profile | None) -> dict[str, Any]:
    """Which profile the rows are held to, so that no other one goes on with them; raises BadProfile."""
    if profile is None:
        return {}
    profile.check(judge["model"], judge["revision"])
    return {"profile": sha256(profile.as_json().encode()).hexdigest()[:16]}


def _group(parts: Any) -> str:
    import pyarrow.parquet as pq

    from causalclip.archive.duplicates import group

    paths, hashes = [], []
    for table in parts.tables(["path", "perceptual_hash"]):
        for row in table.to_pylist():
            if row["perceptual_hash"]:
                paths.append(row["path"])
                hashes.append(row["perceptual_hash"])
    groups = group(paths, hashes) if paths else None
    if groups is None or not len(groups):
        return _("No two pictures are near-equal.")
    pq.write_table(groups, parts.folder / "duplicates.parquet")
    said = N_("{count} pictures have a near-equal one, in {groups} groups.")
    return _(said, count=number(len(groups)), groups=number(groups["group"][-1].as_py() + 1))
