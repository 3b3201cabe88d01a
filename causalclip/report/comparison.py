"""The report on two pictures: one HTML file that needs nothing else, JSON, and both pictures with
their frames."""

from __future__ import annotations

import base64
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from causalclip.languages import N_, _, current, day, ended, moment, paragraph
from causalclip.report.pictures import draw_boxes

if TYPE_CHECKING:
    from causalclip.compare.result import Comparison
    from causalclip.images.formats import Box
    from causalclip.images.loading import LoadedImage

OUTSIDE = 128  # of 255, what one of the two does not show: calm on a light and on a dark page
LIMITS = (
    N_(
        "A comparison says what differs between two copies. It does not say which of them is the "
        "earlier one, or whether either shows what happened."
    ),
    N_(
        "Small or faint changes can be missed, and so can changes to what only one of the two "
        "shows."
    ),
    N_(
        "A copy that was made anew from top to bottom, as some editors do, is called another "
        "moment of the same scene."
    ),
)
PLACES = (
    (N_("First picture"), N_("The first picture, its changed parts framed")),
    (N_("Second picture"), N_("The second picture, its changed parts framed")),
)


def content(comparison: Comparison, a: LoadedImage, b: LoadedImage) -> dict[str, Any]:
    """Return what the report holds, as plain JSON types."""
    fields = "sha256", "format", "width", "height", "file_size"
    files = [{field: getattr(picture, field) for field in fields} for picture in (a, b)]
    return {
        "report": _("CausalCLIP comparison of two pictures"),
        "language": current(),
        "schema": 2,
        "pictures": files,
        "comparison": comparison.model_dump(mode="json"),
        "notes": notes(a, b),
        "limits": [_(limit) for limit in LIMITS],
        "compared": datetime.now(UTC).replace(microsecond=0).isoformat(),
    }


def quote(comparison: Comparison, a: LoadedImage, b: LoadedImage) -> str:
    """Return a few sentences that can stand without the page, and in a second line which files they
    are about."""
    answer = _(
        "CausalCLIP compared two pictures, {day}: “{answer}”.",
        day=day(datetime.now(UTC)),
        answer=comparison.headline,
    )
    return f"{paragraph(answer, comparison.sentence)}\nSHA-256: {a.sha256}, {b.sha256}"


def notes(a: LoadedImage, b: LoadedImage) -> list[str]:
    """Return sentences on which file either picture is a part of, and on what was done to it as it
    was read: of one that was halved, sizes and boxes are of the half."""
    return [
        f"{_(name)}: {note}"
        for (name, _alt), picture in zip(PLACES, (a, b), strict=True)
        for note in (*([ended(picture.part.words)] if picture.part else []), *picture.notes)
    ]


def save_report(comparison: Comparison, a: LoadedImage, b: LoadedImage, folder: Path) -> Path:
    """Write comparison.html, comparison.json, first.png and second.png into a folder; return the
    HTML's path."""
    folder.mkdir(parents=True, exist_ok=True)
    changes = comparison.changes
    figures = (
        draw_boxes(a.pixels, [change.box_a for change in changes]),
        draw_boxes(b.pixels, [change.box_b for change in changes]),
    )
    for name, picture in zip(("first", "second"), figures, strict=True):
        picture.save(folder / f"{name}.png")
    report = content(comparison, a, b)
    (folder / "comparison.json").write_text(
        json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    page = folder / "comparison.html"
    page.write_text(as_html(comparison, report, figures), encoding="utf-8")
    return page


def as_html(
    comparison: Comparison, fields: dict[str, Any], figures: tuple[Image.Image, Image.Image]
) -> str:
    """Return the report as one file: no scripts, nothing fetched."""
    from causalclip.report.templates import render_page

    return render_page(
        "comparison.html",
        comparison=comparison,
        content=fields,
        figures=list(zip(PLACES, map(_address, figures), fields["pictures"], strict=True)),
        rows=[change.describe(number) for number, change in enumerate(comparison.changes, 1)],
        time=moment(datetime.fromisoformat(fields["compared"])),
    )


def _address(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def overlaid(comparison: Comparison) -> tuple[Image.Image, Image.Image] | None:
    """Draw both pictures as the comparison saw them, on one grid, for a slider; None without a
    match."""
    aligned = comparison.aligned
    if aligned is None:
        return None
    to_grid = np.linalg.inv(aligned.to_a)
    boxes = [_on_grid(change.box_a, to_grid) for change in comparison.changes]
    first, second = (
        np.where(aligned.inside[..., None], np.clip(pixels, 0, 255), OUTSIDE).astype(np.uint8)
        for pixels in (aligned.a, aligned.b)
    )
    return draw_boxes(first, boxes), draw_boxes(second, boxes)


def _on_grid(box: Box, to_grid: np.ndarray) -> Box:
    """Return the box around another one's corners, on the grid."""
    import cv2

    left, top, right, bottom = box
    corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64)
    places = cv2.perspectiveTransform(corners, to_grid)[0].round().astype(int)
    (x0, y0), (x1, y1) = places.min(0), places.max(0)
    return int(x0), int(y0), int(x1), int(y1)
