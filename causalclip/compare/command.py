"""python -m causalclip compare A B"""

import json
from pathlib import Path
from typing import Annotated

import typer

from causalclip.codes import DONE, REFUSED, STOPPED
from causalclip.languages import _, speaking
from causalclip.languages.names import ENGLISH
from causalclip.languages.option import Lang, check_language
from causalclip.pictures.formats import ACCEPTED, ImageError
from causalclip.pictures.plaintext import spelt


def compare(
    a: Annotated[Path, typer.Argument(help=f"A picture. {ACCEPTED}")],
    b: Annotated[Path, typer.Argument(help="Another, such as an earlier copy of it.")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole comparison as one JSON object.")] = False,
    out_dir: Annotated[
        Path | None, typer.Option(help="Write both pictures there with the changed parts framed, and a report.")
    ] = None,
    lang: Lang = ENGLISH,
) -> None:
    """Compare two copies of a picture: are they the same one, and what was changed between them?

    Crops, sizes, mirroring, tones and compression are compensated. Nothing here says whether either was generated.
    """
    check_language(lang)
    with speaking(lang):
        _compare(a, b, as_json=as_json, out_dir=out_dir)


def _compare(a: Path, b: Path, *, as_json: bool, out_dir: Path | None) -> None:
    from causalclip.compare.comparison import compare as run  # OpenCV need not come for --help
    from causalclip.compare.report import notes, save_report
    from causalclip.compare.words import headline, row
    from causalclip.pictures.loading import load_image

    loaded = []
    for path in (a, b):
        try:
            loaded.append(load_image(path))
        except ImageError as error:
            said = {"path": str(path), "error": str(error)}
            typer.echo(json.dumps(said) if as_json else f"{spelt(str(path))}: {_('not read.')} {error}")
            raise typer.Exit(REFUSED) from None
    found = run(loaded[0].pixels, loaded[1].pixels)
    if as_json:
        typer.echo(json.dumps({"paths": [str(a), str(b)]} | found.as_dict() | {"notes": notes(*loaded)}))
    else:
        rows = (row(number, change) for number, change in enumerate(found.changes, 1))
        typer.echo("\n".join([f"{headline(found)}. {found.sentence}", *notes(*loaded), *rows]))
    if out_dir:
        try:
            save_report(found, loaded[0], loaded[1], out_dir)
        except OSError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(STOPPED) from None
    raise typer.Exit(DONE)
