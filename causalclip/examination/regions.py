"""Does one part of the picture differ from the rest? An answer that is only ever positive: what is
silent says little.

Most parts are not found, so that nothing here may sound as if none were there. What is found may be
harmless: a caption, a logo or retouching by hand differ from the rest as well.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from causalclip.examination.cautions import LOW_QUALITY, worst_quality
from causalclip.examination.messages import NO_ANSWER
from causalclip.images.formats import Box
from causalclip.images.loading import middle
from causalclip.languages import N_, _
from causalclip.paths import measured, shipped_folder

if TYPE_CHECKING:
    from causalclip.detector import Detection
    from causalclip.examination.traces import Traces
    from causalclip.images.loading import LoadedImage
    from causalclip.provenance.reading import JpegTables, Provenance

RegionState = Literal["found", "none found", "cannot know", "not asked"]
REGION_DIFFERS = N_("One part differs from the rest of the picture")
REGION_ANSWERS: dict[RegionState, str] = {
    "found": N_("One part differs"),
    "none found": N_("No part stands out, which says little"),
    "cannot know": N_("Cannot be known"),
    "not asked": N_("Not asked"),
}
FOUND = N_(
    "One part differs from the rest of the picture in its noise, its colours or its compression: "
    "{percent} % of it, from ({left}, {top}) to ({right}, {bottom}). It may have been pasted in, "
    "generated or painted over. Captions, logos, retouching by hand and what is out of focus can "
    "do the same, so a part that differs is no proof of deceit."
)
RELIABLE = N_(
    "A part was found in {unedited} of {photographs} test photographs that nobody edited, in "
    "{retouched} of {others} retouched ones, and in {pasted} of {edits} into which a part was "
    "pasted."
)
IN_VIEW = N_(
    "The threshold was set with those unedited ones in view, so it may happen more often with "
    "others."
)
NONE = N_(
    "No part stands out. That says little: most parts that are pasted in or generated are not "
    "found."
)
MISSED = N_(
    "No part stands out. That says little: of 100 test pictures into which a part was pasted, "
    "{pasted} look like this, and of 100 that a generator redrew to change a part, {anew}."
)
MIDDLE = N_("Of this large picture, only the middle was read for that: {percent} % of it.")
UNKNOWN = N_("Whether one part differs cannot be known here: {why}.")
WHY_UNKNOWN = {
    "kind": N_("this is no photograph"),
    "small": N_("the picture is too small"),
    "compressed": N_("it was compressed too much"),
    "halved": N_("it was read at half its size"),
    "palette": N_("a GIF keeps too few colours"),
}
NOT_ASKED = N_("Whether one part differs was not looked for.")


FOLDER = shipped_folder("assets") / "models" / "parts"
MAX_PIXELS = 12_000_000  # that are read: of larger pictures the middle
MAX_SIDE = 16_000  # px of a side that are read: a row of cells lies in memory
MIN_SIDE, MIN_CELLS = 200, 30  # px on the short side and cells, below which nothing can be said
TOP_SHARE = 0.04  # of a picture's cells, the highest, whose mean is its number
MIN_TOP_CELLS = 3  # cells, at least
SPECK = 0.25  # of the largest piece, below which a piece is left out
DEPENDS = "level", "texture", "flat", "clip"  # on what a trace depends in any picture
RAW = (
    "level",
    "texture",
    "flat",
    "clip",
    "comb",
    "comb_n",
    "comb_z",
    "zero",
    "noise0",
    "lag_d",
    "gx",
    "gy",
)
WHOLE = "noise0", "noise1", "lag_d", "zero", "comb"  # whose median the trees see
Ring = tuple[tuple[int, int], ...]  # (x, y) in px


@dataclass(frozen=True, slots=True)
class Region:
    """A region that differs; it may be in several pieces.

    box, outline: in px of the whole picture. share: of what was read, in [0, 1]. cell: px of the
    squares that the outline follows.
    """

    box: Box
    outline: tuple[Ring, ...]
    share: float
    cell: int


@dataclass(frozen=True, slots=True)
class RegionFinding:
    """What was found. region: where, if one differs. why: a key of WHY_UNKNOWN where that cannot be
    known.

    read: the share of the picture that was looked at, in [0, 1]. revision: of the trees.
    """

    state: RegionState
    region: Region | None = None
    why: str = ""
    read: float = 1.0
    revision: str = ""
    seconds: float = 0.0

    @property
    def found(self) -> bool:
        """Whether there is a part that differs."""
        return self.region is not None

    @property
    def words(self) -> str:
        """For a table."""
        return _(REGION_ANSWERS[self.state])

    @property
    def sentence(self) -> str:
        """For a person, with how far it can be relied on."""
        if self.state == "cannot know":
            return _(UNKNOWN, why=_(WHY_UNKNOWN[self.why]))
        if self.state == "not asked":
            return _(NOT_ASKED)
        rates = reliability(self.revision)
        said = _found(self.region, self.read, rates) if self.region else _none_found(rates)
        return f"{said} {_(MIDDLE, percent=round(100 * self.read))}" if self.read < 1 else said

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; the picture's own pixels for box and outline."""
        where = asdict(self.region) if self.region else {"box": None, "outline": [], "share": None}
        rates = reliability(self.revision)
        return (
            {"answer": self.state, "words": self.words, "sentence": self.sentence}
            | json.loads(json.dumps(where))
            | {
                "read": self.read,
                "reliability": rates,
                "revision": self.revision,
                "seconds": self.seconds,
            }
        )


