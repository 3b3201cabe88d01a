"""python -m training detector | evaluate"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import typer

from causalclip.commands.shared import Head, Model, chosen_model, exit_with_sentence, load_detector
from causalclip.paths import WeightsMissing
from training.outputs import OverwritesInput, check_outputs

Manifest = Annotated[
    Path,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="CSV with path, label, source, split (and set, view, picture, family).",
    ),
]
Root = Annotated[
    Path, typer.Option(exists=True, file_okay=False, help="The folder of the manifest's paths.")
]
Device = Annotated[
    str, typer.Option(help="auto (a graphics card where there is one), cpu or cuda.")
]
lora = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Teach the tower itself, by a low-rank update of every layer, in the minutes of a card.",
)


def _files(*paths: Path | None) -> Iterator[Path]:
    yield from (path for path in paths if path)


def train(
    out: Annotated[Path, typer.Option(help="Where the detector, its card and its checkpoints go.")],
    manifest: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="CSV of your own pictures (docs/training.md)."
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Of the manifest's paths.")
    ] = None,
    table: Annotated[
        Path, typer.Option(dir_okay=False, help="The data set's table, in place of a manifest.")
    ] = Path("training/tables/pictures.csv.gz"),
    originals: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Where `data collect` put its pictures."),
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="clip-vit-b-16, local-dir:PATH, or MODEL/TAG of open_clip.")
    ] = "clip-vit-b-16",
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Settings as JSON; by itself those of training/configs/causal.json.",
        ),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where frozen features are kept.")] = Path(
        ".cache/features"
    ),
    start: Annotated[
        str,
        typer.Option(help="A detector whose verdicts the heads start from, in place of a ridge."),
    ] = "",
    revision: Annotated[
        str, typer.Option(help="The detector's name in its answers; by itself date and hash.")
    ] = "",
    device: Device = "auto",
) -> None:
    """Train a detector on the data set (--originals), or on pictures of your own (--manifest and
    --root).

    Frozen features, a causal head, calibration on held-out owners. Started again after a kill, it
    goes on from there.
    """
    # 1. The imports take seconds, for which --help need not wait
    with exit_with_sentence(ModuleNotFoundError):
        from causalclip.clip.weights import NotFinite
        from causalclip.detector import FILES
        from causalclip.device import choose_device
        from training.dataset.rules import read_originals
        from training.dataset.table import BadTable
        from training.detector.data import (
            BadManifest,
            RunStopped,
            stopped_in_a_sentence,
            training_records,
        )
        from training.detector.recipe import DEFAULT_CONFIG, Recipe, check_tower, train_detector

    # 2. The options
    if (manifest is None) == (originals is None) or (manifest is None) != (root is None):
        raise typer.BadParameter("Give either --originals, or --manifest and --root.")
    with exit_with_sentence(TypeError, ValueError, WeightsMissing):
        check_outputs([out / name for name in FILES], _files(manifest, config, table))
        settings = Recipe.read(config or DEFAULT_CONFIG)
        settings = replace(
            settings, start=start or settings.start, revision=revision or settings.revision
        )
        check_tower(backbone, settings)
        computes = choose_device(device)

    # 3. The pictures, and the run
    promise = "What is finished is kept: the same command goes on from there."
    with (
        exit_with_sentence(BadManifest, BadTable, OSError, RunStopped, NotFinite),
        stopped_in_a_sentence(promise),
    ):
        if manifest and root:
            records, where = training_records(manifest, root), root
        else:
            where = cast(Path, originals)
            records = read_originals(table, where)
        train_detector(
            records,
            where,
            out=out,
            backbone=backbone,
            recipe=settings,
            cache=cache,
            device=computes,
        )


def evaluate(
    manifest: Manifest,
    root: Root,
    out: Annotated[Path, typer.Option(dir_okay=False, help="A JSON file.")],
    model: Model = "",
    head: Head = "",
    split: Annotated[
        str, typer.Option(help="Rows of the manifest, by their column split.")
    ] = "test",
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Print accuracy and AP for each generator, and write them as OUT-table.md and "
            "OUT-table.csv.",
        ),
    ] = False,
    device: Device = "auto",
    batch: Annotated[
        int, typer.Option(min=1, help="Pictures judged together; 64 suit a graphics card.")
    ] = 4,
    workers: Annotated[int, typer.Option(min=1, help="Pictures decoded at once.")] = 1,
) -> None:
    """Measure a detector on a split: every picture as it is, by set, by source.

    Scores are kept in OUT-scores.jsonl until the report is written: started again after a kill, it
    goes on from there.

    With --table, also as papers do: a row a generator (a set of the manifest) and their mean, in
    Markdown and CSV.
    """
    # 1. The imports take seconds, for which --help need not wait
    model = chosen_model(model, head)
    with exit_with_sentence(ModuleNotFoundError):
        from causalclip.detector import FILES
        from causalclip.device import NoDevice, choose_device
        from training.detector.data import BadManifest, RunStopped, stopped_in_a_sentence
        from training.detector.evaluation import evaluate_detector, read_split
        from training.detector.generator_table import as_csv, as_markdown, generator_table

    # 2. What is read, and what is written
    markdown, text = (out.with_name(f"{out.stem}-table{suffix}") for suffix in (".md", ".csv"))
    kept = out.with_name(f"{out.stem}-scores.jsonl")
    outputs = [out, kept, markdown, text] if table else [out, kept]
    with exit_with_sentence(BadManifest, NoDevice, OverwritesInput):
        computes = choose_device(device)
        names = {path.name for path in outputs}
        pictures = [
            root / r.path for r in read_split(manifest, split) if Path(r.path).name in names
        ]
        check_outputs(outputs, [manifest, *(Path(model) / name for name in FILES), *pictures])

    # 3. The measurement
    with (
        exit_with_sentence(BadManifest, RunStopped),
        stopped_in_a_sentence(f"{out} is as it was. The same command goes on from there."),
    ):
        report, scores = evaluate_detector(
            load_detector(model, device=computes),
            manifest,
            root,
            split=split,
            batch=batch,
            workers=workers,
            kept=kept,
        )

    # 4. The files
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    kept.unlink()
    if not table:
        sets = {name: row for name, row in report.items() if name in report["sets"]}
        typer.echo(json.dumps(sets, indent=2))
        return
    rows = generator_table(scores)
    markdown.write_text(as_markdown(rows) + "\n")
    text.write_text(as_csv(rows))
    typer.echo(as_markdown(rows))


@lora.command()
def pack(
    originals: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Where `data collect` put them.")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Where the one file goes.")],
    table: Annotated[Path, typer.Option(dir_okay=False, help="The data set's table.")] = Path(
        "training/tables/pictures.csv.gz"
    ),
) -> None:
    """Shrink the table's originals of `train` and encode them alike, into one file."""
    with exit_with_sentence(ModuleNotFoundError):
        from training.dataset.rules import read_originals
        from training.dataset.table import BadTable
        from training.detector import lora as run
        from training.detector.data import BadManifest
    with exit_with_sentence(BadManifest, BadTable, OSError):
        records = [r for r in read_originals(table, originals) if r.kind == "photo"]
        run.pack(records, originals, out)


