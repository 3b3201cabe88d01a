"""python -m training papers: from two folders to both papers' tables."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from causalclip.commands.shared import STOPPED, exit_with_sentence

CONFIGS = Path(__file__).parent / "configs"
# The six networks of docs/papers.md; hours on two cores (the same page)
RECIPES = {"bridge": "supervised", "noise": "noise", "regression": "regression"}  # configurations
GUIDED = {"": ("0", 0.1), "guided-": ("0.4", 0.35)}  # the share of steps, and hours
PAIRS_HOURS = 0.1  # of 25 batches
ENCODER_HOURS = 0.15  # of 200 steps
QUESTIONS_HOURS = 0.7  # an estimate
NAMES = "supervised", "unsupervised", "regression"  # of RECIPES, in the table
ROWS = (
    "no defence",
    *(
        f"the {guided}{name} denoiser alone, {encoder}"
        for guided in ("", "guided ")
        for name in NAMES
        for encoder in ("adapted encoder", "encoder of its own")
    ),
)
# Seconds a picture on two cores, with ViT-B/16
FEATURES_SECONDS = (2.5 + 0.4) * 3600 / 14_873  # and the heads' steps (docs/training.md)
VERDICT_SECONDS = 1.2  # of a processor (docs/tried.md)
DEEPER = 5  # what a tower of 24 layers should take of that: a guess (docs/training.md)
# The paper's configuration with ViT-L/14: 768 channels and two of compression, in half precision
FEATURE_BYTES = 2 * 770
# GiB of memory at the most, and of a picture (docs/papers.md says how they were measured)
FITTING, FITTING_PICTURE, LARGE_TOWER = 0.65, 5_100 / 2**30, 1.2
NETWORK, ENCODER = 2.3, 2.2


@dataclass(frozen=True, slots=True)
class Step:
    """A documented command.

    Attributes:
        words: after `python -m`.
        result: what it writes last; once it is there, the step is complete.
        work: what it goes through. hours: on two cores. disk, memory: in GiB, the latter at the
            most; None was not measured.
    """

    words: list[str]
    result: Path
    work: str
    hours: float
    disk: float | None = None
    memory: float | None = None

    def describe(self) -> str:
        """Return a line on what the step takes."""
        if self.result.is_file():
            return f"{self.name}: complete"
        room = {"disk": self.disk, "memory": self.memory}
        sizes = [
            f"{name} {'not measured' if gib is None else f'{gib:.1f} GiB'}"
            for name, gib in room.items()
        ]
        return f"{self.name}: {self.work}, {self.hours:,.1f} hours, {', '.join(sizes)}"

    @property
    def name(self) -> str:
        """The command without its options, and where its result goes."""
        command = " ".join(
            self.words[: self.words.index(next(w for w in self.words if w[:2] == "--"))]
        )
        return f"{command} -> {self.result.parent.name}/{self.result.name}"


def papers(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="For models, tables and what is kept.")
    ],
    genimage: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="GenImage's folder, for CausalCLIP."),
    ] = None,
    vlm: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="What `vlm data` wrote, for CoDefend."),
    ] = None,
    layout: Annotated[
        str, typer.Option(help="Of --genimage: genimage, universalfakedetect or flat.")
    ] = "genimage",
    series: Annotated[str, typer.Option("--train", help="The series that is learned from.")] = (
        "imagenet_ai_0419_sdv4"
    ),
    config: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="The detector's settings.")
    ] = CONFIGS / "paper.json",
    backbone: Annotated[
        str, typer.Option(help="The detector's tower.")
    ] = "ViT-L-14-quickgelu/openai",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what each step takes, and run none.")
    ] = False,
) -> None:
    """Run the commands of docs/papers.md in their order: GenImage's table, CoDefend's, or both.

    First it says what each step takes on two cores without a graphics card; while features are
    computed, each processor has a worker beside it, of 0.4 GiB. Started again, it goes
    on from where it was; a step whose result is there is not run again.
    """
    if not genimage and not vlm:
        raise typer.BadParameter("Give --genimage, --vlm, or both.")
    from training.dataset.folders import BadFolder

    with exit_with_sentence(BadFolder, FileNotFoundError):
        steps: list[Step] = []
        if genimage:
            steps += _detector_steps(
                genimage, out, layout=layout, series=series, config=config, backbone=backbone
            )
        if vlm:
            steps += purifier_steps(vlm, out)
    for step in steps:
        typer.echo(step.describe())
    if estimate:
        return
    out.mkdir(parents=True, exist_ok=True)
    for step in steps:
        if step.result.is_file():
            continue
        given = [] if "data" in step.words else ["--device", device]
        if run_step([*step.words, *given]):
            typer.echo(f"{step.name} has stopped. The same command goes on from there.", err=True)
            raise typer.Exit(STOPPED)


def run_step(words: list[str]) -> int:
    """Run `python -m WORDS` and return its exit code."""
    return subprocess.run([sys.executable, "-m", *words], check=False).returncode


def _detector_steps(
    root: Path, out: Path, *, layout: str, series: str, config: Path, backbone: str
) -> list[Step]:
    """Return CausalCLIP's: a manifest, the detector, its table."""
    from training.dataset.folders import READERS, BadFolder, read_folder

    if layout not in READERS:
        raise BadFolder(f"{layout!r} is none of {', '.join(READERS)}.")
    rows = read_folder(root, layout, train=[series])
    learned, judged = (sum(row.split == split for row in rows) for split in ("train", "test"))
    deeper = DEEPER if "ViT-L" in backbone else 1
    hours = [deeper * FEATURES_SECONDS * learned / 3600, deeper * VERDICT_SECONDS * judged / 3600]
    manifest, model, report = out / "genimage.csv", out / "genimage", out / "genimage.json"
    listing = ["training", "data", "folder", str(root), "--layout", layout, "--train", series]
    pictures = ["--manifest", str(manifest), "--root", str(root)]
    training = ["training", "detector", *pictures, "--out", str(model), "--config", str(config)]
    training += ["--backbone", backbone, "--cache", str(out / "features")]
    judging = ["training", "evaluate", *pictures, "--model", str(model), "--out", str(report)]
    papers_own = config == CONFIGS / "paper.json"  # what memory and disk were measured with
    return [
        Step([*listing, "--out", str(manifest)], manifest, f"{len(rows):,} rows", 0.0),
        Step(
            training,
            model / "README.md",
            f"{learned:,} pictures",
            hours[0],
            learned * FEATURE_BYTES / 2**30 if papers_own else None,
            FITTING + LARGE_TOWER + learned * FITTING_PICTURE if papers_own else None,
        ),
        Step([*judging, "--table"], out / "genimage-table.csv", f"{judged:,} pictures", hours[1]),
    ]