NOT_LOOKED_FOR = RegionFinding("not asked")


def find_region(
    loaded: LoadedImage, provenance: Provenance, detection: Detection | Any
) -> RegionFinding:
    """Looks for a part that differs. detection: the verdict; of what is no photograph, nothing can
    be known."""
    started = time.perf_counter()
    if why := why_unknown(loaded, provenance, detection):
        return RegionFinding("cannot know", why=why)
    from causalclip.examination.traces import (  # brings SciPy, which the page need not wait for
        cell_of,
        read_traces,
    )

    left, upper, right, lower = middle(
        loaded.height, loaded.width, most=MAX_PIXELS, longest=MAX_SIDE
    )
    seen = loaded.pixels[upper:lower, left:right]
    cell = cell_of(*seen.shape[:2])
    if (
        min(seen.shape[:2]) < MIN_SIDE
        or (seen.shape[0] // cell) * (seen.shape[1] // cell) < MIN_CELLS
    ):
        return RegionFinding("cannot know", why="small")
    finder, table = shipped_finder(), upright_table(provenance.jpeg, loaded.width, loaded.height)
    levels, region = finder.levels(read_traces(seen, table)), None
    if top(levels) >= finder.threshold:
        cells, corner = region_of(levels), (left, upper)
        region = Region(
            box_of(cells, cell, corner), rings_of(cells, cell, corner), float(cells.mean()), cell
        )
    return RegionFinding(
        "found" if region else "none found",
        region=region,
        read=(right - left) * (lower - upper) / (loaded.width * loaded.height),
        revision=finder.revision,
        seconds=time.perf_counter() - started,
    )


def upright_table(jpeg: JpegTables | None, width: int, height: int) -> np.ndarray | None:
    """A JPEG's luminance table [64] as its upright picture of that size lies; None of other files,
    and of a part."""
    if jpeg is None or not jpeg.luminance:
        return None
    table = np.reshape(np.asarray(jpeg.luminance, np.float64), (8, 8))
    return (table if jpeg.size == (width, height) else table.T).ravel()


def reliability(revision: str) -> dict[str, dict[str, int]] | None:
    """How many pictures there were (`n`) and in how many a part was found (`flagged`), by kind;
    None if not measured.

    All are test pictures; real edits are counted with those of `train`, judged by trees that saw
    nothing of their owner.
    """
    report = measured("parts")
    if not revision or report.get("revision") != revision:
        return None
    return {kind: dict(row["counted"]) for kind, row in report["kinds"].items()}


def why_unknown(loaded: LoadedImage, provenance: Provenance, detection: Detection | Any) -> str:
    """A key of WHY where that cannot be known of a picture, whatever is found in it; empty
    elsewhere."""
    if detection.band == NO_ANSWER:
        return "kind"
    if loaded.format == "GIF":
        return "palette"
    if loaded.halved:
        return "halved"
    return "compressed" if worst_quality(provenance) <= LOW_QUALITY else ""


def _found(region: Region, read: float, rates: dict[str, dict[str, int]] | None) -> str:
    """read: the share of the picture that was looked at; the region's own share is of that."""
    (left, top, right, bottom), percent = region.box, max(1, round(100 * region.share * read))
    said = _(FOUND, percent=percent, left=left, top=top, right=right, bottom=bottom)
    if rates is None:
        return said
    calm, retouched, pasted = (rates[kind] for kind in ("unedited", "retouched", "pasted back"))
    counted = _(
        RELIABLE,
        unedited=calm["flagged"],
        photographs=calm["n"],
        retouched=retouched["flagged"],
        others=retouched["n"],
        pasted=pasted["flagged"],
        edits=pasted["n"],
    )
    return f"{said} {counted} {_(IN_VIEW)}"


def _none_found(rates: dict[str, dict[str, int]] | None) -> str:
    if rates is None:
        return _(NONE)
    pasted, anew = (  # of 100, never all
        min(99, round(100 * (1 - rates[kind]["flagged"] / rates[kind]["n"])))
        for kind in ("pasted back", "made anew")
    )
    return _(MISSED, pasted=pasted, anew=anew)


@dataclass(frozen=True, slots=True, eq=False)
class RegionFinder:
    """Trees on the traces of cells, and the score from which a part counts as found. revision: of
    what was learned."""

    trees: Trees
    threshold: float
    revision: str

    def levels(self, traces: Traces) -> np.ndarray:
        """Log-odds that a cell belongs to an edited region, smooth, float64 [rows, columns]."""
        cells = features(traces)
        found = self.trees(cells.reshape(len(cells), -1).T)
        return smooth(found.reshape(cells.shape[1:]))


@cache
def shipped_finder() -> RegionFinder:
    """The shipped one, read once."""
    from safetensors.numpy import load_file

    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    trees = Trees(**load_file(FOLDER / "trees.safetensors"), base=config["base"])
    return RegionFinder(trees, config["threshold"], config["revision"])


def top(levels: np.ndarray) -> float:
    """A map's number for its picture: the mean of its highest cells."""
    return float(
        np.sort(levels.ravel())[-max(MIN_TOP_CELLS, round(TOP_SHARE * levels.size)) :].mean()
    )


def region_of(levels: np.ndarray) -> np.ndarray:
    """bool [rows, columns]: what is halfway between the middle cell and the highest; its largest
    pieces."""
    from scipy.ndimage import label

    groups, _number = label(levels > (np.median(levels) + top(levels)) / 2)
    sizes = np.bincount(groups.ravel())[1:]
    return np.asarray(np.isin(groups, 1 + np.nonzero(sizes >= SPECK * sizes.max())[0]))


def box_of(region: np.ndarray, cell: int, corner: tuple[int, int]) -> Box:
    """Left, top, right, bottom in px. corner: left and top of the cells in the picture, in px."""
    rows, columns = np.nonzero(region)
    left, top_, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    x, y = corner
    return x + int(left) * cell, y + int(top_) * cell, x + int(right) * cell, y + int(bottom) * cell


def rings_of(region: np.ndarray, cell: int, corner: tuple[int, int]) -> tuple[Ring, ...]:
    """The outline along the cells' edges, as closed rings of (x, y) in px; holes have rings of
    their own."""
    import cv2

    fine = region.astype(np.uint8).repeat(2, 0).repeat(2, 1)  # so that a cell has an inside
    contours, _ = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(_ring(contour[:, 0].astype(int), cell, corner) for contour in contours)


def _ring(points: np.ndarray, cell: int, corner: tuple[int, int]) -> Ring:
    """Points of the fine grid lie in the corners of cells: each goes to the corner that it is
    nearest to."""
    return tuple(
        (corner[0] + (x + 1) // 2 * cell, corner[1] + (y + 1) // 2 * cell)
        for x, y in points.tolist()
    )


def contrast(traces: Traces) -> np.ndarray:
    """How far each cell lies from what the same picture has for its brightness and texture, float32
    as traces.cells.

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
    from scipy.ndimage import uniform_filter

    sizes = (0,) * (levels.ndim - 2) + (size, size)
    return np.asarray(uniform_filter(levels, sizes, mode="nearest"))


def features(traces: Traces) -> np.ndarray:
    """float32 [F, rows, columns]: contrasts of 3 x 3 and 5 x 5 cells, their size, some traces, and
    the picture's."""
    off = contrast(traces)
    raw = traces.cells[[traces.names.index(name) for name in RAW]]
    median = np.median(traces.cells.reshape(len(traces.cells), -1), 1)
    own = np.concatenate([traces.whole, median[[traces.names.index(name) for name in WHOLE]]])
    spread = np.broadcast_to(own[:, None, None], (len(own), *off.shape[1:]))
    return np.concatenate([smooth(off), smooth(off, 5), np.abs(smooth(off)), raw, spread]).astype(
        np.float32
    )


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Trees of at most N nodes each, the first being the root.

    feature: int32 [T, N], what a node asks about. threshold: float64 [T, N]; a value up to it goes
    left. left, right: int32 [T, N], the next node; a leaf's own. value: float64 [T, N], what a leaf
    adds. base: log-odds before any tree.
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
                follows = np.where(
                    x[rows, feature[node]] <= threshold[node], left[node], right[node]
                )
                if (follows == node).all():
                    break
                node = follows
            found += value[node]
        return found
