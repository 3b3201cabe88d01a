"""python -m causalclip calibrate PHOTOS [--fakes KNOWN]"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tqdm import tqdm

from causalclip.cli_helpers import (
    DONE,
    REFUSED,
    Head,
    Lang,
    Model,
    check_language,
    chosen_model,
    load_detector,
    told,
    walk,
)
from causalclip.images.formats import ACCEPTED
from causalclip.images.text import spelt
from causalclip.languages import ENGLISH, N_, _, number, speaking

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.thresholds.archive import JudgedPicture, UnreadFile

NOT_READ = N_("Not read: {name}: {sentence}")
NEXT = N_("Use it: {command}")


class Percent(StrEnum):
    """The bounds that can be asked for."""

    FIVE, TWO, ONE = "5", "2", "1"


def calibrate(
    photos: Annotated[list[Path], typer.Argument(help=f"Photographs known to be real, or folders. {ACCEPTED}")],
    fakes: Annotated[list[Path] | None, typer.Option(help="Pictures known to be generated, or a folder.")] = None,
    at_most: Annotated[
        Percent, typer.Option(help="Percent of such photographs that may be accused: 59, 149, 299 are needed.")
    ] = Percent.FIVE,
    out: Annotated[Path, typer.Option(help="The output's folder.")] = Path("yardstick"),
    model: Model = "",
    head: Head = "",
    lang: Lang = ENGLISH,
) -> None:
    """Make your own archive the yardstick: profile.json (numbers alone), and summary.html with the accused pictures."""
    check_language(lang)
    model = chosen_model(model, head)
    with speaking(lang):
        refused = _calibrate(photos, fakes or [], load_detector(model), at_most=int(at_most.value) / 100, out=out)
    raise typer.Exit(REFUSED if refused else DONE)


def _calibrate(photos: list[Path], fakes: list[Path], detector: Detector, *, at_most: float, out: Path) -> bool:
    """True if a file was refused."""
    from causalclip.thresholds.archive import make_profile
    from causalclip.thresholds.report import LEFT_OUT, CalibrationReport

    with told(OSError):  # before the photographs are judged, which takes minutes
        out.mkdir(parents=True, exist_ok=True)
    (real, unread), (generated, also) = _judge(photos, detector), _judge(fakes, detector)
    unread += also
    unanswered = sum(not one.answered for one in (*real, *generated))
    real, generated = ([one for one in found if one.answered] for found in (real, generated))
    not_read = [_(NOT_READ, name=spelt(one.name), sentence=one.sentence) for one in unread]
    if not real:
        left_out = [_(LEFT_OUT, n=number(unanswered))] if unanswered else []
        typer.echo("\n".join([_("No photograph could be read there."), *left_out, *not_read]), err=True)
        return True
    profile = make_profile(real, detector, at_most=at_most, generated=generated)
    found = CalibrationReport(profile, real, unread, detector.config.calibration.high, at_most, unanswered)
    profile.write(out / "profile.json")
    (out / "summary.html").write_text(found.page(), encoding="utf-8", errors="replace")
    typer.echo("\n".join([*found.sentences(), *not_read]))
    typer.echo(_(NEXT, command=f"python -m causalclip detect picture.jpg --profile {out / 'profile.json'}"))
    return bool(unread)


def _judge(paths: list[Path], detector: Detector) -> tuple[list[JudgedPicture], list[UnreadFile]]:
    from causalclip.thresholds.archive import JudgedPicture, judge, read_members

    files = list(walk(paths))
    found = judge(read_members((str(path), path) for path in files), detector)
    rows = list(tqdm(found, total=len(files), unit="picture", disable=not files or None))
    return [one for one in rows if isinstance(one, JudgedPicture)], [
        one for one in rows if not isinstance(one, JudgedPicture)
    ]
