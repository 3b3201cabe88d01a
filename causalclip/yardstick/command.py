"""python -m causalclip calibrate PHOTOS [--fakes KNOWN]"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tqdm import tqdm

from causalclip.cli_helpers import DONE, REFUSED, Lang, check_language, load_detector, told, walk
from causalclip.clip.places import WeightsMissing, detector_folder
from causalclip.languages import N_, _, number, speaking
from causalclip.languages.locale import ENGLISH
from causalclip.pictures.formats import ACCEPTED, ImageError
from causalclip.pictures.plaintext import spelt

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.pictures.archives import Member
    from causalclip.yardstick.looking import Looked, Refused


NOT_READ = N_("Not read: {name}: {sentence}")
NEXT = N_("Use it: {command}")


class Percent(StrEnum):
    """The promises that can be asked for."""

    FIVE, TWO, ONE = "5", "2", "1"


def calibrate(
    photos: Annotated[list[Path], typer.Argument(help=f"Photographs known to be real, or folders. {ACCEPTED}")],
    fakes: Annotated[list[Path] | None, typer.Option(help="Pictures known to be generated, or a folder.")] = None,
    at_most: Annotated[
        Percent, typer.Option(help="Percent of such photographs that may be accused: 59, 149, 299 are needed.")
    ] = Percent.FIVE,
    out: Annotated[Path, typer.Option(help="The output's folder.")] = Path("yardstick"),
    model: Annotated[str, typer.Option(help="A folder, or a name in assets/models.")] = "detector",
    lang: Lang = ENGLISH,
) -> None:
    """Make your own archive the yardstick: profile.json (numbers alone), and summary.html with the accused pictures."""
    check_language(lang)
    with told(WeightsMissing):
        detector_folder(model)
    with speaking(lang):
        refused = _calibrate(photos, fakes or [], load_detector(model), share=int(at_most.value) / 100, out=out)
    raise typer.Exit(REFUSED if refused else DONE)


def _calibrate(photos: list[Path], fakes: list[Path], detector: Detector, *, share: float, out: Path) -> bool:
    """True if a file was refused."""
    from causalclip.yardstick.making import LEFT_OUT, findings, make_profile
    from causalclip.yardstick.page import as_page

    with told(OSError):  # before the photographs are judged, which takes minutes
        out.mkdir(parents=True, exist_ok=True)
    looked, refused = _look(photos, detector)
    generated, also = _look(fakes, detector)
    refused += also
    unanswered = sum(not one.answered for one in (*looked, *generated))
    looked, generated = ([one for one in found if one.answered] for found in (looked, generated))
    not_read = [_(NOT_READ, name=spelt(one.name), sentence=one.sentence) for one in refused]
    if not looked:
        left_out = [_(LEFT_OUT, n=number(unanswered))] if unanswered else []
        typer.echo("\n".join([_("No photograph could be read there."), *left_out, *not_read]), err=True)
        return True
    profile = make_profile(looked, detector, at_most=share, generated=generated)
    shipped = detector.config.calibration.high
    said = findings(profile, shipped=shipped, at_most=share, left_out=unanswered)
    profile.write(out / "profile.json")
    page = as_page(said, looked, refused, shipped=shipped, high=profile.high(shipped))
    (out / "summary.html").write_text(page, encoding="utf-8", errors="replace")
    typer.echo("\n".join([*said, *not_read]))
    typer.echo(_(NEXT, command=f"python -m causalclip detect picture.jpg --profile {out / 'profile.json'}"))
    return bool(refused)


def _look(paths: list[Path], detector: Detector) -> tuple[list[Looked], list[Refused]]:
    from causalclip.yardstick.looking import Looked, look

    files = list(walk(paths))
    found = list(tqdm(look(_members(files), detector), total=len(files), unit="picture", disable=not files or None))
    return [one for one in found if isinstance(one, Looked)], [one for one in found if not isinstance(one, Looked)]


def _members(files: list[Path]) -> Iterator[Member]:
    from causalclip.pictures.loading import read_file

    for path in files:
        try:
            yield str(path), read_file(path)
        except ImageError as error:
            yield str(path), error
