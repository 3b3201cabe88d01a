"""python -m purifier purify | attack | ask | caption"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from causalclip.commands.shared import TABLE, exit_with_sentence
from causalclip.device import DEVICES, choose_device
from causalclip.images.formats import MAX_BYTES, MIN_SIDE, NAMES
from causalclip.images.loading import load_image
from causalclip.settings import SettingsError
from purifier.attacks import ATTACKS, Attack, run_attack
from purifier.attacks.goals import OBJECTIVES, make_goal
from purifier.models import Models
from purifier.pixels import MAX_PIXELS, check_png, save_exact, to_tensor
from purifier.request import Request
from purifier.vlm.interface import EMBEDDED

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=__doc__,
    epilog=TABLE,
)
SIZES = (
    f"at most {MAX_BYTES >> 20} MB and {MAX_PIXELS / 1e6:g} million pixels, at least "
    f"{MIN_SIDE} on the shorter side"
)

In = Annotated[Path, typer.Argument(metavar="IN", help=f"A picture: {NAMES}; {SIZES}.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Where the result goes, as PNG.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
Vlm = Annotated[str, typer.Option(help="embedded, a model of the hub, or a folder.")]
Prompt = Annotated[
    Path | None,
    typer.Option(
        help="A file of optimise-prompt: words before every prompt of a model of the hub."
    ),
]
LoraEncoder = Annotated[
    bool,
    typer.Option("--lora-encoder", help="By the LoRA encoder: CLIP, adapted to purified pictures."),
]
Device = Annotated[str, typer.Option(help=f"Where models run: {', '.join(DEVICES)}.")]
# after these the exit code is STOPPED; after other ValueErrors, ImageError among them, REFUSED
SETUP_ERRORS = FileNotFoundError, SettingsError  # of files, WeightsMissing among them


def load_models() -> Models:
    """Return the shipped models, each loaded when it is first used."""
    return Models()


@app.callback()
def _about() -> None:
    """Attack a picture, purify it, and ask what a vision-language model sees in it."""


@app.command()
def purify(
    picture: In,
    out: Out,
    steps: Annotated[int, typer.Option(min=1, max=5, help="Steps of the purifier.")] = 1,
    noise: Annotated[
        float,
        typer.Option(
            min=0, max=64, help="Noise that is added first, in 1/255; with --always, 4 at least."
        ),
    ] = 0.0,
    seed: Annotated[
        int | None, typer.Option(help="Of all that is drawn; without it, another one each time.")
    ] = None,
    always: Annotated[
        bool, typer.Option("--always", help="Purify what the attack detector judges clean, too.")
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Take an attack out of a picture; one that is judged clean is returned unchanged, but with
    --always."""
    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        check_png(out)
        image = load_image(picture)

    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        torch_device = choose_device(device)
        pixels = to_tensor(image.pixels).to(torch_device)
        purifier, start = load_models().to(torch_device).purifier, time.perf_counter()
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        result = purifier(pixels, steps, noise, generator, always).images
        seconds = time.perf_counter() - start
        save_exact(result, out)
    change = float((result - pixels).abs().mean() * 255)
    row = {
        "out": str(out),
        "seconds": round(seconds, 3),
        "steps": steps,
        "mean_change": round(change, 3),
    }
    words = f"purified in {seconds:.2f} s; values changed by {change:.1f} of 255 on average."
    if is_same := torch.equal(result, pixels):
        words = f"judged clean; the picture is returned unchanged ({seconds:.2f} s)."
    _print(row | {"unchanged": is_same}, f"{out}: {words}", as_json)


@app.command()
def attack(
    picture: In,
    out: Out,
    kind: Annotated[str, typer.Option("--attack", help=f"{', '.join(ATTACKS)}.")] = "pgd",
    eps: Annotated[
        float,
        typer.Option(help="The budget: in 1/255 for linf, a length on the [0, 1] scale for l2."),
    ] = 8,
    norm: Annotated[str, typer.Option(help="linf or l2.")] = "linf",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of the attack; queries of square. Without it, the attack's own number."
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(OBJECTIVES)}; answer if there is a question, else caption."),
    ] = None,
    question: Annotated[str | None, typer.Option(help="Whose answer is attacked.")] = None,
    target: Annotated[
        str | None, typer.Option(help="What shall be said instead; without it, anything else.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same picture.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Move a picture inside a budget so that a model is misled."""
    aim = objective or ("answer" if question else "caption")
    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        if kind not in ATTACKS:
            raise ValueError(f"There is no attack {kind!r}; use one of {', '.join(ATTACKS)}.")
        settings = Attack(kind, eps, norm, steps or ATTACKS[kind].default_steps, seed=seed)  # type: ignore[arg-type]
        check_png(out)
        on = choose_device(device)
        clean = to_tensor(load_image(picture).pixels).to(on)
        request = Request(attack=settings, objective=aim, question=question or "", target=target)
        goal = make_goal(load_models().to(on), clean, request)
        start = time.perf_counter()
        adversarial = run_attack(settings, clean, goal.objective)
        seconds = time.perf_counter() - start
        save_exact(adversarial, out)
        outcome = goal.outcome(clean, adversarial)
    sentence = (
        f"{out}: {'misled' if outcome['success'] else 'not misled'}. Before: {goal.before}. Now: "
        f"{outcome['after']}. Values changed by at most {outcome['linf']:g} of 255."
    )
    _print({"out": str(out), **outcome, "seconds": round(seconds, 3)}, sentence, as_json)


@app.command()
def ask(
    picture: In,
    question: Annotated[str, typer.Argument(help="What to ask about it.")],
    vlm: Vlm = EMBEDDED,
    prompt: Prompt = None,
    lora_encoder: LoraEncoder = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Ask a vision-language model about a picture."""
    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        model, pixels = _speaker_and_pixels(picture, vlm, prompt, device, lora_encoder=lora_encoder)
        answer = model.answer(pixels, question)[0]
    row = {"answer": answer.text, "confidence": round(answer.confidence, 4), "sure": answer.sure}
    _print(row, answer.spoken, as_json)


@app.command()
def caption(
    picture: In,
    vlm: Vlm = EMBEDDED,
    prompt: Prompt = None,
    lora_encoder: LoraEncoder = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Say in one sentence what a picture shows."""
    with exit_with_sentence(*SETUP_ERRORS, refused=(ValueError,)):
        model, pixels = _speaker_and_pixels(picture, vlm, prompt, device, lora_encoder=lora_encoder)
        output = model.caption(pixels)[0]
    row = {"caption": output.text, "confidence": round(output.confidence, 4)}
    _print(row, output.text, as_json)


def _speaker_and_pixels(
    picture: Path, name: str, prompt: Path | None, device: str, *, lora_encoder: bool
) -> tuple[Any, Any]:
    """Return the model that answers, and the picture as it takes it."""
    image = load_image(picture)

    from purifier.vlm.hub import load_vlm, read_prompt  # imports transformers: seconds

    if lora_encoder and name != EMBEDDED:
        raise ValueError(
            "The LoRA encoder is for the embedded model. Leave out --lora-encoder, or --vlm."
        )
    torch_device = choose_device(device)
    pixels = to_tensor(image.pixels).to(torch_device)
    if name == EMBEDDED and prompt is None:
        return load_models().to(torch_device).speaker(lora_encoder=lora_encoder), pixels
    model: Any = load_vlm(name, prefix=read_prompt(prompt) if prompt else "")
    return model.to(torch_device), pixels


def _print(row: dict[str, Any], words: str, as_json: bool) -> None:
    typer.echo(json.dumps(row) if as_json else words)
