"""Where the evidence is: every patch's exact contribution laid into the picture, as plain arrays.

A view's patch grid is laid at its box, and views that overlap add up, because the logit is their
sum. Two units:

    "area"   log-odds per 1 % of the picture: a density, whose integral is the sum of all
             contributions
    "patch"  log-odds per patch that covers the spot: what is drawn, because it does not depend on
             the picture's size

Fine detail is what generators and cameras leave traces in. Where a place has none (flat), or has
lost it to the ends of the scale (blown out, black) or to compression, a map cannot know: its level
there is the model's guess from around it.

On pictures of known parts the map of a verdict does not beat a blob in the centre
(benchmarks/splices.json, edits.json). So it is called what it is, where the score comes from, and
not a finding of what was generated.

Drawing is in causalclip.maps.overlay.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalclip.images.jpeg import BLOCK, block_grid, luminance
from causalclip.languages import ENGLISH, N_, _, decimal, number, percent, speaking
from causalclip.paths import measured

if TYPE_CHECKING:  # importing the detector takes seconds, and only its results are read here
    from causalclip.detector import Detection, ViewAttribution

Which = Literal["causal", "non_causal"]
Unit = Literal["area", "patch"]
# of the long side; chosen on splices of training pictures, where it gives the map 0.08 more AUC
SPREAD = 0.08
LEAST_PLACED = 0.2  # of the score, that has a place in the picture: a map of less misleads
MAX_SEAM = 0.1  # of a square's side, that a seam is wide at most
# cells on the long side of a map, so that a large picture costs no more than a small one
MAP_SIDE = 512


def canvas_size(width: int, height: int, *, side: int = MAP_SIDE) -> tuple[int, int]:
    """(columns, rows) of a canvas with the picture's aspect and `side` cells on its long side."""
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
    """What each spot of the picture adds to the logit: float32 [rows, columns], above 0 towards
    generated.

    Args:
        which: "causal" is the evidence; "non_causal" is what would have been added with 1 - mask in
            place of the mask.
        side: cells on the long side.
        unit: "area" (100 * map.mean() is the sum of all contributions) or "patch".
        smooth: averaged over the neighbourhood (a Gaussian of SPREAD of the long side), because
            what one patch adds is noisy; the integral stays.
    """
    columns, rows = canvas_size(detection.width, detection.height, side=side)
    laid = lay(detection, which, columns=columns, rows=rows, unit=unit)
    if smooth:
        laid = blur(laid)
    return laid * (columns * rows / 100) if unit == "area" else laid


def blur(levels: np.ndarray) -> np.ndarray:
    """Every cell of a map averaged with its neighbourhood; the sum stays."""
    from scipy.ndimage import (
        gaussian_filter,  # a fifth of a second, which the page need not wait for
    )

    # or edges would fade
    return np.asarray(gaussian_filter(levels, SPREAD * max(levels.shape), mode="reflect"))


