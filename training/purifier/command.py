"""python -m training purifier train | refine | refit-detector | train-encoder | optimise-prompt"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from causalclip.commands.shared import exit_with_sentence
from causalclip.device import DEVICES, choose_device
from purifier.cli import SETUP_ERRORS, load_models
from purifier.vlm.interface import EMBEDDED

CACHE = Path(".cache/purifier")
NO_DATA = "Give the pictures to learn from: --data, a folder with flickr8k.jsonl and so on."

Data = Annotated[
    Path | None, typer.Option(help="A folder with flickr8k.jsonl, coco.jsonl, daquar.jsonl.")
]
Forensics = Annotated[
    Path | None, typer.Option(help="A folder with manifest.csv, of real and generated pictures.")
]
Batches = Annotated[int, typer.Option(min=3, help="Of adversarial pairs, made first and kept.")]
Cache = Annotated[
    Path,
    typer.Option(
        help="Of what is made and kept: pairs, checkpoint, log. What was stopped goes on from "
        "there."
    ),
]

Device = Annotated[str, typer.Option(help=f"Where it runs: {', '.join(DEVICES)}.")]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn a purifier from adversarial pairs, and what stands beside it.",
)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Where the purifier and its card go.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="JSON: {pairs: ..., train: ...}, settings of PairsConfig and DenoiserConfig."
        ),
    ] = None,
    guided: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of the steps that CLIP guides, in place of the config's."
        ),
    ] = None,
    base: Annotated[
        str,
        typer.Option(
            help="A latent diffusion model to fine-tune by LoRA, such as Stable Diffusion 1 or 2: "
            "a folder with unet and vae, or a name of the hub. Without it, a new network on pixels."
        ),
    ] = "",
    batches: Batches = 300,
    cache: Cache = CACHE,
    device: Device = "auto",
) -> None:
    """Train a purifier on adversarial pairs, made against CLIP, the language model and the
    detector."""
    from training.purifier.denoiser import train_purifier
    from training.purifier.pairs import training_sources

    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        sources = training_sources(data, forensics)
        options = _options(config, batches, cache, device)
        if guided is not None:
            options["settings"].setdefault("train", {})["guided"] = guided
        train_purifier(sources, out, base=base, **options)


@app.command("refit-detector")
def refit_detector(
    folder: Annotated[
        Path,
        typer.Option(help="Of a trained purifier; its attack detector and card are written anew."),
    ],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None, typer.Option(help="JSON: {attack_detector: ...}, settings of PairsConfig.")
    ] = None,
    batches: Batches = 100,
    cache: Cache = CACHE,
    device: Device = "auto",
) -> None:
    """Fit the attack detector of a trained purifier anew: what it takes for attacked."""
    from training.purifier.denoiser import refit_attack_detector
    from training.purifier.pairs import training_sources

    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        sources = training_sources(data, forensics)
        refit_attack_detector(sources, folder, **_options(config, batches, cache, device))


@app.command()
def refine(
    folder: Annotated[Path, typer.Option(help="Of a trained purifier; all of it is written anew.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="JSON: {pairs: ..., refine: ..., attack_detector: ...}, settings of PairsConfig "
            "and RefiningConfig."
        ),
    ] = None,
    batches: Batches = 100,
    cache: Cache = CACHE,
    device: Device = "auto",
) -> None:
    """Go on with a trained purifier, on attacks that are made as it learns, guided by the language
    model."""
    from training.purifier.denoiser import refine_purifier
    from training.purifier.pairs import question_pool, training_sources

    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        sources, pool = training_sources(_needed(data), forensics), question_pool(_needed(data))
        refine_purifier(sources, pool, folder, **_options(config, batches, cache, device))


@app.command("train-encoder")
def train_encoder_command(
    out: Annotated[Path, typer.Option(help="Where the LoRA encoder and its card go.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="JSON: {pairs: ..., lora_encoder: ...}, settings of PairsConfig and AdapterConfig."
        ),
    ] = None,
    batches: Batches = 400,
    cache: Cache = CACHE,
    device: Device = "auto",
    start: Annotated[
        Path | None, typer.Option(help="A folder with the LoRA encoder to go on from.")
    ] = None,
    behind: Annotated[
        Path | None,
        typer.Option(
            help="The purifier behind which it learns, in place of the shipped one. Without an "
            "attack detector its network stands alone."
        ),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            min=0, max=64, help="1/255, added before a network alone that learned from noise: 12."
        ),
    ] = None,
) -> None:
    """Train the LoRA encoder for purified pictures, which guides the purifier, too: a low-rank
    update of CLIP."""
    from purifier.denoiser.pipeline import PurifierPipeline
    from training.purifier.adapter import train_encoder

    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        options = _options(config, batches, cache, device)
        if noise is not None:
            options["settings"].setdefault("lora_encoder", {})["noise"] = noise
        if behind:
            options["purifier"] = PurifierPipeline.from_pretrained(behind)
        numbers = train_encoder(_needed(data), forensics, out, start=start, **options)
    typer.echo(json.dumps(numbers))


@app.command("optimise-prompt")
def optimise(
    out: Annotated[
        Path,
        typer.Option(help="A JSON file for the words, which --prompt and CAUSALCLIP_PROMPT take."),
    ],
    vlm: Annotated[str, typer.Option(help="A model of the hub, or a folder.")],
    data: Data = None,
    config: Annotated[Path | None, typer.Option(help="JSON with settings of SearchConfig.")] = None,
) -> None:
    """Search a defence prompt for a model of the hub: words before every question."""
    from purifier.vlm.hub import HubVLM, load_vlm
    from training.purifier.prompts import SearchConfig, optimise_prompt

    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        model = None if not _needed(data) or vlm == EMBEDDED else load_vlm(vlm)
        if not isinstance(model, HubVLM):
            raise ValueError(
                "Words are for a model of the hub. For the embedded one: train-encoder."
            )
        purifier = load_models().purifier
        numbers = optimise_prompt(
            _needed(data),
            out,
            model,
            config=SearchConfig(**_settings(config)),
            purify=lambda pixels: purifier(pixels).images,
        )
    typer.echo(json.dumps(numbers))


def _needed(data: Path | None) -> Path:
    if data is None:
        raise FileNotFoundError(NO_DATA)
    return data


def _options(config: Path | None, batches: int, cache: Path, device: str) -> dict[str, Any]:
    """Return what every training takes alike, as its function's arguments."""
    return {
        "settings": _settings(config),
        "batches": batches,
        "cache": cache,
        "device": choose_device(device),
    }


def _settings(config: Path | None) -> dict[str, Any]:
    """Return what the file says, or nothing."""
    return dict(json.loads(config.read_text())) if config else {}
