"""python -m causalclip compare A B: are two pictures copies of one, and what was changed?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from causalclip.commands.shared import DONE, REFUSED, Lang, exit_with_sentence
from causalclip.images.formats import ACCEPTED, ImageError
from causalclip.languages import ENGLISH, _, speaking
from causalclip.report.comparison import notes, save_report
from causalclip.text import spelt


def compare(
    a: Annotated[Path, typer.Argument(help=f"A picture. {ACCEPTED}")],
    b: Annotated[Path, typer.Argument(help="Another, such as an earlier copy of it.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="The whole comparison as one JSON object.")
    ] = False,
    out_dir: Annotated[
        Path | None,
        typer.Option(help="Write both pictures there with the changed parts framed, and a report."),
    ] = None,
    lang: Lang = ENGLISH,
) -> None:
    """Compare two copies of a picture: are they the same one, and what was changed between them?

    Crops, sizes, mirroring, tones and compression are compensated. Nothing here says whether either
    was generated.
    """
    with speaking(lang):
        _compare(a, b, as_json=as_json, out_dir=out_dir)


def _compare(a: Path, b: Path, *, as_json: bool, out_dir: Path | None) -> None:
    from causalclip.compare.pictures import compare as run  # OpenCV need not come for --help
    from causalclip.images.loading import load_image

    images = []
    for path in (a, b):
        try:
            images.append(load_image(path))
        except ImageError as error:
            if as_json:
                typer.echo(json.dumps({"path": str(path), "error": str(error)}))
            else:
                typer.echo(f"{spelt(str(path))}: {_('not read.')} {error}")
            raise typer.Exit(REFUSED) from None
    comparison = run(images[0].pixels, images[1].pixels)
    if as_json:
        fields = comparison.model_dump(mode="json")
        typer.echo(json.dumps({"paths": [str(a), str(b)], **fields, "notes": notes(*images)}))
    else:
        rows = (change.describe(number) for number, change in enumerate(comparison.changes, 1))
        sentences = f"{comparison.headline}.", comparison.confidence_sentence, comparison.sentence
        typer.echo("\n".join([" ".join(filter(None, sentences)), *notes(*images), *rows]))
    if out_dir:
        with exit_with_sentence(OSError):
            save_report(comparison, images[0], images[1], out_dir)
    raise typer.Exit(DONE)
