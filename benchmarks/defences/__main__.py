"""python -m benchmarks.defences: measure defences of a vision-language model against attacks."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from causalclip.commands.shared import exit_with_sentence
from purifier.cli import SETUP_ERRORS
from purifier.models import MODELS
from purifier.vlm.interface import EMBEDDED

CACHE = Path(".cache/purifier")


def evaluate(
    out: Annotated[
        Path,
        typer.Option(
            help="A JSON file; what it holds already stays where nothing new is measured."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with coco.jsonl and daquar.jsonl, or with *questions*.json and "
            "*annotations*.json of VQAv2's form, *captions*.json of COCO's, and their pictures."
        ),
    ] = None,
    forensics: Annotated[
        Path | None,
        typer.Option(help="A folder with manifest.csv, of real and generated pictures."),
    ] = None,
    vlm: Annotated[
        str, typer.Option(help="Which model: embedded, a model of the hub, or a folder.")
    ] = EMBEDDED,
    prompt: Annotated[
        Path | None,
        typer.Option(help="A prompt file written by optimise-prompt, for a model of the hub."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    pictures: Annotated[
        int, typer.Option(help="Of each seed; 0 only writes what was measured before.")
    ] = 200,
    costly: Annotated[
        int, typer.Option(min=1, help="Pictures for adaptive attacks and Square.")
    ] = 100,
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, with other questions and starts.")
    ] = 3,
    rows: Annotated[str, typer.Option(help="Names, separated by ; (empty for all).")] = "",
    columns: Annotated[str, typer.Option(help="Names, separated by ; (empty for all).")] = "",
    with_questions: Annotated[
        bool,
        typer.Option(
            "--ask/--captions-only",
            help="Without questions, the attacks change the caption, and captions are measured.",
        ),
    ] = True,
    compared: Annotated[
        Path,
        typer.Option(
            help="A folder with the compared denoisers, bridge, noise and regression; use another "
            "--keep for other models."
        ),
    ] = CACHE,
    keep: Annotated[
        Path,
        typer.Option(
            help="A folder for the table of what is measured of each picture; a later run "
            "continues it."
        ),
    ] = CACHE / "measured",
    made: Annotated[
        Path,
        typer.Option(
            help="Where attacked pictures are kept; an attack that knows no defence is made once."
        ),
    ] = CACHE / "attacked",
) -> None:
    """Measure defences against attacks, and what each part of ours is worth."""
    with exit_with_sentence(ModuleNotFoundError):
        from benchmarks.defences import EvaluationConfig, evaluate_defences
        from benchmarks.defences.outcomes import fingerprint
        from benchmarks.purification import defence_tables
        from benchmarks.tables import markdown

    # 1. Where what was made and measured is kept: a place for each model and its weights
    parts = ("vlm", "lora-encoder", "purifier") if vlm == EMBEDDED else ("purifier",)
    table = fingerprint(MODELS / name for name in parts)
    attacked = fingerprint([MODELS / "vlm"])
    if vlm != EMBEDDED:
        attacked = re.sub(r"\W+", "-", f"{vlm} {prompt or ''}").strip("-")
        table = f"{attacked}-{table}"
    if not with_questions:
        table += "-captions"

    # 2. Measure
    config = EvaluationConfig(
        pictures=pictures,
        costly=costly,
        seeds=seeds,
        rows=_list(rows),
        columns=_list(columns),
        with_questions=with_questions,
        compared=str(compared),
        vlm=vlm,
        prompt=str(prompt or ""),
        device=device,
    )
    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        report = evaluate_defences(
            config,
            data=data,
            forensics=forensics if vlm == EMBEDDED else None,
            keep=keep / f"{table}.csv",
            made=made / attacked,
            earlier=json.loads(out.read_text()) if out.is_file() else None,
            log=typer.echo,
        )

    # 3. Write and show
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    for shown in defence_tables(report, None):
        typer.echo(markdown(shown) + "\n")


def _list(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(";") if name.strip())


if __name__ == "__main__":
    typer.run(evaluate)
