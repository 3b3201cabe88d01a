"""The command `calibrate`: a profile of the reference set, the reader's own pictures, and the
report on it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tqdm import tqdm

from causalclip.commands.shared import (
    DONE,
    REFUSED,
    Head,
    Lang,
    Model,
    chosen_model,
    exit_with_sentence,
    load_detector,
    walk,
)
from causalclip.images.formats import ACCEPTED
from causalclip.languages import ENGLISH, N_, _, number, speaking
from causalclip.private_head import MIN_PICTURES_PER_CLASS
from causalclip.reference_set import (
    LESSONS,
    ReferencePicture,
    UnreadFile,
    examine_set,
    learn,
    make_profile,
    read_members,
)
from causalclip.report.reference import LEFT_OUT, ReferenceReport
from causalclip.text import spelt

if TYPE_CHECKING:
    from causalclip.detector import Detector

NOT_READ = N_("Not read: {name}: {sentence}")
NEXT = N_("Use it: {command}")


class Percent(StrEnum):
    """The bounds on false alarms that can be chosen, in percent."""

    FIVE, TWO, ONE = "5", "2", "1"


def calibrate(
    photos: Annotated[
        list[Path], typer.Argument(help=f"Photographs known to be real, or folders. {ACCEPTED}")
    ],
    generated: Annotated[
        list[Path] | None,
        typer.Option(
            "--generated",
            "--fakes",
            help="Pictures known to be generated, or a folder: with "
            f"{MIN_PICTURES_PER_CLASS} or more beside as many photographs of the same kind, "
            "the profile also learns from both.",
        ),
    ] = None,
    at_most: Annotated[
        Percent,
        typer.Option(
            help="Percent of such photographs that may be accused: 59, 149, 299 are needed."
        ),
    ] = Percent.FIVE,
    out: Annotated[Path, typer.Option(help="The output's folder.")] = Path("reference-set"),
    model: Model = "",
    head: Head = "",
    lang: Lang = ENGLISH,
) -> None:
    """Make your own pictures the reference set: write profile.json (numbers alone), and
    summary.html with the accused pictures."""
    model = chosen_model(model, head)
    with speaking(lang):
        has_refusals = _calibrate(
            photos, generated or [], load_detector(model), at_most=int(at_most.value) / 100, out=out
        )
    raise typer.Exit(REFUSED if has_refusals else DONE)


def _calibrate(
    photos: list[Path],
    generated_files: list[Path],
    detector: Detector,
    *,
    at_most: float,
    out: Path,
) -> bool:
    """Write the profile and its report; return whether a file was refused."""
    # 1. The folder, before the photographs are examined, which takes minutes
    with exit_with_sentence(OSError):
        out.mkdir(parents=True, exist_ok=True)

    # 2. The pictures; those without an answer are left out
    lessons = LESSONS if generated_files else 0
    real, unread = _examine(photos, detector, lessons=lessons)
    generated, unread_generated = _examine(generated_files, detector, lessons=lessons)
    unread += unread_generated
    unanswered = sum(not picture.answered for picture in (*real, *generated))
    real = [picture for picture in real if picture.answered]
    generated = [picture for picture in generated if picture.answered]
    not_read = [_(NOT_READ, name=spelt(file.name), sentence=file.sentence) for file in unread]
    if not real:
        left_out = [_(LEFT_OUT, n=number(unanswered))] if unanswered else []
        lines = [_("No photograph could be read there."), *left_out, *not_read]
        typer.echo("\n".join(lines), err=True)
        return True

    # 3. The profile and the report
    outcome = learn(real, generated, detector)
    profile = make_profile(real, detector, at_most=at_most, generated=generated, learned=outcome)
    report = ReferenceReport(
        profile=profile,
        photographs=real,
        unread=unread,
        shipped=detector.config.calibration.high,
        at_most=at_most,
        unanswered=unanswered,
        generated=generated,
        learned=outcome,
    )
    profile.write(out / "profile.json")
    (out / "summary.html").write_text(report.page(), encoding="utf-8", errors="replace")

    # 4. The same for the terminal
    typer.echo("\n".join([*report.sentences(), *not_read]))
    use = f"python -m causalclip detect picture.jpg --profile {out / 'profile.json'}"
    typer.echo(_(NEXT, command=use))
    return bool(unread)


def _examine(
    paths: list[Path], detector: Detector, *, lessons: int
) -> tuple[list[ReferencePicture], list[UnreadFile]]:
    """Examine the pictures of files and folders; return them, and the files that could not be
    read."""
    files = list(walk(paths))
    members = read_members((str(path), path) for path in files)
    rows = examine_set(members, detector, lessons=lessons)
    pictures: list[ReferencePicture] = []
    unread: list[UnreadFile] = []
    for row in tqdm(rows, total=len(files), unit="picture", disable=not files or None):
        if isinstance(row, UnreadFile):
            unread.append(row)
        else:
            pictures.append(row)
    return pictures, unread
