"""python -m training papers: from two folders to both papers' tables."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from causalclip.commands.shared import STOPPED, exit_with_sentence

CONFIGS = Path(__file__).parent / "configs"
# The three recipes of docs/papers.md: the configuration, and hours on two cores (the same page)
RECIPES = {
    "bridge": ("supervised", 1.0),
    "noise": ("noise", 0.42),
    "regression": ("regression", 0.42),
}
PAIRS_HOURS = 0.25  # of 25 batches (docs/papers.md)
QUESTIONS_HOURS = 0.67  # 100 pictures, twice, four defences (docs/papers.md)
DEFENDED = (
    "the network",
    *(f"the {name} denoiser" for name in ("supervised", "unsupervised", "regression")),
)
# Seconds a picture on two cores, with ViT-B/16
FEATURES_SECONDS = (2.5 + 0.4) * 3600 / 14_873  # and the heads' steps (docs/training.md)
VERDICT_SECONDS = 1.2  # of a processor (docs/tried.md)
DEEPER = 5  # what a tower of 24 layers should take of that: a guess (docs/training.md)
FEATURE_BYTES = 1.5e9 / 320_000  # of a picture, with the paper's configuration (docs/papers.md)


@dataclass(frozen=True, slots=True)
class Step:
    """A documented command.

    Attributes:
        words: after `python -m`.
        result: what it writes last; once it is there, the step is complete.
        work: what it goes through. hours: on two cores. gib: of disk; None was not measured.
    """

    words: list[str]
    result: Path
    work: str
    hours: float
    gib: float | None = None

    def describe(self) -> str:
        """Return a line on what the step takes."""
        if self.result.is_file():
            return f"{self.name}: complete"
        disk = "not measured" if self.gib is None else f"{self.gib:.1f} GiB"
        return f"{self.name}: {self.work}, {self.hours:,.1f} hours, disk {disk}"

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

    First it says what each step takes on two cores without a graphics card. Started again, it goes
    on from where it was; a step whose result is there is not run again.
    """
    if not genimage and not vlm:
        raise typer.BadParameter("Give --genimage, --vlm, or both.")
    from training.dataset.folders import BadFolder

    with exit_with_sentence(BadFolder, FileNotFoundError):
        steps: list[Step] = []
        if genimage:
            steps += detector_steps(
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


def detector_steps(
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
    return [
        Step([*listing, "--out", str(manifest)], manifest, f"{len(rows):,} rows", 0.0, 0.0),
        Step(
            training,
            model / "README.md",
            f"{learned:,} pictures",
            hours[0],
            learned * FEATURE_BYTES / 2**30,
        ),
        Step(
            [*judging, "--table"], out / "genimage-table.csv", f"{judged:,} pictures", hours[1], 0.0
        ),
    ]


def purifier_steps(data: Path, out: Path) -> list[Step]:
    """Return CoDefend's: three networks on the same pairs, and their table."""
    from training.vlm.data import load_pictures

    count, cache = len(load_pictures(data)), out / "purifier"
    steps: list[Step] = []
    for folder, (config, hours) in RECIPES.items():
        words = ["training", "purifier", "train", "--out", str(cache / folder), "--data", str(data)]
        words += ["--batches", "25", "--cache", str(cache)]
        words += ["--config", str(CONFIGS / f"purifier-{config}.json")]
        hours += 0 if steps else PAIRS_HOURS
        work = f"1,000 steps on 25 batches of {count:,} pictures"
        steps.append(Step(words, cache / folder / "README.md", work, hours))
    report = out / "recipes.json"
    words = ["benchmarks.defences", "--data", str(data), "--out", str(report)]
    words += ["--pictures", "100", "--seeds", "2", "--columns", "PGD 8/255"]
    words += ["--rows", ";".join(f"{name} alone, adapted encoder" for name in DEFENDED)]
    words += ["--compared", str(cache), "--keep", str(cache / "measured")]
    words += ["--made", str(cache / "attacked")]
    return [*steps, Step(words, report, "100 pictures, twice, four defences", QUESTIONS_HOURS)]
