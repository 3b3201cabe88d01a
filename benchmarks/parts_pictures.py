"""Reads the traces of every picture that the model of parts is fitted on.

Edits and originals of `edits2` (train), a photograph of every owner, and pictures that are made here: photographs in
which a part was replaced, and the same saved without it. Nothing is done to a file before it is read. Goes on where it
was stopped.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from benchmarks.regions import Outline, known_pair, pairs_of, region
from causalclip.dataset.table import PICTURES, Picture, read_table
from causalclip.evidence.region_finder import Box, read_box
from causalclip.evidence.regions import upright_table
from causalclip.evidence.traces import read_traces
from causalclip.images.loading import ImageError, load_image, read_file
from causalclip.provenance.jpeg import read_tables
from causalclip.training.augmentation import RETOUCHES, on_white

MADE = 480
KINDS = "generated", "filled", "softened", "photograph", "saved", "retouched", "caption", "generated"
HOST = 2000  # px of a side of what is made, of which the upper left is used
SMALLEST = 200  # px on the short side
WIDE = Outline(sides=(0.15, 0.75), beyond=0.05, corners=9, radius=0.5, area=(0.03, 0.4))  # of regions


@dataclass(frozen=True, slots=True)
class Opened:
    """pixels: uint8 RGB [H, W, 3], not scaled. table: of the luminance, if the file is a JPEG. read: of the picture,
    left, top, right, bottom; None for all."""

    pixels: np.ndarray
    table: np.ndarray | None
    format: str
    read: Box | None = None


def read_all(originals: Path, kept: Path) -> None:
    """Writes a file of traces for every picture into `kept`, where it is not there yet."""
    (kept / "native").mkdir(parents=True, exist_ok=True)
    table = read_table(PICTURES)
    for e, o in pairs_of(table, "train"):
        known_pair(e, o, originals, kept / "pairs")
    for kind, row in listed(table):
        write(kept / "native" / f"{kind}-{row.sha256[:16]}.npz", originals, kind, row)
    for i in range(MADE):
        make(i, table, originals, kept / "native")


def listed(table: list[Picture]) -> Iterator[tuple[str, Picture]]:
    """(edit, original or photo, row), each once; one photograph an owner."""
    for row in table:
        if row.set == "edits2" and row.split == "train" and not row.grid and not row.crop:
            yield ("original" if row.label == "real" else "edit"), row
    for _, rows in sorted(of_owners(table, "real").items()):
        yield "photo", min(rows, key=lambda p: hashlib.sha256(f"{p.sha256}n".encode()).hexdigest())


def of_owners(table: list[Picture], label: str) -> dict[str, list[Picture]]:
    """Whole pictures of one kind, photographs, by owner."""
    found: dict[str, list[Picture]] = defaultdict(list)
    for p in table:
        plain = p.split == "train" and p.set in ("sites", "alike") and p.kind == "photo" and not p.crop and not p.grid
        if plain and p.label == label:
            found[p.owner].append(p)
    return found


def write(target: Path, root: Path, kind: str, row: Picture) -> None:
    if target.exists():
        return
    opened = open_as_the_app(row, root)
    if opened is None or min(opened.pixels.shape[:2]) < SMALLEST:
        return
    keep(
        target,
        opened,
        kind=kind,
        owner=row.owner,
        sha=row.sha256,
        generator=row.generator,
        pasted=row.pasted,
        mask=None,
    )


def keep(target: Path, opened: Opened, *, mask: np.ndarray | None, **said: Any) -> None:
    """The traces of a picture and what is known of it."""
    found = read_traces(opened.pixels, opened.table)
    known = {} if mask is None else {"mask": by_cell(mask, found.cell).astype(np.float16)}
    np.savez(
        target.with_suffix(".partial.npz"),
        F=found.cells.astype(np.float16),
        whole=found.whole,
        names=json.dumps(found.names),
        shape=np.array(opened.pixels.shape[:2]),
        read=np.array(opened.read or (0, 0, *opened.pixels.shape[1::-1])),
        format=opened.format,
        **known,  # type: ignore[arg-type]
        **said,
    )
    target.with_suffix(".partial.npz").rename(target)


def by_cell(mask: np.ndarray, cell: int) -> np.ndarray:
    """[H, W] -> its mean in every whole cell."""
    rows, columns = mask.shape[0] // cell, mask.shape[1] // cell
    whole = mask[: rows * cell, : columns * cell].astype(np.float32)
    return np.asarray(whole.reshape(rows, cell, columns, cell).mean((1, 3)))


def open_as_the_app(row: Picture, root: Path) -> Opened | None:
    """A row's file as the app reads it for parts; None where it is not there, or is not read."""
    path = next((root / row.sha256[:2]).glob(f"{row.sha256}.*"), None)
    try:
        data = read_file(path) if path else b""
        loaded, jpeg = load_image(data), read_tables(data)
    except ImageError:
        return None
    box = read_box(loaded.height, loaded.width)
    pixels = loaded.pixels[box[1] : box[3], box[0] : box[2]]
    return Opened(pixels, upright_table(jpeg, loaded.width, loaded.height), loaded.format, box)


def open_file(row: Picture, root: Path, most: int) -> Opened | None:
    """A row's file, upright and not scaled; None where it is not there."""
    path = next((root / row.sha256[:2]).glob(f"{row.sha256}.*"), None)
    if path is None:
        return None
    with Image.open(path) as file:
        table = quantisation(file)
        if table is not None and file.getexif().get(0x0112, 1) > 4:  # the picture lies on its side in the file
            table = table.reshape(8, 8).T.ravel()
        pixels = np.asarray(on_white(ImageOps.exif_transpose(file)))
        return Opened(pixels[:most, :most], table, str(file.format))


