"""Looks for the one edited region of a picture; what is not found may be there all the same.

Boosted trees read the contrasts of every cell's traces; the cells that they pick become a region with an outline.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import label, uniform_filter

from causalclip.evidence.traces import Traces, cell_of, read_traces
from causalclip.images.formats import Box
from causalclip.images.loading import middle
from causalclip.paths import shipped_folder

FOLDER = shipped_folder("assets") / "models" / "parts"
MAX_PIXELS = 12_000_000  # that are read: of larger pictures the middle
MAX_SIDE = 16_000  # px of a side that are read: a row of cells lies in memory
MIN_SIDE, MIN_CELLS = 200, 30  # px on the short side and cells, below which nothing can be said
TOP_SHARE = 0.04  # of a picture's cells, the highest, whose mean is its number
MIN_TOP_CELLS = 3  # cells, at least
SPECK = 0.25  # of the largest piece, below which a piece is left out
DEPENDS = "level", "texture", "flat", "clip"  # on what a trace depends in any picture
RAW = "level", "texture", "flat", "clip", "comb", "comb_n", "comb_z", "zero", "noise0", "lag_d", "gx", "gy"
WHOLE = "noise0", "noise1", "lag_d", "zero", "comb"  # whose median the trees see
Ring = tuple[tuple[int, int], ...]  # (x, y) in px


@dataclass(frozen=True, slots=True)
class Region:
    """A region that differs; it may be in several pieces.

    box, outline: in px of the whole picture. share: of what was read, in [0, 1]. cell: px of the squares that the
    outline follows.
    """

    box: Box
    outline: tuple[Ring, ...]
    share: float
    cell: int


@dataclass(frozen=True, slots=True)
class RegionSearch:
    """What was found. score: the map's, see `top`. read: the box of the picture that was looked at."""

    region: Region | None
    score: float
    read: Box


