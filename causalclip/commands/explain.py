"""python -m causalclip explain A [B]: what the mask of a picture lets through, and how two masks
differ."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causalclip.commands.shared import DONE, REFUSED, Head, Lang, Model, chosen_model, load_detector
from causalclip.examination.messages import JUDGED_BY
from causalclip.images.formats import ACCEPTED, ImageError
from causalclip.languages import ENGLISH, N_, _, decimal, number, speaking
from causalclip.maps.channels import (
    MaskDifference,
    by_part,
    compare_masks,
    mean_mask,
    part_name,
    passing,
)
from causalclip.report.masks import difference_sentence, mask_sentence
from causalclip.text import spelt

if TYPE_CHECKING:
    from causalclip.detection import Detection

ONE_FOR_ALL = N_("The linear head has one mask for all pictures.")


def explain(
    first: Annotated[Path, typer.Argument(help=f"A picture. {ACCEPTED}")],
    second: Annotated[
        Path | None, typer.Argument(help="Another one, whose mask is compared.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    model: Model = "",
    head: Head = "",
    lang: Lang = ENGLISH,
) -> None:
    """Say what the mask of a picture lets through, and how the masks of two differ, layer by
    layer."""
    detector = load_detector(chosen_model(model, head))

    detections: dict[str, Detection] = {}
    with speaking(lang):
        for path in filter(None, (first, second)):
            try:
                detections[spelt(str(path))] = detector.predict(path)
            except ImageError as error:
                typer.echo(f"{spelt(str(path))}: {error}", err=True)
                raise typer.Exit(REFUSED) from None
        typer.echo(json.dumps(_as_dict(detections)) if as_json else _as_text(detections))
    raise typer.Exit(DONE)


def _as_dict(detections: dict[str, Detection]) -> dict[str, Any]:
    pictures = [
        {
            "path": name,
            "head": detection.head,
            "probability": detection.probability,
            "channels": len(mean_mask(detection)),
            "passing": passing(mean_mask(detection)),
            "mean": float(mean_mask(detection).mean()),
            "parts": {
                part: passing(mask)
                for part, mask in by_part(detection, mean_mask(detection)).items()
            },
        }
        for name, detection in detections.items()
    ]
    if len(detections) < 2:
        return {"pictures": pictures}
    whole, parts = compare_masks(*detections.values())
    return {
        "pictures": pictures,
        "difference": asdict(whole) | {"parts": {part: asdict(one) for part, one in parts.items()}},
    }


def _as_text(detections: dict[str, Detection]) -> str:
    """Return the masks and how they differ, in words."""
    lines = [f"{name}: {mask_sentence(detection)}" for name, detection in detections.items()]
    first = next(iter(detections.values()))
    lines.append(_("Judged by: {head}.", head=_(JUDGED_BY[first.head])))
    if first.head == "linear":
        lines.append(_(ONE_FOR_ALL))
    if len(detections) == 2:
        whole, parts = compare_masks(*detections.values())
        head = [
            _("part"),
            _("channels"),
            _("first"),
            _("second"),
            _("first alone"),
            _("second alone"),
        ]
        head += [_("difference"), _("correlation")]
        rows = [
            head,
            *(_row(part_name(part), one) for part, one in parts.items()),
            _row(_("all"), whole),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [difference_sentence(whole), ""]
        lines += [
            "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
    return "\n".join(lines)


def _row(name: str, one: MaskDifference) -> list[str]:
    counts = one.channels, one.first, one.second, one.only_first, one.only_second
    r = "" if one.correlation is None else decimal(one.correlation, digits=2)
    return [name, *map(number, counts), decimal(one.mean, digits=2), r]
