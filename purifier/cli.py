"""python -m purifier purify | attack | ask | caption
| data | train | refine | train-eye | refit-gate | evaluate | optimise-prompt"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from causalclip.cli_helpers import REFUSED, STOPPED, TABLE
from causalclip.images.formats import MAX_BYTES, MIN_SIDE, NAMES, ImageError
from causalclip.images.loading import load_image
from causalclip.paths import WeightsMissing
from purifier.attacks import ATTACKS, Attack, linf, run_attack
from purifier.attacks.goals import OBJECTIVES, make_goal
from purifier.models import MODELS, Models
from purifier.pixels import MAX_PIXELS, check_png, save_exact, to_tensor
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
CACHE = Path(".cache/purifier")
NO_DATA = "Give the pictures to learn from: --data, a folder with flickr8k.jsonl and so on."

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
Eye = Annotated[
    bool,
    typer.Option(
        help="By the encoder (CLIP with a LoRA adapter) that is adapted to purified pictures."
    ),
]
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


def load_models() -> Models:
    """The shipped models, each loaded when it is first used."""
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
    as_json: AsJson = False,
) -> None:
    """Take an attack out of a picture; one that is judged clean is returned unchanged, but with
    --always."""
    with _sentences():
        check_png(out)
        image = load_image(picture)

    with _sentences():
        pixels = to_tensor(image.pixels)
        purifier, started = load_models().purifier, time.perf_counter()
        drawn = None if seed is None else torch.Generator().manual_seed(seed)
        cleaned = purifier(pixels, steps, noise, drawn, always).images
        seconds = time.perf_counter() - started
        save_exact(cleaned, out)
    changed = float((cleaned - pixels).abs().mean() * 255)
    row = {
        "out": str(out),
        "seconds": round(seconds, 3),
        "steps": steps,
        "mean_change": round(changed, 3),
    }
    words = f"purified in {seconds:.2f} s; values changed by {changed:.1f} of 255 on average."
    if unchanged := torch.equal(cleaned, pixels):
        words = f"judged clean; the picture is returned unchanged ({seconds:.2f} s)."
    _print(row | {"unchanged": unchanged}, f"{out}: {words}", as_json)


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
    as_json: AsJson = False,
) -> None:
    """Move a picture inside a budget so that a model is misled."""
    chosen = objective or ("answer" if question else "caption")
    with _sentences():
        if kind not in ATTACKS:
            raise ValueError(f"There is no attack {kind!r}; use one of {', '.join(ATTACKS)}.")
        made = Attack(kind, eps, norm, steps or ATTACKS[kind].default_steps, seed=seed)  # type: ignore[arg-type]
        check_png(out)
        clean = to_tensor(load_image(picture).pixels)
        goal = make_goal(load_models(), clean, chosen, question=question, target=target)
        started = time.perf_counter()
        moved = run_attack(made, clean, goal.objective)
        seconds = time.perf_counter() - started
        save_exact(moved, out)
        after = goal.say(moved)
    row = {
        "out": str(out),
        "success": goal.reached(after),
        "linf": round(float(linf(moved, clean)), 2),
        "before": goal.before,
        "after": after,
        "seconds": round(seconds, 3),
    }
    done = "misled" if row["success"] else "not misled"
    said = (
        f"{out}: {done}. Before: {goal.before}. Now: {after}. Values changed by at most "
        f"{row['linf']:g} of 255."
    )
    _print(row, said, as_json)


@app.command()
def ask(
    picture: In,
    question: Annotated[str, typer.Argument(help="What to ask about it.")],
    vlm: Vlm = EMBEDDED,
    prompt: Prompt = None,
    eye: Eye = False,
    as_json: AsJson = False,
) -> None:
    """Ask a vision-language model about a picture."""
    with _sentences():
        model, pixels = _speaker_and_pixels(picture, vlm, prompt, eye=eye)
        answer = model.answer(pixels, question)[0]
    row = {"answer": answer.text, "confidence": round(answer.confidence, 4), "sure": answer.sure}
    _print(row, answer.spoken, as_json)


@app.command()
def caption(
    picture: In,
    vlm: Vlm = EMBEDDED,
    prompt: Prompt = None,
    eye: Eye = False,
    as_json: AsJson = False,
) -> None:
    """Say in one sentence what a picture shows."""
    with _sentences():
        model, pixels = _speaker_and_pixels(picture, vlm, prompt, eye=eye)
        said = model.caption(pixels)[0]
    _print({"caption": said.text, "confidence": round(said.confidence, 4)}, said.text, as_json)


def _speaker_and_pixels(
    picture: Path, name: str, prompt: Path | None, *, eye: bool
) -> tuple[Any, Any]:
    image = load_image(picture)

    from purifier.vlm.hub import load_vlm, read_prompt  # imports transformers: seconds

    if eye and name != EMBEDDED:
        raise ValueError(
            "The adapted encoder is for the embedded model. Leave out --eye, or --vlm."
        )
    if name == EMBEDDED and prompt is None:
        return load_models().speaker(eye=eye), to_tensor(image.pixels)
    return load_vlm(name, prefix=read_prompt(prompt) if prompt else ""), to_tensor(image.pixels)


# What needs the data ------------------------------------------------------------------------------


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

    with _sentences():
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
    out: Annotated[Path, typer.Option(help="Where the purifier and its card go.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="JSON: {pairs: ..., train: ...}, settings of PairsConfig and DenoiserConfig."
        ),
    ] = None,
    batches: Batches = 300,
    cache: Cache = CACHE,
) -> None:
    """Train a purifier on adversarial pairs, made against CLIP, the language model and the
    detector."""
    from training.purifier.denoiser import train_purifier
    from training.purifier.pairs import training_sources

    with _sentences():
        sources = training_sources(data, forensics)
        train_purifier(sources, out, settings=_settings(config), batches=batches, cache=cache)


@app.command("refit-gate")
def refit_gate(
    folder: Annotated[
        Path,
        typer.Option(help="Of a trained purifier; its attack detector and card are written anew."),
    ],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None, typer.Option(help="JSON: {gate: ...}, settings of PairsConfig.")
    ] = None,
    batches: Batches = 100,
    cache: Cache = CACHE,
) -> None:
    """Fit the attack detector of a trained purifier anew: what it takes for attacked."""
    from training.purifier.denoiser import refit_attack_detector
    from training.purifier.pairs import training_sources

    with _sentences():
        sources = training_sources(data, forensics)
        refit_attack_detector(
            sources, folder, settings=_settings(config), batches=batches, cache=cache
        )


@app.command()
def refine(
    folder: Annotated[Path, typer.Option(help="Of a trained purifier; all of it is written anew.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="JSON: {pairs: ..., refine: ..., gate: ...}, settings of PairsConfig and "
            "RefiningConfig."
        ),
    ] = None,
    batches: Batches = 100,
    cache: Cache = CACHE,
) -> None:
    """Go on with a trained purifier, on attacks that are made as it learns, guided by the language
    model."""
    from training.purifier.denoiser import refine_purifier
    from training.purifier.pairs import question_pool, training_sources

    with _sentences():
        sources, pool = training_sources(_needed(data), forensics), question_pool(_needed(data))
        refine_purifier(
            sources, pool, folder, settings=_settings(config), batches=batches, cache=cache
        )


@app.command("train-eye")
def train_eye(
    out: Annotated[Path, typer.Option(help="Where the adapted encoder and its card go.")],
    data: Data = None,
    forensics: Forensics = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="JSON: {pairs: ..., eye: ...}, settings of PairsConfig and AdapterConfig."
        ),
    ] = None,
    batches: Batches = 400,
    cache: Cache = CACHE,
    start: Annotated[
        Path | None, typer.Option(help="A folder with the LoRA encoder to go on from.")
    ] = None,
) -> None:
    """Train the LoRA encoder for purified pictures, which guides the purifier, too: a low-rank
    update of CLIP."""
    from training.purifier.adapter import train_encoder

    with _sentences():
        settings = _settings(config)
        numbers = train_encoder(
            _needed(data),
            forensics,
            out,
            settings=settings,
            batches=batches,
            cache=cache,
            start=start,
        )
    typer.echo(json.dumps(numbers))


@app.command()
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
    with _sentences():
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

    with _sentences():
        model = None if not _needed(data) or vlm == EMBEDDED else load_vlm(vlm)
        if not isinstance(model, HubVLM):
            raise ValueError("Words are for a model of the hub. For the embedded one: train-eye.")
        purifier = load_models().purifier
        numbers = optimise_prompt(
            _needed(data),
            out,
            model,
            config=SearchConfig(**_settings(config)),
            purify=lambda pixels: purifier(pixels).images,
        )
    typer.echo(json.dumps(numbers))


@contextmanager
def _sentences() -> Iterator[None]:
    """Errors that are written for users end the command with their sentence: code 2 for refused
    pictures, else 1."""
    try:
        yield
    except ImageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(REFUSED) from None
    except (WeightsMissing, FileNotFoundError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(STOPPED) from None


def _needed(data: Path | None) -> Path:
    if data is None:
        raise FileNotFoundError(NO_DATA)
    return data


def _settings(config: Path | None) -> dict[str, Any]:
    """What the file says, or nothing; from here on a training's log is shown."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return dict(json.loads(config.read_text())) if config else {}


def _list(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(";") if one.strip())


def _print(row: dict[str, Any], words: str, as_json: bool) -> None:
    typer.echo(json.dumps(row) if as_json else words)
