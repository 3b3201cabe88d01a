"""Regions of pictures of which it is known what was changed: pasted by a seed, or found by comparing an edit with its
original.
"""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from causalclip.dataset.table import Picture
from causalclip.evidence.alignment import WORK, lay_over
from causalclip.evidence.blocks import like
from causalclip.evidence.comparison import plausible
from causalclip.evidence.keypoints import KeypointIndex, place
from causalclip.training.augmentation import on_white
from causalclip.training.data import Record

MOST, LEAST = 0.6, 0.003  # of the picture that may have changed
SIDE = 1600  # px, of what is compared
SIGMA = 3.0  # px of the grid, of the smoothing: noise and edges a hair off go, edited parts stay
QUIET = 0.2  # quantile of the difference that is taken for what two encodings leave everywhere
TIMES, FARTHEST = 4.0, 14.0  # a changed part's difference against that, and in 1/255 at least
NOISE = 9.0  # in 1/255: above it nothing was kept


@dataclass(frozen=True, slots=True)
class Splice:
    """pixels: uint8 [H, W, 3], re-encoded once after pasting. mask: bool [H, W], what was pasted."""

    pixels: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, slots=True)
class Outline:
    """How a region is drawn.

    sides: shares of the picture's width and height. beyond: how far it may reach over an edge, as a share of what is
    left free. corners, radius: of a polygon; the smallest distance of a corner from the middle, 1 being the outline's.
    area: shares of the picture.
    """

    sides: tuple[float, float] = (0.3, 0.75)
    beyond: float = 0.0
    corners: int = 8
    radius: float = 0.6
    area: tuple[float, float] = (0.1, 0.4)


PLAIN = Outline()


def region(width: int, height: int, rng: np.random.Generator, outline: Outline = PLAIN) -> np.ndarray:
    """A rectangle, an ellipse or a polygon inside the outline's bounds: bool [H, W]."""
    low, high = outline.area
    while True:
        canvas = Image.new("L", (width, height))
        draw = ImageDraw.Draw(canvas)
        w, h = rng.uniform(*outline.sides) * width, rng.uniform(*outline.sides) * height
        x, y = (rng.uniform(-outline.beyond, 1 + outline.beyond) * free for free in (width - w, height - h))
        shape = rng.integers(3)
        if shape == 0:
            draw.rectangle((x, y, x + w, y + h), fill=255)
        elif shape == 1:
            draw.ellipse((x, y, x + w, y + h), fill=255)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, outline.corners))
            radii = rng.uniform(outline.radius, 1, outline.corners)
            corners = [
                (x + w / 2 * (1 + r * np.cos(a)), y + h / 2 * (1 + r * np.sin(a)))
                for a, r in zip(angles, radii, strict=True)
            ]
            draw.polygon(corners, fill=255)
        mask = np.asarray(canvas) > 127
        if low <= mask.mean() <= high:
            return mask


def make_splice(host: Image.Image, guest: Image.Image, rng: np.random.Generator) -> Splice:
    """The region of `guest`, scaled to cover the host, pasted with a soft edge, then JPEG 85 to 95."""
    scale = max(host.width / guest.width, host.height / guest.height)
    size = (max(host.width, round(guest.width * scale)), max(host.height, round(guest.height * scale)))
    cover = guest.resize(size, Image.Resampling.LANCZOS).crop((0, 0, host.width, host.height))
    mask = region(host.width, host.height, rng)
    soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    buffer = io.BytesIO()
    Image.composite(cover, host, soft).save(buffer, "JPEG", quality=int(rng.integers(85, 96)))
    return Splice(np.asarray(Image.open(buffer).convert("RGB")), mask)


def is_photograph(record: Record) -> bool:
    """Real, and no art."""
    return not record.label and "art" not in record.source


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


def compare_pair(edit: np.ndarray, original: np.ndarray) -> np.ndarray | str:
    """Where an edit differs from its original, bool [H, W] of the edit, or the reason why that cannot be said."""
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
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    share = float(mask[inside].mean())
    if not LEAST < share < MOST:
        return f"{share:.0%} changed"
    return cv2.warpPerspective(mask, to_edit, (edit.shape[1], edit.shape[0]), flags=cv2.INTER_NEAREST) > 0


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


def known_pair(edit: Picture, original: Picture, root: Path, cache: Path) -> np.ndarray | str:
    """compare_pair of two rows of the table, once: kept in `cache` as `mask`, or as `why` there is none."""
    path = cache / f"{edit.sha256[:16]}.npz"
    if not path.exists():
        found = compare_pair(_open(edit, root), _open(original, root))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{"why" if isinstance(found, str) else "mask": np.asarray(found)})  # type: ignore[arg-type]
    with np.load(path) as kept:
        return str(kept["why"]) if "why" in kept else np.asarray(kept["mask"])


def _open(picture: Picture, root: Path) -> np.ndarray:
    """The original of a row, RGB and upright, not larger than SIDE."""
    path = next((root / picture.sha256[:2]).glob(f"{picture.sha256}.*"))
    with Image.open(path) as file:
        found = on_white(ImageOps.exif_transpose(file))
    if picture.crop:
        found = found.crop(tuple(int(v) for v in picture.crop.split(",")))  # type: ignore[arg-type]
    found.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(found)
