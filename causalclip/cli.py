"""python -m causalclip detect | mcp | explain | compare | archive | calibrate | train | evaluate |
data"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm
from typer.core import TyperGroup

from causalclip.cli_helpers import (
    DONE,
    REFUSED,
    TABLE,
    Head,
    Lang,
    Lines,
    Model,
    ProfileFile,
    chosen_model,
    explained,
    explained_claims,
    held_to,
    load_detector,
    told,
    walk,
)
from causalclip.images.formats import ACCEPTED, ImageError, sniff, spelt
from causalclip.images.loading import read_file
from causalclip.images.parts import read_box
from causalclip.languages import ENGLISH, _, speaking
from causalclip.reference import BadProfile

if TYPE_CHECKING:  # seconds of imports, which a wrong name or path need not wait for
    from causalclip.detector import Detector
    from causalclip.examination.result import Examination

# commands whose modules are imported only for them: name -> module, function, --help's last lines
ELSEWHERE = {
    "archive": ("causalclip.archive", "archive", None),
    "calibrate": ("causalclip.calibrate", "calibrate", TABLE),
    "explain": ("causalclip.report.explain", "explain", TABLE),
    "compare": ("causalclip.report.comparison", "compare", TABLE),
    "mcp": ("causalclip.mcp", "mcp", None),
}


class Commands(TyperGroup):
    """The commands of this module, and those of ELSEWHERE."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*ELSEWHERE, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in ELSEWHERE:
            return super().get_command(ctx, name)
        module, function, epilog = ELSEWHERE[name]
        found = getattr(import_module(module), function)
        commands = found if isinstance(found, typer.Typer) else typer.Typer(add_completion=False)
        if found is not commands:
            commands.command(epilog=epilog)(found)
        command = typer.main.get_command(commands)
        command.name = name
        return command


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=__doc__,
    epilog=TABLE,
)


@app.callback()
def _settings() -> None:
    """Was this picture generated, and which part of it says so?"""


@app.command(epilog=TABLE)
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
    where it is another, and how many of 8 re-saved copies keep it.

    Without stability, the copies are not tested, which can turn an answer into inconclusive.
    """
    model = chosen_model(model, head)
    with told(BadProfile):
        held_to(profile)
    with told(ValueError), speaking(lang):
        part = read_box(crop) if crop else None
    files = list(walk(paths))
    if not files:
        with speaking(lang):
            typer.echo(_("There is no picture there."), err=True)
    with told(OSError):
        for folder in filter(None, (heatmap_dir, report_dir)):
            folder.mkdir(parents=True, exist_ok=True)
    # by the first picture that can be read
    load = cache(partial(load_detector, model, profile=profile))
    tested = as_json or stability or report_dir is not None
    judge, refused = partial(_judge, load, crop=part, stability=tested), not files
    with speaking(lang):
        lines = Lines(files, tested=tested)
    for path in tqdm(files, unit="picture", disable=None if len(files) > 1 else True):
        with speaking(lang):
            judged = judge(path)
            _print(path, judged, lines, as_json=as_json, explain=explain)
            if not (unjudged := isinstance(judged, str) or bool(judged.problem)):
                _save(path, judged, heatmap_dir, report_dir)
        refused = refused or unjudged
    raise typer.Exit(REFUSED if refused else DONE)


def _judge(
    load: Callable[[], Detector],
    path: Path,
    *,
    stability: bool,
    crop: tuple[float, float, float, float] | None,
) -> Examination | str:
    """A picture's examination, or that of a part of it; what its file says where the pixels cannot
    be judged; or the sentence that says why there is neither."""
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
    path: Path, judged: Examination | str, lines: Lines, *, as_json: bool, explain: bool
) -> None:
    name = spelt(str(path))
    with tqdm.external_write_mode(sys.stdout):
        if as_json:
            typer.echo(json.dumps({"path": str(path)} | _plain(judged)))
        elif isinstance(judged, str):
            typer.echo(lines.refused(path))
            typer.echo(f"{name}: {judged}", err=True)
        elif judged.problem:
            said = f"{name}: {explained_claims(judged)}"
            typer.echo(said if explain else lines.claimed(path, judged))
            if not explain:
                typer.echo(said, err=True)
        else:
            typer.echo(f"{name}: {explained(judged)}" if explain else lines.line(path, judged))


def _plain(judged: Examination | str) -> dict[str, Any]:
    """What --json says of a picture, but for its path."""
    if isinstance(judged, str):
        return {"error": judged}
    if judged.problem:
        return {"error": judged.problem, "examination": judged.claims_as_dict()}
    return judged.as_dict()


def _save(path: Path, x: Examination, heatmap_dir: Path | None, report_dir: Path | None) -> None:
    place = "".join(f"-{at}" for at in x.part.box) if x.part else ""
    stem = f"{path.stem}-{x.sha256[:8]}{place}"
    if heatmap_dir:
        from causalclip.maps.captions import caption
        from causalclip.maps.overlay import draw_map  # matplotlib is slow to import

        draw_map(x.drawing, beside=caption(x.drawing)).save(heatmap_dir / f"{stem}.png")
    if report_dir:
        from causalclip.report.document import save_reports

        save_reports(x, report_dir, stem)