def quantisation(file: Image.Image) -> np.ndarray | None:
    """A JPEG's luminance table [64], row by row; None of any other file."""
    found: dict[int, list[int]] = getattr(file, "quantization", {}) if file.format == "JPEG" else {}
    return np.asarray(found[0], np.float64) if 0 in found else None


def make(number: int, table: list[Picture], root: Path, folder: Path) -> None:
    """One picture that is made here, of KINDS in turn; nothing where a file is missing or small."""
    rng, kind = np.random.default_rng([11, number]), KINDS[number % len(KINDS)]
    target = folder / f"made-{number:04d}-{kind}.npz"
    if target.exists():
        return
    hosts, guests = of_owners(table, "real"), of_owners(table, "fake" if kind == "generated" else "real")
    (owner, host), (_, guest) = _drawn(hosts, rng), _drawn(guests, rng)
    opened, other = open_file(host, root, HOST), open_file(guest, root, HOST)
    if opened is None or other is None or min(opened.pixels.shape[:2]) < 240:
        return
    pixels = opened.pixels
    if rng.random() < 0.3:
        pixels = _scaled(pixels, rng.uniform(0.45, 0.95))
    new, mask = changed(pixels, other.pixels, kind, rng)
    if rng.random() < 0.15:
        new = _scaled(new, rng.uniform(0.5, 0.95))
        mask = cv2.resize(mask.astype(np.uint8), (new.shape[1], new.shape[0]), interpolation=cv2.INTER_NEAREST) > 0
    keep(target, saved(new, rng), kind=f"made {kind}", owner=owner, sha="", generator="", pasted="", mask=mask)


def _drawn(owners: dict[str, list[Picture]], rng: np.random.Generator) -> tuple[str, Picture]:
    owner = sorted(owners)[int(rng.integers(len(owners)))]
    return owner, owners[owner][int(rng.integers(len(owners[owner])))]


def _scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    size = int(pixels.shape[1] * factor), int(pixels.shape[0] * factor)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def changed(
    pixels: np.ndarray, other: np.ndarray, kind: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(the picture with one change, bool [H, W]: what was replaced)."""
    height, width = pixels.shape[:2]
    nothing = np.zeros((height, width), bool)
    if kind == "saved":
        return pixels, nothing
    if kind == "retouched":
        return _retouched(pixels, rng), nothing
    if kind == "caption":
        return _caption(pixels, rng), nothing
    if kind in ("generated", "photograph"):
        cover, mask = _covering(other, pixels.shape, rng), region(width, height, rng, WIDE)
    else:
        mask = region(width, height, rng, WIDE)
        cover = _filling(pixels, kind, rng)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(0.5, 4)))[..., None]
    return (soft * cover + (1 - soft) * pixels).round().astype(np.uint8), mask


def _retouched(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As a whole; large pictures without the slow one of the retouches."""
    name = sorted(RETOUCHES)[int(rng.integers(len(RETOUCHES)))]
    slow = max(pixels.shape[:2]) > 1200 and name == "less noise"
    return RETOUCHES["colour grading" if slow else name](pixels, rng)


def _covering(other: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A piece of another picture as large as this one."""
    scale = max(shape[0] / other.shape[0], shape[1] / other.shape[1])
    scale = max(scale, 1.0) if rng.random() < 0.5 else scale
    size = max(shape[1], round(other.shape[1] * scale)), max(shape[0], round(other.shape[0] * scale))
    large = np.asarray(Image.fromarray(other).resize(size, Image.Resampling.LANCZOS))
    left, top = int(rng.integers(size[0] - shape[1] + 1)), int(rng.integers(size[1] - shape[0] + 1))
    return large[top : top + shape[0], left : left + shape[1]]


def _filling(pixels: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """The picture without its compression and finest detail, in place or moved: what a decoder makes of a part."""
    height, width = pixels.shape[:2]
    factor = float(rng.uniform(0.35, 0.8))
    if kind == "filled":
        by = int(rng.integers(height // 5, height // 2)), int(rng.integers(width // 5, width // 2))
        pixels = np.roll(pixels, by, (0, 1))
    small = Image.fromarray(_scaled(pixels, factor))
    cover = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    if rng.random() < 0.5:
        grain = rng.normal(0, rng.uniform(0.5, 3), cover.shape)
        cover = (cover.astype(np.float32) + grain).clip(0, 255).astype(np.uint8)
    return cover


def _caption(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = pixels.shape[:2]
    new, size = pixels.copy(), min(height, width) / 300 * rng.uniform(0.6, 2)
    at = int(rng.uniform(0, 0.5) * width), int(rng.uniform(0.15, 0.95) * height)
    if rng.random() < 0.5:
        ground = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.rectangle(new, (at[0], at[1] - int(30 * size)), (width, at[1] + int(10 * size)), ground, -1)
    ink = tuple(int(v) for v in rng.integers(0, 256, 3))
    cv2.putText(new, "BREAKING NEWS 24", at, cv2.FONT_HERSHEY_DUPLEX, size, ink, max(1, int(2 * size)), 16)
    return new


def saved(pixels: np.ndarray, rng: np.random.Generator) -> Opened:
    """As it comes back from a file: PNG, JPEG or WebP."""
    drawn, file = rng.random(), io.BytesIO()
    if drawn < 0.35:
        return Opened(pixels, None, "PNG")
    if drawn < 0.85:
        quality, subsampling = int(rng.integers(75, 98)), int(rng.choice([0, 2]))
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    else:
        Image.fromarray(pixels).save(file, "WEBP", quality=int(rng.integers(75, 96)), method=2)
    with Image.open(file) as again:
        return Opened(np.asarray(again.convert("RGB")), quantisation(again), str(again.format))
