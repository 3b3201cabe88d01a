"""Parts of all commands: exit codes, options, the detector, files by folder, errors as a
sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from causalclip.languages import LANGUAGES
from causalclip.paths import DEFAULT_HEAD, HEADS, WeightsMissing, detector_folder, head_folder
from causalclip.reference import BadProfile, Profile, hold, read_profile
from causalclip.settings import SettingsError

if TYPE_CHECKING:
    import torch

    from causalclip.detector import Detector

PROFILE = "CAUSALCLIP_PROFILE"  # the variable that names a profile's file
DONE = 0
STOPPED = 1
REFUSED = 2
MEANINGS = {
    DONE: "Done, and every picture was read.",
    STOPPED: "It could not be done: weights, a package or data are missing, or a setting or a "
    "folder cannot be used.",
    REFUSED: "A picture was refused (the others were judged), none was found, or an option is "
    "wrong.",
}
# for --help
TABLE = "\n\n".join(("Exit codes:", *(f"{code}  {meaning}" for code, meaning in MEANINGS.items())))
Model = Annotated[
    str,
    typer.Option(
        help=f"A folder, or a name in assets/models; by itself {HEADS[DEFAULT_HEAD]}.",
        show_default=False,
    ),
]
Head = Annotated[
    str,
    typer.Option(
        help=f"A shipped head in place of --model: {' or '.join(sorted(HEADS))}.",
        show_default=False,
    ),
]
Lang = Annotated[
    str,
    typer.Option(
        help=f"Of the answers: {', '.join(LANGUAGES)}.",
        callback=lambda lang: _check_language(lang),
    ),
]
ProfileFile = Annotated[
    Path | None,
    typer.Option(envvar=PROFILE, help="A profile of your own pictures, which `calibrate` made."),
]


def _check_language(lang: str) -> str:
    if lang not in LANGUAGES:
        raise typer.BadParameter(f"--lang is one of {', '.join(LANGUAGES)}.")
    return lang


class Elsewhere(NamedTuple):
    """A command in a module that is imported for it alone.

    Attributes:
        module: where it is.
        attribute: its function, or its Typer.
        epilog: the last lines of --help.
    """

    module: str
    attribute: str
    epilog: str | None = None


def group_with(elsewhere: Mapping[str, Elsewhere]) -> type[TyperGroup]:
    """Return a group of the commands elsewhere, by their names, and of those that it is given."""

    class Commands(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return [*elsewhere, *super().list_commands(ctx)]

        def get_command(self, ctx: Any, name: str) -> Any:
            if name not in elsewhere:
                return super().get_command(ctx, name)
            module, attribute, epilog = elsewhere[name]
            target = getattr(import_module(module), attribute)
            if not isinstance(target, typer.Typer):
                function, target = target, typer.Typer(add_completion=False)
                target.command(epilog=epilog)(function)
            command = typer.main.get_command(target)
            command.name = name
            return command

    return Commands


@contextmanager
def exit_with_sentence(
    *stopped: type[Exception], refused: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """End the command with the sentence of an error that the user can mend; others keep their
    traceback.

    Args:
        stopped: errors after which the exit code is STOPPED.
        refused: errors after which it is REFUSED; not those that `stopped` names, too.
    """
    try:
        yield
    except stopped as error:
        sentence = str(error)
        if isinstance(error, ModuleNotFoundError):
            sentence = f"{error}. Install requirements-dev.txt for this."
        typer.echo(sentence, err=True)
        raise typer.Exit(STOPPED) from None
    except refused as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(REFUSED) from None


def chosen_model(model: str, head: str) -> str:
    """Return the folder of the detector that --model and --head choose; end the command where there
    is none."""
    if model and head:
        raise typer.BadParameter("Give either --model or --head.")
    if head and head not in HEADS:
        raise typer.BadParameter(f"--head is {' or '.join(sorted(HEADS))}.")
    with exit_with_sentence(WeightsMissing):
        return str(head_folder(head) if head else detector_folder(model or HEADS[DEFAULT_HEAD]))


def load_detector(
    model: str, *, profile: Path | None = None, device: torch.device | None = None
) -> Detector:
    """Load the detector, held to a profile if a file of one is named; end the command where that
    cannot be."""
    # These take seconds to import, which a wrong name or path need not wait for.
    from causalclip.detector import Detector
    from causalclip.device import NoDevice

    with exit_with_sentence(WeightsMissing, SettingsError, NoDevice, BadProfile):
        detector = Detector.from_pretrained(model, device=device)
        return hold(detector, named_profile(profile))


def named_profile(path: Path | None) -> Profile | None:
    """Return the profile in a file, if one is named; raises BadProfile."""
    return read_profile(path) if path and str(path) != "." else None


def walk(paths: list[Path]) -> Iterator[Path]:
    """Yield files as they are named; folders file by file, in order, hidden ones left out."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")
            )
        else:
            yield path
