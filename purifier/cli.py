"""python -m purifier purify | attack | ask | caption
| train | refine | train-eye | refit-gate | evaluate | optimise-prompt"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from causalclip.cli_helpers import REFUSED, STOPPED, TABLE
from causalclip.clip.paths import WeightsMissing
from causalclip.pictures.formats import MAX_BYTES, MIN_SIDE, NAMES
from causalclip.pictures.loading import ImageError, load_image
from purifier import commands
from purifier.models import Models
from purifier.names import ATTACKS, MAX_PIXELS, OBJECTIVES, check_name, check_png

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__, epilog=TABLE
)
app.command("train")(commands.train)
app.command("refine")(commands.refine)
app.command("train-eye")(commands.train_eye)
app.command("refit-gate")(commands.refit)
app.command("evaluate")(commands.evaluate)
app.command("optimise-prompt")(commands.optimise)

SIZES = f"at most {MAX_BYTES >> 20} MB and {MAX_PIXELS / 1e6:g} million pixels, at least {MIN_SIDE} on the shorter side"
In = Annotated[Path, typer.Argument(metavar="IN", help=f"A picture: {NAMES}; {SIZES}.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Where the result goes, as PNG.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
Vlm = Annotated[str, typer.Option(help="embedded, a model of the hub, or a folder.")]
Eye = Annotated[
    bool, typer.Option(help="By the encoder (CLIP with a LoRA adapter) that is adapted to purified pictures.")
]


def load_models() -> Models:
    """The shipped models, each loaded when it is first used."""
    return Models()


@app.callback()
def _settings() -> None:
    """Attack a picture, purify it, and ask what a vision-language model sees in it."""


@app.command()
def purify(
    picture: In,
    out: Out,
    steps: Annotated[int, typer.Option(min=1, max=5, help="Steps of the purifier.")] = 1,
    noise: Annotated[
        float, typer.Option(min=0, max=64, help="Noise that is added first, in 1/255; with --always, 4 at least.")
    ] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Of all that is drawn; without it, another one each time.")] = None,
    always: Annotated[bool, typer.Option("--always", help="Purify what the gate judges clean, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take an attack out of a picture; one that the gate judges clean is returned unchanged, but with --always."""
    with _sentences():
        check_png(out)
        image = load_image(picture)

    import torch  # seconds of imports, which a wrong name need not wait for

    from purifier.pixels import save_exact, to_tensor

    with _sentences():
        pixels = to_tensor(image.pixels)
        purifier, started = load_models().purifier, time.perf_counter()
        drawn = None if seed is None else torch.Generator().manual_seed(seed)
        cleaned = purifier(pixels, steps, noise, drawn, always).images
        seconds = time.perf_counter() - started
        save_exact(cleaned, out)
    changed = float((cleaned - pixels).abs().mean() * 255)
    row = {"out": str(out), "seconds": round(seconds, 3), "steps": steps, "mean_change": round(changed, 3)}
    words = f"purified in {seconds:.2f} s; values changed by {changed:.1f} of 255 on average."
    if unchanged := torch.equal(cleaned, pixels):
        words = f"the gate judged the picture clean; it is returned unchanged ({seconds:.2f} s)."
    _print(row | {"unchanged": unchanged}, f"{out}: {words}", as_json)


@app.command()
def attack(
    picture: In,
    out: Out,
    kind: Annotated[str, typer.Option("--attack", help=f"{', '.join(ATTACKS)}.")] = "pgd",
    eps: Annotated[float, typer.Option(help="The budget: in 1/255 for linf, a length on the [0, 1] scale for l2.")] = 8,
    norm: Annotated[str, typer.Option(help="linf or l2.")] = "linf",
    steps: Annotated[int, typer.Option(min=1, help="Of the attack; queries of square.")] = 20,
    objective: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(OBJECTIVES)}; answer if there is a question, else caption."),
    ] = None,
    question: Annotated[str | None, typer.Option(help="Whose answer is attacked.")] = None,
    target: Annotated[str | None, typer.Option(help="What shall be said instead; without it, anything else.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same picture.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Move a picture inside a budget so that a model is misled."""
    goal = objective or ("answer" if question else "caption")
    with _sentences():
        check_name(kind, ATTACKS, "attack")
        check_name(goal, OBJECTIVES, "objective")
        check_png(out)
        image = load_image(picture)

    from purifier.aims import make_aim
    from purifier.attacks import Attack, linf, run_attack
    from purifier.pixels import save_exact, to_tensor

    with _sentences():
        clean = to_tensor(image.pixels)
        chosen = Attack(kind, eps=eps, norm=norm, steps=steps, seed=seed)  # type: ignore[arg-type]
        aim = make_aim(load_models(), clean, goal, question=question, target=target)
        started = time.perf_counter()
        moved = run_attack(chosen, clean, aim.objective)
        seconds = time.perf_counter() - started
        save_exact(moved, out)
        after = aim.say(moved)
    row = {
        "out": str(out),
        "success": aim.reached(after),
        "linf": round(float(linf(moved, clean)), 2),
        "before": aim.before,
        "after": after,
        "seconds": round(seconds, 3),
    }
    done = "misled" if row["success"] else "not misled"
    said = f"{out}: {done}. Before: {aim.before}. Now: {after}. Values changed by at most {row['linf']:g} of 255."
    _print(row, said, as_json)


@app.command()
def ask(
    picture: In,
    question: Annotated[str, typer.Argument(help="What to ask about it.")],
    vlm: Vlm = "embedded",
    eye: Eye = False,
    as_json: AsJson = False,
) -> None:
    """Ask a vision-language model about a picture."""
    with _sentences():
        image = load_image(picture)
        model = _speaker(vlm, eye=eye)

    from purifier.pixels import to_tensor

    with _sentences():
        answer = model.answer(to_tensor(image.pixels), question)[0]
    row = {"answer": answer.text, "confidence": round(answer.confidence, 4), "sure": answer.sure}
    _print(row, answer.spoken, as_json)


@app.command()
def caption(picture: In, vlm: Vlm = "embedded", eye: Eye = False, as_json: AsJson = False) -> None:
    """Say in one sentence what a picture shows."""
    with _sentences():
        image = load_image(picture)
        model = _speaker(vlm, eye=eye)

    from purifier.pixels import to_tensor

    with _sentences():
        said = model.caption(to_tensor(image.pixels))[0]
    _print({"caption": said.text, "confidence": round(said.confidence, 4)}, said.text, as_json)


def _speaker(name: str, *, eye: bool) -> Any:
    from purifier.vlm.hub import EMBEDDED, load_vlm

    if name == EMBEDDED:
        return load_models().speaker(eye=eye)
    if eye:
        raise ValueError("The adapted encoder is for the embedded model. Leave out --eye, or --vlm.")
    return load_vlm(name)


@contextmanager
def _sentences() -> Iterator[None]:
    """Errors that are written for users end the command with their sentence: code 2 for refused pictures, else 1."""
    try:
        yield
    except ImageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(REFUSED) from None
    except (WeightsMissing, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(STOPPED) from None


def _print(row: dict[str, Any], words: str, as_json: bool) -> None:
    typer.echo(json.dumps(row) if as_json else words)
