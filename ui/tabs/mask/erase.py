"""Erase: a reader brushes over a place, and sees at once what the score is without it.

The log-odds are an exact sum of patches, so the browser takes the place's share away by itself
(assets/erase.js). "Check it" blanks the place and judges again; the two differ, since the other
patches see the blank place, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from causalclip.calibration import band_of
from causalclip.examination.messages import score_text
from causalclip.languages import N_, _, decimal
from causalclip.maps.attribution import lay
from causalclip.maps.overlay import draw_map
from causalclip.report.pictures import data_url

if TYPE_CHECKING:
    from causalclip.detection import Detection
    from causalclip.maps.overlay import Drawing

COLUMNS = 24  # cells on the long side
SIDE = 448  # px of the long side, as it is shown
HINT = N_("Brush over a place of the picture: what is the score without it?")
SAYS = N_("Without this place: {score} ({band}). With it: {before}.")
TURNS = N_("The verdict turns here.")
CHECKED = N_(
    "Taken away from the sum: {predicted}. Blanked and judged again: {judged}. They differ, as the "
    "other places see the blank one, too."
)
NOTHING = N_("Brush over a place first.")
BANDS = {
    "low": N_("likely not generated"),
    "middle": N_("inconclusive"),
    "high": N_("likely generated"),
}


def cell_shares(detection: Detection) -> np.ndarray:
    """Return what each cell of a grid over the picture adds to the log-odds: float [rows, columns].

    Their sum is the part of the log-odds that belongs to any place.
    """
    scale = COLUMNS / max(detection.width, detection.height)
    columns, rows = (max(1, round(side * scale)) for side in (detection.width, detection.height))
    return lay(detection, "causal", columns=columns, rows=rows)


def brush_panel(drawing: Drawing) -> str:
    """Return the map of what passes, to brush over, as HTML with all that the browser needs for the
    score."""
    detection = drawing.detection
    grid = cell_shares(detection)
    rows, columns = grid.shape
    data = {
        "columns": columns,
        "cells": [round(float(value), 5) for value in grid.ravel()],
        "logit": round(detection.logit, 5),
        "low": detection.low,
        "high": detection.high,
        "point": decimal(0.5, digits=1)[1],
        "hint": _(HINT),
        "says": _(SAYS),
        "turns": _(TURNS),
        "bands": {name: _(word) for name, word in BANDS.items()},
    }
    attributes = escape(json.dumps(data))
    blank = "".join("<i></i>" for _cell in range(rows * columns))
    picture = data_url(draw_map(drawing), side=SIDE)
    grid_style = f"grid-template-columns:repeat({columns},1fr)"
    return (
        f"<p class='cc-erase-said' role='status'>{_(HINT)}</p>"
        f"<div class='cc-erase' data-erase='{attributes}'><img alt='' src='{picture}'>"
        f"<div class='cc-erase-grid' style='{grid_style}' aria-hidden='true'>{blank}</div></div>"
    )


def parse_cells(text: str, count: int) -> list[int]:
    """Return the cells' numbers in a text that a page sends, sorted; others than 0 to count - 1 are
    left out."""
    numbers = (
        int(entry) for entry in text.split(",") if entry.strip().isdigit() and len(entry) < 6
    )
    return sorted({number for number in numbers if number < count})


def blank_cells(
    pixels: np.ndarray, cell_numbers: Iterable[int], shape: tuple[int, int]
) -> np.ndarray:
    """Return the picture with some cells of its grid in its own mean colour: uint8 RGB [H, W, 3].

    shape: the grid's rows and columns.
    """
    rows, columns = shape
    height, width = pixels.shape[:2]
    picture = pixels.copy()
    mean = pixels.reshape(-1, 3).mean(0).round().astype(np.uint8)
    down, across = np.linspace(0, height, rows + 1), np.linspace(0, width, columns + 1)
    for cell in cell_numbers:
        row, column = divmod(cell, columns)
        top, bottom = round(down[row]), round(down[row + 1])
        left, right = round(across[column]), round(across[column + 1])
        picture[top:bottom, left:right] = mean
    return picture


def both_scores(predicted_score: float, judged_score: float, detection: Detection) -> str:
    """Return both scores without a place, as HTML: by the sum, and of the blanked picture."""
    edges = detection.low, detection.high
    scores = {
        name: f"{score_text(score, *edges)} ({_(band_of(score, *edges))})"
        for name, score in (("predicted", predicted_score), ("judged", judged_score))
    }
    return f"<p>{_(CHECKED, **scores)}</p>"
