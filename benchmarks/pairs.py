"""Edits and their originals: where they differ, and a third picture, the original with the edited part alone put in.

The third picture is the honest test of a local head: an editor that sends a whole new picture leaves its trace
everywhere, and what has learned that trace finds nothing where the rest kept its camera's pixels (INP-X, 2026).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from causalclip.dataset.table import Picture
from causalclip.evidence.alignment import WORK, lay_over
from causalclip.evidence.blocks import like
from causalclip.evidence.comparison import plausible
from causalclip.evidence.keypoints import KeypointIndex, place
from causalclip.training.augmentation import on_white

MOST, LEAST = 0.6, 0.003  # of the picture that may have changed
SIDE = 1600  # px, of what is compared
SIGMA = 3.0  # px of the grid, of the smoothing: noise and edges a hair off go, edited parts stay
QUIET = 0.2  # quantile of the difference that is taken for what two encodings leave everywhere
TIMES, FARTHEST = 4.0, 14.0  # a changed part's difference against that, and in 1/255 at least
NOISE = 9.0  # in 1/255: above it nothing was kept


@dataclass(frozen=True, slots=True)
class Known:
    """edit: uint8 [H, W, 3] and where it differs from its original, bool [H, W].

    third: the original with only that part put in, on the grid of the comparison, and its mask. share: of the picture.
    """

    edit: np.ndarray
    mask: np.ndarray
    third: np.ndarray
    third_mask: np.ndarray
    share: float


def pairs_of(table: list[Picture], split: str) -> list[tuple[Picture, Picture]]:
    """(edit, original) of the set `edits2`."""
    rows = [p for p in table if p.set == "edits2" and p.split == split]
    originals: dict[str, list[Picture]] = defaultdict(list)
    for p in rows:
        if p.label == "real":
            originals[p.pair].append(p)
    return [(p, originals[p.pair][0]) for p in rows if p.label == "fake" and p.pair in originals]


def open_picture(picture: Picture, root: Path) -> Image.Image:
    """The original of a row, RGB and upright, not larger than SIDE."""
    path = next((root / picture.sha256[:2]).glob(f"{picture.sha256}.*"))
    with Image.open(path) as file:
        found = on_white(ImageOps.exif_transpose(file))
    if picture.crop:
        found = found.crop(tuple(int(v) for v in picture.crop.split(",")))  # type: ignore[arg-type]
    found.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return found


def compare_pair(edit: np.ndarray, original: np.ndarray) -> Known | str:
    """What was changed, or the reason why that cannot be said."""
    laid = _laid_over(edit, original)
    if laid is None:
        return "not aligned"
    a, b, inside, to_edit = laid
    found = cv2.GaussianBlur(np.abs(like(b, a, inside) - a), (0, 0), SIGMA).mean(2)
    calm = float(np.quantile(found[inside], QUIET))
    if calm > NOISE:
        return f"rendered anew: even its calmest parts differ by {calm:.0f} of 255"
    mask = ((found > max(FARTHEST, TIMES * calm)) & inside).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))) > 0
    share = float(mask[inside].mean())
    if not LEAST < share < MOST:
        return f"{share:.0%} changed"
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2)[..., None]
    third = np.clip(soft * b + (1 - soft) * a, 0, 255).round().astype(np.uint8)
    size = edit.shape[1], edit.shape[0]
    of_edit = cv2.warpPerspective(mask.astype(np.uint8), to_edit, size, flags=cv2.INTER_NEAREST) > 0
    rows, columns = np.nonzero(inside)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    return Known(edit, of_edit, np.ascontiguousarray(third[box]), mask[box], share)


def _laid_over(edit: np.ndarray, original: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """The original and the edit on one grid, where both show something, and the way from the grid to the edit."""
    placement = place(KeypointIndex(original), KeypointIndex(edit))
    if placement is not None and not placement.mirrored and plausible(placement, edit.shape, original.shape):
        aligned = lay_over(original, edit, placement)
        return aligned.a, aligned.b, aligned.inside, aligned.to_b
    shapes = [p.shape[1] / p.shape[0] for p in (edit, original)]
    if abs(np.log(shapes[0] / shapes[1])) > 0.03:
        return None
    zoom = min(1.0, WORK / max(edit.shape[:2]))
    size = round(edit.shape[1] * zoom), round(edit.shape[0] * zoom)
    a, b = (cv2.resize(p, size, interpolation=cv2.INTER_AREA).astype(np.float32) for p in (original, edit))
    return a, b, np.ones(a.shape[:2], bool), np.diag([1 / zoom, 1 / zoom, 1])


def known_pair(edit: Picture, original: Picture, root: Path, cache: Path) -> Known | str:
    """compare_pair, once."""
    path = cache / f"{edit.sha256[:16]}.npz"
    if path.exists():
        with np.load(path) as kept:
            if "why" in kept:
                return str(kept["why"])
            return Known(kept["edit"], kept["mask"], kept["third"], kept["third_mask"], float(kept["share"]))
    found = compare_pair(np.asarray(open_picture(edit, root)), np.asarray(open_picture(original, root)))
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"why": found} if isinstance(found, str) else {n: getattr(found, n) for n in Known.__slots__}
    np.savez(path, **values)  # type: ignore[arg-type]
    return found