@dataclass(frozen=True, slots=True, eq=False)
class RegionFinder:
    """Trees on the traces of cells, and the score from which a part counts as found. revision: of what was learned."""

    trees: Trees
    threshold: float
    revision: str

    @classmethod
    def from_pretrained(cls, folder: Path = FOLDER) -> RegionFinder:
        """From a folder with config.json and trees.safetensors."""
        from safetensors.numpy import load_file

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        trees = Trees(**load_file(folder / "trees.safetensors"), base=config["base"])
        return cls(trees, config["threshold"], config["revision"])

    def levels(self, traces: Traces) -> np.ndarray:
        """Log-odds that a cell belongs to an edited region, smooth, float64 [rows, columns]."""
        cells = features(traces)
        found = self.trees(cells.reshape(len(cells), -1).T)
        return smooth(found.reshape(cells.shape[1:]))

    def search(self, pixels: np.ndarray, table: np.ndarray | None = None) -> RegionSearch | None:
        """Looks for a region in a picture; None where it is too small to say anything.

        Args:
            pixels: uint8 RGB [H, W, 3], as the file holds it, not scaled.
            table: the luminance quantisation [64] of a JPEG, row by row as the picture lies; None of other files.
        """
        read = middle(*pixels.shape[:2], most=MAX_PIXELS, longest=MAX_SIDE)
        left, upper, right, lower = read
        seen = pixels[upper:lower, left:right]
        cell = cell_of(*seen.shape[:2])
        if min(seen.shape[:2]) < MIN_SIDE or (seen.shape[0] // cell) * (seen.shape[1] // cell) < MIN_CELLS:
            return None
        levels = self.levels(read_traces(seen, table))
        score = top(levels)
        if score < self.threshold:
            return RegionSearch(None, score, read)
        cells, corner = region_of(levels), (left, upper)
        region = Region(box_of(cells, cell, corner), rings_of(cells, cell, corner), float(cells.mean()), cell)
        return RegionSearch(region, score, read)


@cache
def shipped_finder() -> RegionFinder:
    """The shipped one, read once."""
    return RegionFinder.from_pretrained()


def top(levels: np.ndarray) -> float:
    """A map's number for its picture: the mean of its highest cells."""
    return float(np.sort(levels.ravel())[-max(MIN_TOP_CELLS, round(TOP_SHARE * levels.size)) :].mean())


def region_of(levels: np.ndarray) -> np.ndarray:
    """bool [rows, columns]: what is halfway between the middle cell and the highest; its largest pieces."""
    groups, _ = label(levels > (np.median(levels) + top(levels)) / 2)
    sizes = np.bincount(groups.ravel())[1:]
    return np.asarray(np.isin(groups, 1 + np.nonzero(sizes >= SPECK * sizes.max())[0]))


def box_of(region: np.ndarray, cell: int, corner: tuple[int, int]) -> Box:
    """Left, top, right, bottom in px. corner: left and top of the cells in the picture, in px."""
    rows, columns = np.nonzero(region)
    left, top_, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    x, y = corner
    return x + int(left) * cell, y + int(top_) * cell, x + int(right) * cell, y + int(bottom) * cell


def rings_of(region: np.ndarray, cell: int, corner: tuple[int, int]) -> tuple[Ring, ...]:
    """The outline along the cells' edges, as closed rings of (x, y) in px; holes have rings of their own."""
    fine = region.astype(np.uint8).repeat(2, 0).repeat(2, 1)  # so that a cell has an inside
    contours, _ = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(_ring(contour[:, 0].astype(int), cell, corner) for contour in contours)


def _ring(points: np.ndarray, cell: int, corner: tuple[int, int]) -> Ring:
    """Points of the fine grid lie in the corners of cells: each goes to the corner that it is nearest to."""
    return tuple((corner[0] + (x + 1) // 2 * cell, corner[1] + (y + 1) // 2 * cell) for x, y in points.tolist())


def contrast(traces: Traces) -> np.ndarray:
    """How far each cell lies from what the same picture has for its brightness and texture, float32 as traces.cells.

    In the picture's own deviations (median and median deviation), at most 8.
    """
    flat = traces.cells.reshape(len(traces.cells), -1)
    level, texture, plain, clip = (flat[traces.names.index(name)] for name in DEPENDS)
    base = np.stack([np.ones_like(level), level, texture, texture**2, plain, clip], 1)
    solved = np.linalg.solve(base.T @ base + 0.1 * np.eye(base.shape[1]), base.T @ flat.T)
    off = flat - (base @ solved).T
    off -= np.median(off, 1, keepdims=True)
    off /= 1.4826 * np.median(np.abs(off), 1, keepdims=True) + 0.05
    return np.asarray(off.clip(-8, 8).reshape(traces.cells.shape), np.float32)


def smooth(levels: np.ndarray, size: int = 3) -> np.ndarray:
    """The mean of size x size cells; over the last two axes."""
    sizes = (0,) * (levels.ndim - 2) + (size, size)
    return np.asarray(uniform_filter(levels, sizes, mode="nearest"))


def features(traces: Traces) -> np.ndarray:
    """float32 [F, rows, columns]: contrasts of 3 x 3 and 5 x 5 cells, their size, some traces, and the picture's."""
    off = contrast(traces)
    raw = traces.cells[[traces.names.index(name) for name in RAW]]
    median = np.median(traces.cells.reshape(len(traces.cells), -1), 1)
    own = np.concatenate([traces.whole, median[[traces.names.index(name) for name in WHOLE]]])
    spread = np.broadcast_to(own[:, None, None], (len(own), *off.shape[1:]))
    return np.concatenate([smooth(off), smooth(off, 5), np.abs(smooth(off)), raw, spread]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Trees of at most N nodes each, the first being the root.

    feature: int32 [T, N], what a node asks about. threshold: float64 [T, N]; a value up to it goes left. left, right:
    int32 [T, N], the next node; a leaf's own. value: float64 [T, N], what a leaf adds. base: log-odds before any tree.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    base: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Features [n, F] -> log-odds, float64 [n]."""
        found = np.full(len(x), self.base)
        rows = np.arange(len(x))
        nodes = zip(self.feature, self.threshold, self.left, self.right, self.value, strict=True)
        for feature, threshold, left, right, value in nodes:
            node = np.zeros(len(x), np.int32)
            while True:
                follows = np.where(x[rows, feature[node]] <= threshold[node], left[node], right[node])
                if (follows == node).all():
                    break
                node = follows
            found += value[node]
        return found
