"""python -m benchmarks.defences: measure defences of a vision-language model against attacks."""

import json
from pathlib import Path
from typing import Annotated

import typer

from causalclip.cli_helpers import told
from purifier.cli import sentences
from purifier.models import MODELS

CACHE = Path(".cache/purifier")

Data = Annotated[
    Path | None, typer.Option(help="A folder with flickr8k.jsonl, coco.jsonl, daquar.jsonl.")
]
Forensics = Annotated[
    Path | None, typer.Option(help="A folder with manifest.csv, of real and generated pictures.")
]
Batches = Annotated[int, typer.Option(min=3, help="Of adversarial pairs, made first and kept.")]


def evaluate(
    out: Annotated[
        Path,
        typer.Option(
            help="A JSON file; what it holds already stays where nothing new is measured."
        ),
    ],
    data: Data = None,
    forensics: Forensics = None,
    pictures: Annotated[
        int, typer.Option(help="Of each seed; 0 only writes what was measured before.")
    ] = 200,
    costly: Annotated[
        int, typer.Option(min=1, help="Pictures for adaptive attacks and Square.")
    ] = 100,
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, with other questions and starts.")
    ] = 3,
    rows: Annotated[str, typer.Option(help="Which, with ; between them; empty for all.")] = "",
    columns: Annotated[str, typer.Option(help="Which, with ; between them; empty for all.")] = "",
    compared: Annotated[
        Path,
        typer.Option(
            help="A folder with the compared denoisers, noise and regression; others need another "
            "--keep."
        ),
    ] = CACHE,
    keep: Annotated[
        Path,
        typer.Option(
            help="A folder for the table of what is measured of each picture; it is gone on with."
        ),
    ] = CACHE / "measured",
    made: Annotated[
        Path,
        typer.Option(
            help="Where attacked pictures are kept; an attack that knows no defence is made once."
        ),
    ] = CACHE / "attacked",
) -> None:
    """Measure defences against attacks, and what each part of ours is worth: the table of
    docs/measured.md."""
    with told(ModuleNotFoundError):
        from benchmarks.defences import EvaluationConfig, evaluate_defences
        from benchmarks.defences.outcomes import fingerprint

    chosen = EvaluationConfig(
        pictures=pictures,
        costly=costly,
        seeds=seeds,
        rows=_list(rows),
        columns=_list(columns),
        compared=str(compared),
    )
    with sentences():
        report = evaluate_defences(
            chosen,
            data=data,
            forensics=forensics,
            keep=keep
            / f"{fingerprint(MODELS / name for name in ('vlm', 'vlm-eye', 'purifier'))}.csv",
            made=made / fingerprint([MODELS / "vlm"]),
            earlier=json.loads(out.read_text()) if out.is_file() else None,
            log=typer.echo,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    for cell in report["cells"]:
        typer.echo(
            f"{cell['column']}: {cell['row']}: {cell['agreement']:.0%} of {cell['n']} answers stay"
        )


def _list(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(";") if one.strip())


if __name__ == "__main__":
    typer.run(evaluate)
