"""The commands that need the data: train, refine, train-eye, refit-gate, evaluate, optimise-prompt."""

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from causalclip.cli_helpers import STOPPED
from causalclip.clip.paths import WeightsMissing

Data = Annotated[Path | None, typer.Option(help="A folder with flickr8k.jsonl, coco.jsonl, daquar.jsonl.")]
Forensics = Annotated[Path | None, typer.Option(help="A folder with manifest.csv, of real and generated pictures.")]

Batches = Annotated[int, typer.Option(min=3, help="Of adversarial pairs, made first and kept.")]
Cache = Annotated[
    Path, typer.Option(help="Of what is made and kept: pairs, checkpoint, log. What was stopped goes on from there.")
]
CACHE = Path(".cache/purifier")
NO_DATA = "Give the pictures to learn from: --data, a folder with flickr8k.jsonl and so on."


def train(
    out: Annotated[Path, typer.Option(help="Where the purifier and its card go.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None, typer.Option(help="JSON: {pairs: ..., train: ...}, settings of PairsConfig and TrainConfig.")
    ] = None,
    batches: Batches = 300,
    cache: Cache = CACHE,
) -> None:
    """Train a purifier on adversarial pairs, made against CLIP, the language model and the detector."""
    from purifier.training import train_purifier
    from purifier.training.sources import training_sources

    settings = _settings(config)
    try:
        sources = training_sources(data, forensics)
    except FileNotFoundError as error:
        _stop(error)
    train_purifier(sources, out, settings=settings, batches=batches, cache=cache)


def refit(
    folder: Annotated[Path, typer.Option(help="Of a trained purifier; its gate and card are written anew.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[Path | None, typer.Option(help="JSON: {gate: ...}, settings of PairsConfig.")] = None,
    batches: Batches = 100,
    cache: Cache = CACHE,
) -> None:
    """Fit the gate of a trained purifier anew: what it takes for attacked."""
    from purifier.training import refit_gate
    from purifier.training.sources import training_sources

    settings = _settings(config)
    try:
        refit_gate(training_sources(data, forensics), folder, settings=settings, batches=batches, cache=cache)
    except (FileNotFoundError, WeightsMissing) as error:
        _stop(error)


def refine(
    folder: Annotated[Path, typer.Option(help="Of a trained purifier; network, gate and card are written anew.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None,
        typer.Option(help="JSON: {pairs: ..., refine: ..., gate: ...}, settings of PairsConfig and RefiningConfig."),
    ] = None,
    batches: Batches = 100,
    cache: Cache = CACHE,
) -> None:
    """Go on with a trained purifier, on attacks that are made as it learns, guided by the language model."""
    from purifier.training.refining import refine_purifier
    from purifier.training.sources import question_pool, training_sources

    settings = _settings(config)
    try:
        if data is None:
            raise FileNotFoundError(NO_DATA)
        sources, pool = training_sources(data, forensics), question_pool(data)
        refine_purifier(sources, pool, folder, settings=settings, batches=batches, cache=cache)
    except (FileNotFoundError, WeightsMissing) as error:
        _stop(error)


def evaluate(
    out: Annotated[Path, typer.Option(help="A JSON file; the table is printed, and written beside it as Markdown.")],
    data: Data = None,
    forensics: Forensics = None,
    pictures: Annotated[int, typer.Option(help="Of each seed; 0 only prints what was measured before.")] = 200,
    costly: Annotated[int, typer.Option(min=1, help="Pictures for adaptive attacks and Square.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, with other questions and starts.")] = 3,
    rows: Annotated[str, typer.Option(help="Which, with ; between them; empty for all.")] = "",
    columns: Annotated[str, typer.Option(help="Which, with ; between them; empty for all.")] = "",
    compared: Annotated[
        Path,
        typer.Option(
            help="A folder with the compared recipes: noise, regression, against-itself; others need another --keep."
        ),
    ] = Path(".cache/purifier"),
    keep: Annotated[
        Path, typer.Option(help="A folder for the table of what is measured of each picture; it is gone on with.")
    ] = Path(".cache/purifier/measured"),
    made: Annotated[
        Path, typer.Option(help="Where attacked pictures are kept; an attack that knows no defence is made once.")
    ] = Path(".cache/purifier/attacked"),
) -> None:
    """Measure defences against attacks: the table of docs/measured.md."""
    from purifier.evaluation import EvaluationConfig, evaluate_defences, markdown
    from purifier.evaluation.kept import fingerprint
    from purifier.models import MODELS

    chosen = EvaluationConfig(
        pictures=pictures, costly=costly, seeds=seeds, rows=_list(rows), columns=_list(columns), compared=str(compared)
    )
    measured = keep / f"{fingerprint(MODELS / name for name in ('vlm', 'vlm-eye', 'purifier'))}.csv.gz"
    attacked = made / fingerprint([MODELS / "vlm"])
    earlier = json.loads(out.read_text()) if out.is_file() else None
    try:
        report = evaluate_defences(
            chosen, data=data, forensics=forensics, keep=measured, made=attacked, earlier=earlier, log=typer.echo
        )
    except (FileNotFoundError, ValueError) as error:
        _stop(error)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    typer.echo(markdown(report))


def optimise(
    out: Annotated[Path, typer.Option(help="Where the words go.")],
    vlm: Annotated[str, typer.Option(help="A model of the hub, or a folder.")],
    data: Data = None,
    config: Annotated[Path | None, typer.Option(help="JSON with settings of SearchConfig.")] = None,
) -> None:
    """Search a defence prompt for a model of the hub: words before every question."""
    from purifier.models import Models
    from purifier.prompts.optimise import SearchConfig, optimise_prompt
    from purifier.vlm.hosted import HubVLM
    from purifier.vlm.hub import EMBEDDED, load_vlm

    try:
        if data is None:
            raise FileNotFoundError(NO_DATA)
        settings = SearchConfig(**json.loads(config.read_text())) if config else SearchConfig()
        model = None if vlm == EMBEDDED else load_vlm(vlm)
        if not isinstance(model, HubVLM):
            raise ValueError("Words are for a model of the hub. For the embedded one: train-eye.")
        purifier = Models().purifier
        numbers = optimise_prompt(data, out, model, config=settings, purify=lambda pixels: purifier(pixels).images)
    except (WeightsMissing, FileNotFoundError, ValueError) as error:
        _stop(error)
    typer.echo(json.dumps(numbers))


def train_eye(
    out: Annotated[Path, typer.Option(help="Where the adapted encoder and its card go.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None, typer.Option(help="JSON: {pairs: ..., eye: ...}, settings of PairsConfig and SeeingConfig.")
    ] = None,
    batches: Batches = 400,
    cache: Cache = CACHE,
) -> None:
    """Train the encoder adapted to purified pictures, which guides the purifier, too: a low-rank update of CLIP."""
    from purifier.training.seeing import learn_eye

    settings = _settings(config)
    try:
        if data is None:
            raise FileNotFoundError(NO_DATA)
        numbers = learn_eye(data, forensics, out, settings=settings, batches=batches, cache=cache)
    except (WeightsMissing, FileNotFoundError, ValueError) as error:
        _stop(error)
    typer.echo(json.dumps(numbers))


def _settings(config: Path | None) -> dict[str, Any]:
    """What the file says, or nothing; from here on a training's log is shown."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return dict(json.loads(config.read_text())) if config else {}


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _stop(error: Exception) -> Any:
    typer.echo(str(error), err=True)
    raise typer.Exit(STOPPED) from None
