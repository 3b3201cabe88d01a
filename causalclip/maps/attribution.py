"""The places of the evidence: every patch's exact contribution laid into the picture, as plain
arrays.

A view's patch grid is laid at its box, and views that overlap add up, because the logit is their
sum. Two units:

    "area"   log-odds per 1 % of the picture: a density, whose integral is the sum of all
             contributions
    "patch"  log-odds per patch that covers the spot: what is drawn, because it does not depend on
             the picture's size

On pictures of known parts the map of a verdict does not beat a blob in the centre
(maps.pasted.causal.auc and maps.edits.causal.auc in assets/measured.json). So it is called what it
is, where the score comes from, and not a finding of what was generated.

Drawing is in causalclip.maps.overlay; where a map cannot know, in causalclip.maps.low_information.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:  # importing the detector takes seconds, and only its results are read here
    from causalclip.detection import Detection, ViewAttribution

Which = Literal["causal", "non_causal"]
Unit = Literal["area", "patch"]
# of the long side; chosen on splices of training pictures, where it gives the map 0.08 more AUC
SPREAD = 0.08
PEAK_SIDE = 64  # cells on the long side, in which places are found
PARTS = 3  # rows and columns of the parts that have a name
MAX_PLACES = 3  # that are named
MIN_PUSH = 0.05  # log-odds, from which a part counts as a place
MAX_SEAM = 0.1  # of a square's side, that a seam is wide at most
# cells on the long side of a map, so that a large picture costs no more than a small one
MAP_SIDE = 512


def canvas_size(width: int, height: int, *, side: int = MAP_SIDE) -> tuple[int, int]:
    """Return columns and rows of a canvas with the picture's aspect and `side` cells on its long
    side."""
    scale = side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def picture_map(
    detection: Detection,
    which: Which = "causal",
    *,
    side: int = MAP_SIDE,
    unit: Unit = "area",
    smooth: bool = False,
) -> np.ndarray:
    """Return what each spot of the picture adds to the logit.

    Args:
        which: "causal" is the evidence; "non_causal" is what would have been added with 1 - mask in
            place of the mask.
        side: cells on the long side.
        unit: "area" (100 * map.mean() is the sum of all contributions) or "patch".
        smooth: averaged over the neighbourhood (a Gaussian of SPREAD of the long side), because
            what one patch adds is noisy; the integral stays.

    Returns:
        float32 [rows, columns], above 0 towards generated.
    """
    columns, rows = canvas_size(detection.width, detection.height, side=side)
    levels = lay(detection, which, columns=columns, rows=rows, unit=unit)
    if smooth:
        levels = blur(levels)
    return levels * (columns * rows / 100) if unit == "area" else levels


def blur(levels: np.ndarray) -> np.ndarray:
    """Average every cell of a map with its neighbourhood; the sum stays."""
    # It takes a fifth of a second to import, which the page need not wait for.
    from scipy.ndimage import gaussian_filter

    # "reflect", or edges would fade
    return np.asarray(gaussian_filter(levels, SPREAD * max(levels.shape), mode="reflect"))


def lay(
    detection: Detection, which: Which, *, columns: int, rows: int, unit: Unit = "area"
) -> np.ndarray:
    """Lay all views' contributions on a grid over the picture, float32 [rows, columns].

    With unit "area", each cell holds what falls into it, so that the grid adds up to the sum of all
    contributions.
    """
    canvas = np.zeros((rows, columns), np.float32)
    zoom_x, zoom_y = columns / detection.width, rows / detection.height
    for view in detection.views:
        patches: np.ndarray = getattr(view, which)
        left, top, right, bottom = view.box
        down = _axis(top * zoom_y, bottom * zoom_y, rows, len(patches), unit)
        across = _axis(left * zoom_x, right * zoom_x, columns, len(patches), unit)
        y, x = _touched(down), _touched(across)
        canvas[y, x] += down[y] @ patches @ across[x].T  # (rows, g) (g, g) (g, columns)
    return canvas


def covered_cells(detection: Detection, *, columns: int, rows: int) -> np.ndarray:
    """Return which cells of a grid over the picture are at least half inside a view, bool [rows,
    columns]."""
    cover = np.zeros((rows, columns), bool)
    zoom_x, zoom_y = columns / detection.width, rows / detection.height
    for left, top, right, bottom in (view.box for view in detection.views):
        cover[
            round(top * zoom_y) : round(bottom * zoom_y),
            round(left * zoom_x) : round(right * zoom_x),
        ] = True
    return cover


def seams(detection: Detection) -> list[tuple[int, float, float]]:
    """Return narrow gaps between neighbouring squares of the whole picture.

    A picture a little longer than its squares together has them; they are no wider than MAX_SEAM of
    a square's side.

    Returns:
        (axis of the grid, start, stop) of each, in px.
    """
    axis = 1 if detection.width >= detection.height else 0
    first = 0 if axis == 1 else 1  # of a box, along the long side
    spans = sorted(
        (view.box[first], view.box[first + 2])
        for view in detection.views
        if view.view_type == "whole"
    )
    gaps = [(end, start) for (_, end), (start, _) in itertools.pairwise(spans)]
    return [
        (axis, start, stop)
        for start, stop in gaps
        if 0 < stop - start <= MAX_SEAM * (spans[0][1] - spans[0][0])
    ]


def bridge_seams(levels: np.ndarray, detection: Detection) -> np.ndarray:
    """Return a map for drawing, [rows, columns]: across each seam it goes from the level on its one
    side to that on its other.

    Without it, a bar runs through the middle that looks like a finding. What adds up is
    picture_map, not this.
    """
    result = levels.copy()
    for axis, start, stop in seams(detection):
        along = np.moveaxis(result, axis, 0)  # a view: it is written through
        zoom = len(along) / (detection.width if axis == 1 else detection.height)
        before, after = max(0, int(start * zoom) - 1), min(len(along) - 1, math.ceil(stop * zoom))
        share = np.linspace(0, 1, after - before + 1)[:, None]
        along[before : after + 1] = (1 - share) * along[before] + share * along[after]
    return result


def localised_logit(views: Sequence[ViewAttribution], which: Which = "causal") -> float:
    """Return the sum of the patches' contributions, in log-odds: the part of a verdict that has a
    place in the picture."""
    return float(sum(getattr(view, which).sum(dtype=np.float64) for view in views))


def unlocalised_logit(detection: Detection) -> float:
    """Return the part of a verdict that has no place in the picture, in log-odds: the logit without
    `localised_logit` (the CLS token, biases, the calibration)."""
    return detection.logit - localised_logit(detection.views)


def unlocalised_share(detection: Detection) -> float:
    """Return the share of the score that no map can show, in [0, 1].

    It is |unlocalised_logit| of |unlocalised_logit| + |localised_logit|, whatever their signs.
    """
    without_place = abs(unlocalised_logit(detection))
    with_place = abs(localised_logit(detection.views))
    total = without_place + with_place
    return without_place / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the picture, and what it adds.

    Attributes:
        part: which of PARTS x PARTS, row by row.
        push: what all of the part adds, in log-odds, above 0 towards generated.
        x, y: the centre of its strength, as shares of the picture's width and height.
    """

    part: int
    push: float
    x: float
    y: float


