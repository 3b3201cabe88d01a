"""Does one part of a picture differ from the rest? Finds it or nothing; what is not found may be there all the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from causalclip.parts.contrast import contrast, features, smooth
from causalclip.parts.outline import Ring, box_of, part_of, rings_of, top
from causalclip.parts.traces import Traces, cell_of, read_traces
from causalclip.parts.trees import Trees
from causalclip.places import shipped_folder

FOLDER = shipped_folder("assets") / "models" / "parts"
MAX_PIXELS = 12_000_000  # that are read: of larger pictures the middle
SMALLEST, FEWEST = 200, 30  # px on the short side and cells, below which nothing can be said
Box = tuple[int, int, int, int]  # left, top, right, bottom in px


@dataclass(frozen=True, slots=True)
class Part:
    """A part that differs; it may be in several pieces.

    box, outline: in px of the whole picture. share: of what was read, in [0, 1]. cell: px of the squares that the
    outline follows.
    """

    box: Box
    outline: tuple[Ring, ...]
    share: float
    cell: int


@dataclass(frozen=True, slots=True)
class Search:
    """What was found. score: as in `PartFinder.score`. read: the part of the picture that was looked at."""

    part: Part | None
    score: float
    read: Box


@dataclass(frozen=True, slots=True, eq=False)
class PartFinder:
    """Trees on the traces of cells, and the score from which a part counts as found. revision: of what was learned."""

    trees: Trees
    threshold: float
    revision: str

    @classmethod
    def from_pretrained(cls, folder: Path = FOLDER) -> PartFinder:
        """From a folder with config.json and trees.safetensors, as benchmarks/parts_fit.py writes it."""
        from safetensors.numpy import load_file

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        trees = Trees(**load_file(folder / "trees.safetensors"), base=config["base"])
        return cls(trees, config["threshold"], config["revision"])

    def levels(self, traces: Traces) -> np.ndarray:
        """Log-odds that a cell belongs to another part than the rest, smooth, float64 [rows, columns]."""
        cells = features(traces, contrast(traces))
        found = self.trees(cells.reshape(len(cells), -1).T)
        return smooth(found.reshape(cells.shape[1:]))

    def search(self, pixels: np.ndarray, table: np.ndarray | None = None) -> Search | None:
        """Looks for a part in a picture; None where it is too small to say anything.

        Args:
            pixels: uint8 RGB [H, W, 3], as the file holds it, not scaled.
            table: the luminance quantisation [64] of a JPEG, row by row as the picture lies; None of other files.
        """
        read = read_box(*pixels.shape[:2])
        left, upper, right, lower = read
        seen = pixels[upper:lower, left:right]
        cell = cell_of(*seen.shape[:2])
        if min(seen.shape[:2]) < SMALLEST or (seen.shape[0] // cell) * (seen.shape[1] // cell) < FEWEST:
            return None
        levels = self.levels(read_traces(seen, table))
        score = top(levels)
        if score < self.threshold:
            return Search(None, score, read)
        part, corner = part_of(levels), (left, upper)
        found = Part(box_of(part, cell, corner), rings_of(part, cell, corner), float(part.mean()), cell)
        return Search(found, score, read)


def read_box(height: int, width: int) -> Box:
    """What is read of a picture: all of it, or the middle MAX_PIXELS, same aspect, cut on the grid of 8 px."""
    if height * width <= MAX_PIXELS:
        return 0, 0, width, height
    share = (MAX_PIXELS / (height * width)) ** 0.5
    rows, columns = int(height * share), int(width * share)
    top_, left = (height - rows) // 16 * 8, (width - columns) // 16 * 8
    return left, top_, left + columns, top_ + rows


@cache
def finder() -> PartFinder:
    """The shipped one, read once."""
    return PartFinder.from_pretrained()
