"""python -m causalclip detect PICTURES: a line, sentences or JSON for each picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from causalclip.commands.shared import (
    DONE,
    REFUSED,
    Head,
    Lang,
    Model,
    ProfileFile,
    chosen_model,
    exit_with_sentence,
    load_detector,
    named_profile,
    walk,
)
from causalclip.images.formats import ACCEPTED, ImageError, sniff
from causalclip.images.loading import read_file
from causalclip.images.parts import read_box
from causalclip.languages import ENGLISH, _, speaking
from causalclip.reference import BadProfile
from causalclip.text import spelt

if TYPE_CHECKING:  # seconds of imports, which a wrong name or path need not wait for
    from causalclip.commands.terminal import Lines
    from causalclip.detector import Detector
    from causalclip.examination.result import Examination


def detect(
    paths: Annotated[
        list[Path], typer.Argument(help=f"Pictures, or folders that are walked. {ACCEPTED}")
    ],
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="The whole examination, one JSON object a line; with stability."
        ),
    ] = False,
    stability: Annotated[
        bool,
        typer.Option("--stability", help="Check, too, whether the answer survives re-encoding."),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Sentences in place of a line: why it decided so, and what to do."
        ),
    ] = False,
    model: Model = "",
    head: Head = "",
    heatmap_dir: Annotated[
        Path | None, typer.Option(help="Write each picture's causal map there, as PNG.")
    ] = None,
    report_dir: Annotated[
        Path | None,
        typer.Option(help="Write each picture's report there, as HTML and JSON; with stability."),
    ] = None,
    profile: ProfileFile = None,
    crop: Annotated[
        str,
        typer.Option(
            help="Judge this part alone: left,top,right,bottom in the file's pixels, such as "
            "120,80,640,480."
        ),
    ] = "",
    lang: Lang = ENGLISH,
) -> None:
    """Examine pictures, a line each: the answer from all evidence, the score, the pixels' answer
    where it is another, and whether 8 re-saved copies keep it: steady, weak or turns.

    Without stability, the copies are not tested, which can turn an answer into inconclusive.
    """
    # 1. What was asked for, checked before the model is loaded
    model = chosen_model(model, head)
    with exit_with_sentence(BadProfile):
        named_profile(profile)
    with exit_with_sentence(refused=(ValueError,)), speaking(lang):
        part = read_box(crop) if crop else None
    files = list(walk(paths))
    if not files:
        with speaking(lang):
            typer.echo(_("There is no picture there."), err=True)
    with exit_with_sentence(OSError):
        for folder in filter(None, (heatmap_dir, report_dir)):
            folder.mkdir(parents=True, exist_ok=True)

    # 2. The pictures, one by one; the first one that can be read loads the model
    from causalclip.commands.terminal import Lines  # half a second of imports

    load = cache(partial(load_detector, model, profile=profile))
    tested = as_json or stability or report_dir is not None
    has_refusals = not files
    with speaking(lang):
        lines = Lines(files, tested=tested)
    for path in tqdm(files, unit="picture", disable=None if len(files) > 1 else True):
        with speaking(lang):
            outcome = _examine(load, path, crop=part, stability=tested)
            _print(path, outcome, lines, as_json=as_json, explain=explain)
            if isinstance(outcome, str) or outcome.problem:
                has_refusals = True
            else:
                _save(path, outcome, heatmap_dir, report_dir)
    raise typer.Exit(REFUSED if has_refusals else DONE)


def _examine(
    load: Callable[[], Detector],
    path: Path,
    *,
    stability: bool,
    crop: tuple[float, float, float, float] | None,
) -> Examination | str:
    """Return a picture's examination, or that of a part of it; what its file says where the pixels
    cannot be judged; or the sentence that says why there is neither."""
    from causalclip.images.sandbox import warm_up

    warm_up()  # beside the model's own seconds
    try:
        sniff(read_file(path))  # what is no picture is refused before the model is loaded
        detector = load()
        from causalclip.examination.result import NotJudged, Stage
        from causalclip.examination.stages import examine_file

        until = Stage.DONE if stability else Stage.VERDICT
        try:
            return examine_file(path, detector, until=until, part=crop)
        except NotJudged as error:
            return error.examination
    except ImageError as error:
        return str(error)


def _print(
    path: Path, outcome: Examination | str, lines: Lines, *, as_json: bool, explain: bool
) -> None:
    from causalclip.commands.terminal import claims_explanation, explanation

    name = spelt(str(path))
    with tqdm.external_write_mode(sys.stdout):
        if as_json:
            typer.echo(json.dumps({"path": str(path)} | _plain(outcome)))
        elif isinstance(outcome, str):
            typer.echo(lines.not_read_line(path))
            typer.echo(f"{name}: {outcome}", err=True)
        elif outcome.problem:
            sentences = f"{name}: {claims_explanation(outcome)}"
            typer.echo(sentences if explain else lines.claims_line(path, outcome))
            if not explain:
                typer.echo(sentences, err=True)
        else:
            typer.echo(f"{name}: {explanation(outcome)}" if explain else lines.line(path, outcome))


def _plain(outcome: Examination | str) -> dict[str, Any]:
    """Return what --json says of a picture, but for its path."""
    if isinstance(outcome, str):
        return {"error": outcome}
    from causalclip.examination.schema import ExaminationSchema, UnjudgedSchema

    if outcome.problem:
        return {"error": outcome.problem, "examination": UnjudgedSchema.dump(outcome)}
    return ExaminationSchema.dump(outcome)


def _save(path: Path, x: Examination, heatmap_dir: Path | None, report_dir: Path | None) -> None:
    place = "".join(f"-{at}" for at in x.part.box) if x.part else ""
    stem = f"{path.stem}-{x.sha256[:8]}{place}"
    if heatmap_dir:
        from causalclip.maps.captions import caption
        from causalclip.maps.overlay import draw_map  # matplotlib is slow to import

        heatmap = draw_map(x.drawing, numbered=True, bar=True, beside=caption(x.drawing))
        heatmap.save(heatmap_dir / f"{stem}.png")
    if report_dir:
        from causalclip.report.document import save_reports

        save_reports(x, report_dir, stem)
