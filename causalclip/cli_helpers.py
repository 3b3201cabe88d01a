"""What the commands share: exit codes, common options, the detector, the files, and errors as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causalclip.languages import LANGUAGES
from causalclip.paths import DEFAULT_HEAD, HEADS, WeightsMissing, detector_folder, head_folder
from causalclip.profile import BadProfile, Profile, read_profile

if TYPE_CHECKING:
    from causalclip.detector import Detector

PROFILE = "CAUSALCLIP_PROFILE"  # the variable that names a profile's file
DONE = 0
STOPPED = 1
REFUSED = 2
MEANINGS = {
    DONE: "Done, and every picture was read.",
    STOPPED: "It could not be done: weights, a package or data are missing, or an option makes no sense.",
    REFUSED: "A picture was refused (the others were judged), none was found, or the command was typed wrongly.",
}
TABLE = "\n\n".join(("Exit codes:", *(f"{code}  {meaning}" for code, meaning in MEANINGS.items())))  # for --help
Model = Annotated[
    str,
    typer.Option(help=f"A folder, or a name in assets/models; by itself {HEADS[DEFAULT_HEAD]}.", show_default=False),
]
Head = Annotated[
    str, typer.Option(help=f"A shipped head in place of --model: {' or '.join(sorted(HEADS))}.", show_default=False)
]
ProfileFile = Annotated[Path | None, typer.Option(envvar=PROFILE, help="Of your own archive, which `calibrate` made.")]


def _check_language(lang: str) -> str:
    if lang not in LANGUAGES:
        raise typer.BadParameter(f"--lang is one of {', '.join(LANGUAGES)}.")
    return lang


Lang = Annotated[str, typer.Option(help=f"Of the answers: {', '.join(LANGUAGES)}.", callback=_check_language)]


@contextmanager
def told(*mendable: type[Exception]) -> Iterator[None]:
    """Errors that the user can mend become their sentence and exit code 1; others keep their traceback."""
    try:
        yield
    except mendable as error:
        missing = isinstance(error, ModuleNotFoundError)
        typer.echo(f"{error}. Install requirements-dev.txt for this." if missing else str(error), err=True)
        raise typer.Exit(STOPPED) from None


def chosen_model(model: str, head: str) -> str:
    """The folder of the detector that --model and --head choose; ends the command where there is none."""
    if model and head:
        raise typer.BadParameter("Give either --model or --head.")
    with told(WeightsMissing):
        return str(head_folder(head) if head else detector_folder(model or HEADS[DEFAULT_HEAD]))


def load_detector(model: str, *, profile: Path | None = None) -> Detector:
    """The detector, held to a profile's archive if there is one."""
    from causalclip.clip.weights import UnknownRuntime
    from causalclip.detector import Detector  # seconds of imports, which a wrong name or path need not wait for

    with told(WeightsMissing, UnknownRuntime, BadProfile):
        detector, archive = Detector.from_pretrained(model), held_to(profile)
        return detector.with_profile(archive) if archive else detector


def held_to(profile: Path | None) -> Profile | None:
    """The profile in a file, if one is named; raises BadProfile."""
    return read_profile(profile) if profile and str(profile) != "." else None


def walk(paths: list[Path]) -> Iterator[Path]:
    """Files as they are named; folders file by file, in order, hidden ones left out."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        else:
            yield path