def strongest_places(detection: Detection, unknown: np.ndarray | None = None) -> list[Place]:
    """Return the parts of the picture that push most, at most MAX_PLACES, the strongest first.

    unknown: bool [rows, columns], where the map cannot know; a part is none of them if most of it
    is there.
    """
    pushes = lay(detection, "causal", columns=PARTS, rows=PARTS)
    columns, rows = canvas_size(detection.width, detection.height, side=PEAK_SIDE)
    levels = blur(lay(detection, "causal", columns=columns, rows=rows, unit="patch"))
    known = _known(unknown, columns, rows)
    places: list[Place] = []
    for part in np.argsort(-np.abs(pushes), axis=None):
        push = float(pushes.flat[part])
        if abs(push) < MIN_PUSH or len(places) == MAX_PLACES:
            break
        row, column = divmod(int(part), PARTS)
        top, bottom = _span(row, rows)
        left, right = _span(column, columns)
        seen = known[top:bottom, left:right]
        strength = np.maximum(math.copysign(1, push) * levels[top:bottom, left:right], 0) ** 2
        strength = strength * seen
        if seen.mean() <= 0.5 or not strength.any():
            continue
        # the centre of its strength: the peak may be at the border of two parts, for both
        y, x = (np.average(cells, weights=strength) for cells in np.indices(strength.shape))
        places.append(
            Place(int(part), push, float(left + x + 0.5) / columns, float(top + y + 0.5) / rows)
        )
    return places


def _known(unknown: np.ndarray | None, columns: int, rows: int) -> np.ndarray:
    """Return where a map can know, bool [rows, columns], of a grid of any size or none."""
    if unknown is None:
        return np.ones((rows, columns), bool)
    y = np.arange(rows) * len(unknown) // rows
    x = np.arange(columns) * unknown.shape[1] // columns
    return np.asarray(~unknown[y][:, x])


def _span(part: int, cells: int) -> tuple[int, int]:
    """Return the first cell of one of PARTS along an axis of a grid, and the one after its last."""
    start = min(part * cells // PARTS, cells - 1)
    return start, max((part + 1) * cells // PARTS, start + 1)


def _axis(start: float, stop: float, cells: int, patches: int, unit: Unit) -> np.ndarray:
    """Return how much of each patch between start and stop (in cells) each cell takes, [cells,
    patches].

    "area": the columns add up to 1, for a box inside the picture. "patch": the rows do, where a
    cell is covered.
    """
    edges = np.linspace(start, stop, patches + 1)
    cell = np.arange(cells)[:, None]
    overlap = np.minimum(cell + 1, edges[1:]) - np.maximum(cell, edges[:-1])
    weight = np.maximum(overlap, 0.0)
    return weight / weight.sum(0) if unit == "area" else weight


def _touched(weight: np.ndarray) -> slice:
    """Return the cells that take anything, as a slice."""
    indices = np.flatnonzero(weight.any(1))
    return slice(int(indices[0]), int(indices[-1]) + 1)
