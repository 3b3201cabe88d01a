"""What a map is and is not: where it cannot know, and the sentences on it that page, report and command line share.

Fine detail is what generators and cameras leave traces in. Where a place has none (flat), or has lost it to the ends of
the scale (blown out, black) or to compression, a level of the map is the model's guess from around it. Nothing here
looks at the map or at the model.

On pictures of known parts the map of a verdict does not beat a blob in the centre (benchmarks/splices.json,
edits.json). So it is called what it is, where the score comes from, and not a finding of what was generated.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from causalclip.languages import ENGLISH, N_, _, decimal, number, speaking
from causalclip.maps.heatmap import seen, tied_to_no_place
from causalclip.paths import measured

if TYPE_CHECKING:
    from causalclip.detector import Detection
    from causalclip.maps.overlay import Drawing

Reason = Literal["flat", "blown out", "black", "too compressed"]
CELL, CELLS = 16, 96  # px of a cell's side at least, and cells on the long side at most
READ = 24  # px of a cell's height that are read at most, so that 50 million pixels cost little more than one
QUIET = 0.9  # of a cell's pixels whose curvature is no more than rounding leaves (1 level): then it is flat
BRIGHT, DARK = 250, 5  # levels of luminance from which, and up to which, nothing is left of a pixel
LOST = 0.5  # of a cell's pixels that are at an end of the scale
BLOCK = 8  # px of a JPEG's block
GRID = 1.15  # the steps across the best grid of blocks against all others, from which a picture has a grid
BLOCKED = 2.0  # the same of a place and its neighbours, from which compression has left nothing but blocks


def unknowable(pixels: np.ndarray) -> np.ndarray:
    """Where a map cannot know: a picture (uint8 RGB [H, W, 3]) -> bool [rows, columns], a grid over all of it."""
    return np.any(list(reasons(pixels).values()), axis=0)


def unknown_share(detection: Detection, grid: np.ndarray) -> float:
    """The share of the picture, in [0, 1], that is `unknowable` (its grid) or outside every view."""
    rows, columns = grid.shape
    return float((grid | ~seen(detection, columns=columns, rows=rows)).mean())


def reasons(pixels: np.ndarray) -> dict[Reason, np.ndarray]:
    """Each reason's places in a picture (uint8 RGB [H, W, 3]): bool [rows, columns] each."""
    down, across = (_edges(side, max(pixels.shape[:2])) for side in pixels.shape[:2])
    phase = _grid(pixels)
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


def _strip(pixels: np.ndarray, top: int, bottom: int, across: np.ndarray, phase: tuple[int, int] | None) -> np.ndarray:
    """Of a row of cells, [5, columns]: the shares that are quiet, bright and dark; the mean step across the borders of
    blocks, and elsewhere."""
    strip = _luminance(pixels[top : min(bottom, top + READ)]).astype(np.int16)
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


def _grid(pixels: np.ndarray) -> tuple[int, int] | None:
    """The last row and column of the first block, by the middle of the picture; None where no grid is to be seen."""
    height, width = pixels.shape[:2]
    top, left = (max(0, (side - 512) // 2) for side in (height, width))
    grey = _luminance(pixels[top : top + 512, left : left + 512]).astype(np.int16)
    found = []
    for axis, start in ((0, top), (1, left)):
        steps = np.abs(np.diff(grey, axis=axis)).mean(1 - axis)
        phases = np.array([steps[i::BLOCK].mean() for i in range(BLOCK)])
        best = int(phases.argmax())
        if (phases[best] + 0.05) / (np.delete(phases, best).mean() + 0.05) < GRID:
            return None
        found.append((start + best) % BLOCK)
    return found[0], found[1]


def _luminance(pixels: np.ndarray) -> np.ndarray:
    """uint8 [h, w], rounded, so that a grey picture stays what it is."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))


def _around(values: np.ndarray) -> np.ndarray:
    """The mean of each cell and its neighbours."""
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(values, 3, mode="nearest"))


def _settled(cells: np.ndarray) -> np.ndarray:
    """Cells as most of their neighbours are, so that no single ones stand out."""
    return _around(cells.astype(float)) > 0.5


SHARES_THE_LABEL = 0.6  # accuracy from which an adversary that sees what is held back does better than by chance
MASK_MEANING = N_(
    "The mask shows what the verdict reads, but it does not separate what caused a picture to look generated: what it "
    "holds back tells generated pictures from photographs, too, a verdict without a mask is as good, and “causal” is "
    "the paper's name for what passes, not a proof."
)
SHARED_MASK_MEANING = N_(
    "The mask is the same for every picture: those channels pass whose weight in the verdict kept its sign and its "
    "size, whichever half of the sites it was learned from."
)
BLOB = "bright in the middle, whatever is there"


def explains(detection: Detection) -> str:
    """How much of the score the map can show, in a sentence."""
    return _("The map explains {percent} % of the score.", percent=round(100 * (1 - tied_to_no_place(detection))))


def hatched(detection: Detection, unknowable: np.ndarray | None) -> str:
    """What the hatching means, and how much of the picture has it; empty where there is none.

    unknowable: the picture's grid of causalclip.maps.reliability.
    """
    percent = 0 if unknowable is None else round(100 * unknown_share(detection, unknowable))
    return _("Hatched ({percent} %): too flat or dark to judge.", percent=percent) if percent else ""


def face(drawing: Drawing) -> str:
    """Both for the face of a map that stands alone, in two lines; in English, as what draws it cannot shape every
    script."""
    with speaking(ENGLISH):
        return "\n".join(filter(None, (explains(drawing.detection), hatched(drawing.detection, drawing.unknowable))))


def control() -> str:
    """How well such maps find what was generated, beside a control that knows nothing; empty without the benchmark."""
    splices, edits = measured("splices"), measured("edits")
    if not (splices and edits):
        return ""
    real = edits["auc"]["a region"]
    auc = splices["auc"]["causal"]["mean"], splices["auc"][BLOB]["mean"], real["causal"]["mean"], real[BLOB]["mean"]
    made, blob, edited, edited_blob = (decimal(value, digits=2) for value in auc)
    return _(
        "This is no outline of what was generated or edited. Asked to find a generated part in {splices} photographs, "
        "such maps have an AUC of {made}, and a blob in the centre {blob}; on {edits} real edits, {edited} and "
        "{edited_blob}.",
        splices=number(splices["splices"]),
        made=made,
        blob=blob,
        edits=number(real["causal"]["n"]),
        edited=edited,
        edited_blob=edited_blob,
    )