def lay(
    detection: Detection, which: Which, *, columns: int, rows: int, unit: Unit = "area"
) -> np.ndarray:
    """Lays all views' contributions on a grid over the picture: float32 [rows, columns].

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


def seen(detection: Detection, *, columns: int, rows: int) -> np.ndarray:
    """Which cells of a grid over the picture are at least half inside a view: bool [rows,
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
    """Narrow gaps between neighbouring squares of the whole picture: (axis of the grid, start,
    stop), in px.

    A picture a little longer than its squares together has them; they are no wider than MAX_SEAM of
    a square's side.
    """
    axis = 1 if detection.width >= detection.height else 0
    first = 0 if axis == 1 else 1  # of a box, along the long side
    spans = sorted(
        (view.box[first], view.box[first + 2]) for view in detection.views if view.kind == "whole"
    )
    gaps = [(end, start) for (_, end), (start, _) in itertools.pairwise(spans)]
    return [
        (axis, start, stop)
        for start, stop in gaps
        if 0 < stop - start <= MAX_SEAM * (spans[0][1] - spans[0][0])
    ]


def bridged(levels: np.ndarray, detection: Detection) -> np.ndarray:
    """A map for drawing, [rows, columns]: across each seam from the level on its one side to that
    on its other.

    Without it, a bar runs through the middle that looks like a finding. What adds up is
    picture_map, not this.
    """
    drawn = levels.copy()
    for axis, start, stop in seams(detection):
        along = np.moveaxis(drawn, axis, 0)  # a view: it is written through
        zoom = len(along) / (detection.width if axis == 1 else detection.height)
        before, after = max(0, int(start * zoom) - 1), min(len(along) - 1, math.ceil(stop * zoom))
        share = np.linspace(0, 1, after - before + 1)[:, None]
        along[before : after + 1] = (1 - share) * along[before] + share * along[after]
    return drawn


def placed(views: Sequence[ViewAttribution], which: Which = "causal") -> float:
    """The sum of the patches' contributions, in log-odds: the part of a verdict that has a place in
    the picture."""
    return float(sum(getattr(view, which).sum(dtype=np.float64) for view in views))


def unplaced(detection: Detection) -> float:
    """What is tied to no place: the logit without `placed` (the CLS token, biases, the
    calibration)."""
    return detection.logit - placed(detection.views)


def tied_to_no_place(detection: Detection) -> float:
    """The share of the score that no map can show, in [0, 1]: what is tied to no place against what
    is tied to one.

    Both are sums of log-odds, whatever their signs (`placed` and `unplaced`).
    """
    rest, here = abs(unplaced(detection)), abs(placed(detection.views))
    return rest / (rest + here) if rest + here else 0.0


def is_telling(detection: Detection) -> bool:
    """Whether enough of the score has a place for its map to be shown unasked."""
    return 1 - tied_to_no_place(detection) >= LEAST_PLACED


def _axis(start: float, stop: float, cells: int, patches: int, unit: Unit) -> np.ndarray:
    """[cells, patches]: how much of each patch between start and stop (in cells) each cell takes.

    "area": the columns add up to 1, for a box inside the picture. "patch": the rows do, where a
    cell is covered.
    """
    edges = np.linspace(start, stop, patches + 1)
    cell = np.arange(cells)[:, None]
    overlap = np.minimum(cell + 1, edges[1:]) - np.maximum(cell, edges[:-1])
    weight = np.maximum(overlap, 0.0)
    return weight / weight.sum(0) if unit == "area" else weight


def _touched(weight: np.ndarray) -> slice:
    """The cells that take anything, as a slice."""
    touched = np.flatnonzero(weight.any(1))
    return slice(int(touched[0]), int(touched[-1]) + 1)


if TYPE_CHECKING:
    from causalclip.detector import Detection
    from causalclip.maps.overlay import Drawing

Reason = Literal["flat", "blown out", "black", "too compressed"]
CELL, CELLS = 16, 96  # px of a cell's side at least, and cells on the long side at most
# px of a cell's height that are read at most, so that 50 million pixels cost little more than one
READ = 24
# of a cell's pixels whose curvature is no more than rounding leaves (1 level): then it is flat
QUIET = 0.9
BRIGHT, DARK = 250, 5  # levels of luminance from which, and up to which, nothing is left of a pixel
LOST = 0.5  # of a cell's pixels that are at an end of the scale
# the steps across the borders of blocks against all others, of a place and its neighbours, from
# which compression has left nothing but blocks
BLOCKED = 2.0


def unknowable(pixels: np.ndarray) -> np.ndarray:
    """Where a map cannot know: a picture (uint8 RGB [H, W, 3]) -> bool [rows, columns], a grid over
    all of it."""
    return np.any(list(reasons(pixels).values()), axis=0)


def unknown_share(detection: Detection, grid: np.ndarray | None) -> float:
    """The share of the picture, in [0, 1], that is `unknowable` (its grid) or outside every view;
    0 where nobody looked."""
    if grid is None:
        return 0.0
    rows, columns = grid.shape
    return float((grid | ~seen(detection, columns=columns, rows=rows)).mean())


def reasons(pixels: np.ndarray) -> dict[Reason, np.ndarray]:
    """Each reason's places in a picture (uint8 RGB [H, W, 3]): bool [rows, columns] each."""
    down, across = (_edges(side, max(pixels.shape[:2])) for side in pixels.shape[:2])
    phase = block_grid(pixels)
    rows = [_strip(pixels, top, bottom, across, phase) for top, bottom in itertools.pairwise(down)]
    quiet, bright, dark, border, inner = np.moveaxis(np.array(rows), 1, 0)
    blocked = (_around(border) + 0.25) / (_around(inner) + 0.25) >= BLOCKED
    found: dict[Reason, np.ndarray] = {
        "flat": _settled(quiet >= QUIET),
        "blown out": bright >= LOST,
        "black": dark >= LOST,
        "too compressed": _settled(blocked) if phase else np.zeros_like(quiet, bool),
    }
    return found


def _edges(side: int, long: int) -> np.ndarray:
    """Where cells begin and end along a side, in px."""
    cells = max(1, min(CELLS, long // CELL) * side // long)
    return np.linspace(0, side, cells + 1).astype(int)


def _strip(
    pixels: np.ndarray, top: int, bottom: int, across: np.ndarray, phase: tuple[int, int] | None
) -> np.ndarray:
    """Of a row of cells, [5, columns]: the shares that are quiet, bright and dark; the mean step
    across the borders of blocks, and elsewhere."""
    strip = luminance(pixels[top : min(bottom, top + READ)]).astype(np.int16)
    curved = np.ones(strip.shape, bool)
    curved[:, 1:-1] = np.abs(np.diff(strip, n=2, axis=1)) > 1
    curved[1:-1] |= np.abs(np.diff(strip, n=2, axis=0)) > 1
    curved[:, [0, -1]] = curved[:, [1, -2]]
    steps, borders = np.abs(np.diff(strip, axis=1)).mean(0), np.zeros(strip.shape[1], bool)
    steps = np.append(steps, steps[-1:])
    borders[(phase or (0, 0))[1] :: BLOCK] = True
    planes = (~curved).mean(0), (strip >= BRIGHT).mean(0), (strip <= DARK).mean(0)
    shares = [_mean(plane, across, np.ones(len(plane))) for plane in planes]
    return np.array([*shares, _mean(steps, across, borders), _mean(steps, across, ~borders)])


def _mean(values: np.ndarray, across: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of columns in each cell: [columns]."""
    weight = weights.astype(float)
    total = np.add.reduceat(values * weight, across[:-1])
    return np.asarray(total / np.maximum(np.add.reduceat(weight, across[:-1]), 1e-9))


def _around(values: np.ndarray) -> np.ndarray:
    """The mean of each cell and its neighbours."""
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(values, 3, mode="nearest"))


def _settled(cells: np.ndarray) -> np.ndarray:
    """Cells as most of their neighbours are, so that no single ones stand out."""
    return _around(cells.astype(float)) > 0.5


# accuracy from which an adversary that sees what is held back does better than by chance
SHARES_THE_LABEL = 0.6
MASK_MEANING = N_(
    "The mask shows what the verdict reads, but it does not separate what caused a picture to look "
    "generated: what it holds back tells generated pictures from photographs, too, a verdict "
    "without a mask is as good, and “causal” is the paper's name for what passes, not a proof."
)
SHARED_MASK_MEANING = N_(
    "The mask is the same for every picture: those channels pass whose weight in the verdict kept "
    "its sign and its size, whichever half of the sites it was learned from."
)
BLOB = "bright in the middle, whatever is there"


def explains(detection: Detection) -> str:
    """How much of the score the map can show, in a sentence."""
    return _(
        "The map explains {percent} of the score.",
        percent=percent(1 - tied_to_no_place(detection)),
    )


def too_little(detection: Detection) -> str:
    """Why the map is not shown unasked; empty where it is."""
    if is_telling(detection):
        return ""
    return _(
        "Only {percent} of the score has a place in the picture, too little for a map.",
        percent=percent(1 - tied_to_no_place(detection)),
    )


def hatched(detection: Detection, unknowable: np.ndarray | None) -> str:
    """What the hatching means, and how much of the picture has it; empty where there is none.

    unknowable: the picture's grid, of the function of that name.
    """
    share = unknown_share(detection, unknowable)
    if share <= 0.005:
        return ""
    return _("Hatched ({percent}): too flat or dark to judge.", percent=percent(share))


def face(drawing: Drawing) -> str:
    """Both for the face of a map that stands alone, in two lines; in English, as what draws it
    cannot shape every script."""
    with speaking(ENGLISH):
        return "\n".join(
            filter(
                None, (explains(drawing.detection), hatched(drawing.detection, drawing.unknowable))
            )
        )


def control() -> str:
    """How well such maps find what was generated, beside a control that knows nothing; empty
    without the benchmark."""
    splices, edits = measured("splices"), measured("edits")
    if not (splices and edits):
        return ""
    real = edits["auc"]["a region"]
    auc = (
        splices["auc"]["causal"]["mean"],
        splices["auc"][BLOB]["mean"],
        real["causal"]["mean"],
        real[BLOB]["mean"],
    )
    made, blob, edited, edited_blob = (decimal(value, digits=2) for value in auc)
    return _(
        "This is no outline of what was generated or edited. Asked to find a generated part in "
        "{splices} photographs, such maps have an AUC of {made}, and a blob in the centre {blob}; "
        "on {edits} real edits, {edited} and {edited_blob}.",
        splices=number(splices["splices"]),
        made=made,
        blob=blob,
        edits=number(real["causal"]["n"]),
        edited=edited,
        edited_blob=edited_blob,
    )
