"""Are the maps right on real edits? Inpainted, erased and replaced regions, found by comparing edit
and original.

The mask is where the smoothed difference of the aligned pair stands out of what two encodings leave
everywhere. Pairs
that do not align, or that were rendered anew as a whole, have no such region: they are left out,
and listed with the reason. Where more than MAX_REGION was changed (a subject in new surroundings),
they stand in a table of their own. The numbers stand beside those of made splices
(benchmarks/splices.py), with the same controls, and with one
more: the map of the original against the same mask, which says how far it is drawn to what was
there before.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter
from skimage.morphology import closing, disk, opening, remove_small_holes, remove_small_objects
from skimage.registration import phase_cross_correlation
from tqdm import tqdm

from benchmarks.common import Options
from benchmarks.splices import SIDE, Splice, map_auc, map_aucs, randomised, summary, visible
from causalclip.detector import Detector
from causalclip.intervals import bootstrap
from causalclip.maps.attribution import picture_map

SIGMA = 2.0  # px, of the smoothing: JPEG's noise goes, edited regions stay
# quantile of the difference that is taken for the background's: so much of the picture was kept
QUIET = 0.05
TIMES = 8.0  # a region's difference against the background's
MIN_DIFFERENCE = 8.0  # in 1/255: pairs of nearly equal encodings have a background near 0
# in 1/255: a background above it says that the pair does not align or was rendered anew
NOISE = 3.0
# shares of the picture
MIN_MASK, MAX_REGION, MAX_MASK = 0.003, 0.6, 0.95
HOLE = 0.05  # of the picture: a smaller hole in a mask is a part of the region that looks as before
KINDS = "a region", "all but a subject"  # what was changed, by its share
FARTHEST = 0.04  # of the picture's sides, that an edit may be shifted against its original


@dataclass(frozen=True, slots=True)
class Pair:
    """Paths of an edit and of its original, under the data's root."""

    name: str
    edit: str
    original: str


def find_edits(manifest: Path) -> list[Pair]:
    """Every edit of the set `edits` whose original is there, in the manifest's order."""
    with manifest.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["set"] == "edits" and r["pair"]]
    originals = {r["pair"]: r["path"] for r in rows if r["label"] == "real"}
    return [
        Pair(r["pair"], r["path"], originals[r["pair"]])
        for r in rows
        if r["label"] == "fake" and r["pair"] in originals
    ]


def edited_region(edit: Image.Image, original: Image.Image) -> np.ndarray | str:
    """Return what was changed, bool [H, W] of the edit, or the reason why that cannot be said."""
    differences = min(
        (difference(edit, copy) for copy in laid_over(edit, original)), key=background
    )
    if background(differences) > NOISE:
        return (
            "not aligned, or rendered anew (even the calmest parts differ by "
            f"{background(differences):.0f} of 255)"
        )
    mask = closing(differences > max(MIN_DIFFERENCE, TIMES * background(differences)), disk(4))
    mask = opening(remove_small_holes(mask, max_size=round(HOLE * mask.size)), disk(3))
    mask = remove_small_objects(mask, max_size=round(MIN_MASK * mask.size / 2))
    share = float(mask.mean())
    if share < MIN_MASK:
        return "no changed region is found"
    return mask if share <= MAX_MASK else f"rendered anew ({share:.0%} changed)"


def background(change: np.ndarray) -> float:
    """Return what two encodings alone leave of a difference."""
    return float(np.nanquantile(change, QUIET))


def laid_over(edit: Image.Image, original: Image.Image) -> list[Image.Image]:
    """The original in the edit's size: squeezed, or cropped to its shape."""
    whole = original.resize(edit.size, Image.Resampling.LANCZOS)
    return [whole] if edit.size == original.size else [whole, ImageOps.fit(original, edit.size)]


def difference(edit: Image.Image, original: Image.Image) -> np.ndarray:
    """Smoothed difference of two pictures of one size, [H, W] in 1/255, the original shifted to
    fit; NaN beside it."""
    sharp = [np.asarray(p, np.float32) for p in (edit, original)]
    shift, _, _ = phase_cross_correlation(*(p.mean(2) for p in sharp), normalization=None)
    down, right = (int(v) for v in shift)
    a, b = (gaussian_filter(p, (SIGMA, SIGMA, 0)) for p in sharp)
    differences = [np.abs(a - b).mean(2)]
    if (down or right) and abs(down) <= FARTHEST * len(a) and abs(right) <= FARTHEST * len(a[0]):
        residue = np.abs(a - np.roll(b, (down, right), (0, 1))).mean(2)
        rows, columns = np.arange(len(a)) - down, np.arange(len(a[0])) - right
        residue[(rows < 0) | (rows >= len(a))] = np.nan  # what came round the edge
        residue[:, (columns < 0) | (columns >= len(a[0]))] = np.nan
        differences.append(residue)
    return min(differences, key=background)


def measure(options: Options) -> dict[str, Any]:
    return {"data": "forensics, test split"} | run(
        Detector.from_pretrained(options.model), options.forensics
    )


def run(detector: Detector, data: Path) -> dict[str, Any]:
    """AUC of every map against the masks, by what was changed; `left_out` says which pairs have
    none, and why."""
    aucs: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    left_out: list[dict[str, str]] = []
    random, shares = randomised(detector), []
    for pair in tqdm(find_edits(data / "manifest.csv"), desc="edits"):
        edit, original = (
            Image.open(data / path).convert("RGB") for path in (pair.edit, pair.original)
        )
        mask = edited_region(edit, original)
        if isinstance(mask, str):
            left_out.append({"pair": pair.name, "why": mask})
            continue
        shares.append(float(mask.mean()))
        columns = aucs[KINDS[shares[-1] > MAX_REGION]]
        for name, value in judge(detector, random, edit, original, mask).items():
            columns.setdefault(name, []).append(value)
    return {
        "pairs": len(shares) + len(left_out),
        "left_out": left_out,
        "mask_shares": sorted(round(s, 3) for s in shares),
        "auc": {
            kind: {
                name: summary(v) | {"interval": bootstrap(np.mean, np.array(v), rounds=2000)}
                for name, v in c.items()
            }
            for kind, c in aucs.items()
        },
    }


def judge(
    detector: Detector, random: Detector, edit: Image.Image, original: Image.Image, mask: np.ndarray
) -> dict[str, float]:
    """AUC of every map of the edit, and of the original's causal map, against the mask."""
    splice = Splice(np.asarray(edit), mask)
    values = map_aucs(detector, random, splice)
    before = detector.predict(np.asarray(laid_over(edit, original)[0]))
    levels = picture_map(before, side=SIDE, smooth=True)
    return values | {"causal map of the original": map_auc(levels, splice, visible(before, levels))}
