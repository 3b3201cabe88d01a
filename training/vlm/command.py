"""python -m training vlm data | train | measure"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from causalclip.commands.shared import REFUSED, exit_with_sentence
from causalclip.device import DEVICES, choose_device
from purifier.cli import SETUP_ERRORS

Data = Annotated[
    Path, typer.Argument(help="A folder with flickr8k.jsonl, coco.jsonl, daquar.jsonl.")
]
Results = Annotated[Path | None, typer.Option(help="JSON for the numbers, which are printed, too.")]
Threads = Annotated[int, typer.Option(min=1, help="Of PyTorch.")]
Device = Annotated[str, typer.Option(help=f"Where it runs: {', '.join(DEVICES)}.")]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The embedded vision-language model: its pictures and texts, its training, its skill.",
)


@app.command("data")
def make_data(
    out: Annotated[
        Path,
        typer.Option(
            file_okay=False, help="Where flickr8k, coco and daquar go, with their originals."
        ),
    ],
    mirrors: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Bare git directories owner+name; without, GitHub is asked.",
        ),
    ] = None,
    coco: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="COCO's archives, unpacked, for what no repository has.",
        ),
    ] = None,
) -> None:
    """Bring pictures, captions and questions from public repositories, and make the tables that
    training reads.

    Each file is checked by its hash. Started again, it goes on. Exit code 2 if a file of a
    repository is missing.
    """
    from tqdm import tqdm

    from training.vlm.sources import collect_sources, count_present, read_references, write_tables

    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        references = read_references()
        out.mkdir(parents=True, exist_ok=True)
        total, there = sum(bool(r.repo) for r in references), count_present(references, out)
        with tqdm(total=total, initial=there, unit="file") as bar:
            missing = collect_sources(references, out, mirrors=mirrors, tell=bar.update)
        typer.echo(write_tables(references, out, coco=coco, missing=missing))
    if missing:
        raise typer.Exit(REFUSED)


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Where the model and its card go.")],
    warm_start: Annotated[
        Path | None, typer.Option(help="A BERT-like encoder's folder, such as all-MiniLM-L6-v2.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of training.")] = None,
    views: Annotated[
        int | None, typer.Option(min=1, max=6, help="Augmented views of each picture.")
    ] = None,
    seed: int = 0,
    settings: Annotated[
        str, typer.Option(help="A sentence for the card on how the settings were chosen.")
    ] = "",
    results: Results = None,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Train the embedded model and measure it; what was stopped goes on from there."""
    import torch

    from training.vlm.config import VLMTrainConfig
    from training.vlm.recipe import make_vlm

    torch.set_num_threads(threads)
    default = VLMTrainConfig()
    config = replace(
        default, seed=seed, epochs=epochs or default.epochs, views=views or default.views
    )
    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        report = make_vlm(
            data,
            out,
            config=config,
            warm_start=warm_start,
            settings=settings,
            device=choose_device(device),
        )
    _report(report, results)


@app.command()
def measure(
    data: Data,
    model: Annotated[Path, typer.Option(exists=True, file_okay=False, help="A trained model.")],
    results: Results = None,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Measure a model that is there on the split `test`: the numbers of its card."""
    import torch

    from purifier.vlm.model import EmbeddedVLM
    from training.vlm.fitting import CACHE
    from training.vlm.recipe import evaluate_vlm

    torch.set_num_threads(threads)
    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        speaker = EmbeddedVLM.from_pretrained(model).to(choose_device(device))
        report = evaluate_vlm(speaker, data, cache=CACHE)
    _report(report, results)


def _report(report: dict[str, Any], results: Path | None) -> None:
    text = json.dumps(report, indent=2)
    if results:
        results.write_text(text + "\n")
    typer.echo(text)