def purifier_steps(data: Path, out: Path) -> list[Step]:
    """Return CoDefend's: six networks, an encoder behind each, and their table."""
    from training.vlm.data import load_pictures

    cache = out / "purifier"
    source = ["--data", str(data), "--batches", "25", "--cache", str(cache)]
    pairs = f"25 batches of {len(load_pictures(data)):,} pictures"
    steps: list[Step] = []
    for guided, (share, hours) in GUIDED.items():
        for recipe, config in RECIPES.items():
            network = cache / f"{guided}{recipe}"
            encoder = cache / f"{guided}{recipe}-encoder"
            words = ["training", "purifier", "train", "--out", str(network), *source]
            words += ["--config", str(CONFIGS / f"purifier-{config}.json"), "--guided", share]
            hours_of_pairs = 0 if steps else PAIRS_HOURS
            work = f"400 steps on {pairs}"
            hours_of_both = hours + hours_of_pairs
            steps.append(Step(words, network / "README.md", work, hours_of_both, memory=NETWORK))
            words = ["training", "purifier", "train-encoder", "--out", str(encoder), *source]
            words += ["--config", str(CONFIGS / "purifier-encoder-alone.json")]
            words += ["--behind", str(network), "--noise", "12" if recipe == "noise" else "0"]
            work = f"200 steps on {pairs}"
            steps.append(Step(words, encoder / "README.md", work, ENCODER_HOURS, memory=ENCODER))
    return [*steps, _questions(data, out, cache)]


def _questions(data: Path, out: Path, cache: Path) -> Step:
    """Return what asks about attacked pictures behind each network."""
    report = out / "recipes.json"
    words = ["benchmarks.defences", "--data", str(data), "--out", str(report)]
    words += ["--pictures", "100", "--seeds", "1", "--columns", "clean;PGD 8/255"]
    words += ["--rows", ";".join(ROWS)]
    words += ["--compared", str(cache), "--keep", str(cache / "measured")]
    words += ["--made", str(cache / "attacked")]
    work = f"100 pictures, clean and attacked, {len(ROWS)} defences"
    return Step(words, report, work, QUESTIONS_HOURS)
