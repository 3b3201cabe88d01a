"""python -m causalclip detect | train | evaluate"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from causalclip.clip.weights import WeightsMissing
from causalclip.detector import DEFAULT, Detection, Detector
from causalclip.pictures.loading import ImageError, LoadedImage, load_image

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
REFUSED = 2  # exit code: something could not be read
Manifest = Annotated[
    Path,
    typer.Option(
        exists=True, dir_okay=False, help="CSV with path, label, source, split (and set, view, picture, family)."
    ),
]
Root = Annotated[Path, typer.Option(exists=True, file_okay=False, help="The folder that the manifest's paths are in.")]


@app.callback()
def _settings() -> None:
    """Was this picture generated, and which part of it says so?"""


@app.command()
def detect(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or folders that are walked.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    model: Annotated[str, typer.Option(help="A folder, or a name in assets/models.")] = DEFAULT,
    heatmap_dir: Annotated[Path | None, typer.Option(help="Write each picture's causal map there, as PNG.")] = None,
    report_dir: Annotated[
        Path | None,
        typer.Option(help="Write each picture's report there, as HTML and JSON; the verdict is then the report's own."),
    ] = None,
) -> None:
    """Judge pictures. Exit code 0 if all were read, 2 if any was refused."""
    detector = _load(model)
    for folder in (heatmap_dir, report_dir):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    files = list(_walk(paths))
    refused = not files
    for path in tqdm(files, unit="picture", disable=None if len(files) > 1 else True):
        try:
            image = load_image(path)
        except ImageError as error:
            refused = True
            _print({"path": str(path), "error": str(error)}, as_json=as_json)
            continue
        stem = f"{path.stem}-{image.sha256[:8]}"
        detection = _reported(path, detector, report_dir, stem) if report_dir else detector.predict(image.pixels)
        _print(_row(path, image, detection), as_json=as_json)
        if heatmap_dir:
            _save_map(image, detection, heatmap_dir / f"{stem}.png")
    if not files:
        typer.echo("There is no picture there.", err=True)
    raise typer.Exit(REFUSED if refused else 0)


@app.command()
def train(
    manifest: Manifest,
    root: Root,
    out: Annotated[Path, typer.Option(help="Where the detector, its card and its checkpoints go.")],
    backbone: Annotated[
        str, typer.Option(help="clip-vit-b-16, local-dir:PATH, or MODEL/TAG of open_clip.")
    ] = "clip-vit-b-16",
    config: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="JSON with settings of training.recipe.Recipe."),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where frozen features are kept.")] = Path(".cache/features"),
) -> None:
    """Train a detector: frozen features, a causal head a kind of view, calibration on held-out families.

    Started again after a kill, it goes on from where it was.
    """
    with _told(ModuleNotFoundError):
        from causalclip.training.data import read_manifest
        from causalclip.training.recipe import Recipe, train_detector  # offline only: not needed by the app
    with _told(TypeError, ValueError):
        read_manifest(manifest)
        settings = Recipe.read(config) if config else Recipe()
    with _told(WeightsMissing):
        train_detector(manifest, root, out=out, backbone=backbone, recipe=settings, cache=cache)


@app.command()
def evaluate(
    model: Annotated[str, typer.Option(help="A folder, or a name in assets/models.")],
    manifest: Manifest,
    root: Root,
    out: Annotated[Path, typer.Option(dir_okay=False, help="A JSON file.")],
    split: Annotated[str, typer.Option(help="Rows of the manifest, by their column split.")] = "test",
) -> None:
    """Measure a detector on a split: every picture as it is, by set, by source."""
    with _told(ModuleNotFoundError):
        from causalclip.training.evaluation import evaluate_detector, read_split  # offline only: needs scikit-learn
    with _told(ValueError):
        read_split(manifest, split)
    report = evaluate_detector(_load(model), manifest, root, split=split)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    typer.echo(json.dumps({name: table for name, table in report.items() if name in report["sets"]}, indent=2))


@contextmanager
def _told(*mendable: type[Exception]) -> Iterator[None]:
    """Errors that the user can mend become their sentence and exit code 1; others keep their traceback."""
    try:
        yield
    except mendable as error:
        missing = isinstance(error, ModuleNotFoundError)
        typer.echo(f"{error}. Install requirements-dev.txt for this." if missing else str(error), err=True)
        raise typer.Exit(1) from None


def _load(model: str) -> Detector:
    with _told(WeightsMissing):
        return Detector.from_pretrained(model)


def _walk(paths: list[Path]) -> Iterator[Path]:
    """Files as they are named; folders file by file, in order, hidden ones left out."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        else:
            yield path


def _row(path: Path, image: LoadedImage, detection: Detection) -> dict[str, Any]:
    summary = detection.summary()
    names = ("width", "height", "probability", "logit", "band", "model", "seconds")
    return {"path": str(path), "sha256": image.sha256} | {n: summary[n] for n in names} | {"notes": list(image.notes)}


def _print(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        text = json.dumps(row)
    elif "error" in row:
        text = f"{row['path']}: not read. {row['error']}"
    else:
        text = f"{row['path']}: {row['band']} (probability {row['probability']:.2f})"
    with tqdm.external_write_mode(sys.stdout):
        typer.echo(text.encode("utf-8", "replace").decode())  # a path need not be text


def _save_map(image: LoadedImage, detection: Detection, path: Path) -> None:
    from causalclip.maps.overlay import draw_map, prepare  # matplotlib is slow to import

    draw_map(prepare(image.pixels, detection)).save(path)


def _reported(path: Path, detector: Detector, folder: Path, stem: str) -> Detection:
    """Writes the report; returns its detection, inconclusive where the answer does not survive re-encoding."""
    from causalclip.examine.examination import examine  # C2PA and matplotlib are slow to import
    from causalclip.report.document import save_reports

    x = examine(path.read_bytes(), detector, name=path.name)
    save_reports(x, folder, stem)
    return replace(x.detection, band=x.band)