@lora.command()
def fit(
    packed: Annotated[Path, typer.Option(exists=True, file_okay=False, help="What `pack` wrote.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Where the tower goes.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="That the steps take.")] = 45,
    batch: Annotated[int, typer.Option(min=2, help="Pictures a step.")] = 256,
    rank: Annotated[int, typer.Option(min=1, help="Of each matrix's update.")] = 16,
    backbone: Annotated[str, typer.Option(help="The tower to begin with.")] = "clip-vit-b-16",
    config: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="By itself training/configs/causal.json."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Learn the update and a head, judged three times by owners that are held out."""
    with exit_with_sentence(ModuleNotFoundError):
        from causalclip.device import choose_device
        from training.detector import lora as run
        from training.detector.data import BadManifest
        from training.detector.recipe import DEFAULT_CONFIG, Recipe
    with exit_with_sentence(TypeError, ValueError, WeightsMissing, BadManifest):
        recipe = Recipe.read(config or DEFAULT_CONFIG)
        out.mkdir(parents=True, exist_ok=True)
        report = run.fit(
            packed,
            out,
            backbone=backbone,
            recipe=recipe,
            run=run.LoraRun(minutes=minutes, batch=batch, rank=rank),
            device=choose_device(device),
        )
    typer.echo(json.dumps(report["checkpoints"], indent=2))
