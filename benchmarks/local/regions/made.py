"""Pictures of which it is known what was generated in them: edits, splices and every control, drawn by a seed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageFilter

from benchmarks.local.regions.pairs import Known, compare_pair, open_picture, pairs_of
from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import Picture, read_table
from causalclip.pictures.delivery import encode, random_delivery
from causalclip.training.copies import RETOUCHED, copy_picture, lossy, retouch, shrink
from causalclip.training.data import Record
from causalclip.training.retouching import RETOUCHES
from causalclip.training.splicing import Outline, region

FOLDS = 5
BY_HAND = "hand retouching", "seam carving", "unknown retouching"  # in a row's generator: no generator is known
COUNTS = {"generated in photograph": 350, "photograph in photograph": 150, "photograph in generated": 100}
LOCAL, WHOLE, EACH, MANY = 150, 150, 2, 200  # local hand edits, whole generated, photographs an owner, retouched ones
SIZES = 512, 1024  # px on the long side, after delivery
WIDE = Outline(sides=(0.15, 0.75), beyond=0.05, corners=9, radius=0.5, area=(0.03, 0.4))  # of regions


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture to make. kind: what it is. rows: of the table or of read_originals. seed: of its own."""

    name: str
    kind: str
    owner: str
    rows: tuple[Any, ...]
    seed: int

    @property
    def fold(self) -> int:
        return fold_of(self.owner)


@dataclass(frozen=True, slots=True)
class Made:
    """pixels: uint8 [H, W, 3], as delivered. mask: float32 [H, W] in [0, 1], what is generated in it; NaN: unknown.

    pasted: as mask, what came from elsewhere or was changed by whatever means.
    """

    pixels: np.ndarray
    mask: np.ndarray
    pasted: np.ndarray


def fold_of(owner: str) -> int:
    return hashlib.sha256(f"regions/{owner}".encode()).digest()[0] % FOLDS


def plan(table: Path, root: Path) -> list[Sample]:
    """Every sample of `train`, shuffled, so that a part of them is a fair part."""
    rows = read_table(table)
    samples = [
        Sample(f"edit-{e.sha256[:12]}", "edit", e.owner, (e, o), int(e.sha256[:8], 16))
        for e, o in pairs_of(rows, "train")
    ]
    samples += [Sample(s.name.replace("edit", "third"), "third", s.owner, s.rows, s.seed + 1) for s in samples]
    originals = {p.sha256: p for p in rows if p.set == "edits2" and p.split == "train" and p.label == "real"}
    samples += [Sample(f"original-{k[:12]}", "original", p.owner, (p,), int(k[:8], 16)) for k, p in originals.items()]
    records = [r for r in read_originals(table, root) if r.set in ("alike", "sites") and r.kind == "photo"]
    samples += _splices(records) + _alone(records)
    order = np.random.default_rng(0).permutation(len(samples))
    return [samples[i] for i in order]


def _splices(records: Sequence[Record]) -> list[Sample]:
    rng, samples = np.random.default_rng(1), []
    pools: dict[tuple[int, int], dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for r in records:
        pools[fold_of(r.owner), r.label][r.owner].append(r)

    def draw(fold: int, label: int) -> Record:
        owners = pools[fold, label]
        rows = owners[str(rng.choice(sorted(owners)))]
        return rows[int(rng.integers(len(rows)))]

    for kind, count in COUNTS.items():
        host, guest = int(kind.endswith("in generated")), int(kind.startswith("generated"))
        for i in range(count):
            fold = i % FOLDS
            pair = draw(fold, host), draw(fold, guest)
            samples.append(Sample(f"splice-{host}{guest}-{i:04d}", kind, pair[0].owner, pair, 10_000 * host + i))
    return samples


def _alone(records: Sequence[Record]) -> list[Sample]:
    rng, samples = np.random.default_rng(2), []
    by_owner: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for r in records:
        by_owner[r.label, r.owner].append(r)
    real = [(owner, rows) for (label, owner), rows in sorted(by_owner.items()) if not label]
    fake = [(owner, rows) for (label, owner), rows in sorted(by_owner.items()) if label]
    pick = lambda rows: rows[int(rng.integers(len(rows)))]  # noqa: E731
    for owner, rows in real:
        for i, j in enumerate(rng.permutation(len(rows))[:EACH]):
            samples.append(Sample(f"photograph-{owner}-{i}", "photograph", owner, (rows[j],), i))
    for i in rng.permutation(len(real))[:MANY]:
        owner, rows = real[i]
        samples.append(Sample(f"retouched-{owner}", "retouched", owner, (pick(rows),), 1))
    for i in range(LOCAL):
        owner, rows = real[int(rng.integers(len(real)))]
        samples.append(Sample(f"local-{i:04d}", "edited by hand", owner, (pick(rows),), i))
    for i in range(WHOLE):
        owner, rows = fake[int(rng.integers(len(fake)))]
        samples.append(Sample(f"whole-{i:04d}", "whole generated", owner, (pick(rows),), i))
    return samples


def make(sample: Sample, root: Path, cache: Path) -> Made | str:
    """The picture and its masks, or the reason why there is none."""
    rng = np.random.default_rng([7, sample.seed])
    if sample.kind in ("edit", "third"):
        return _of_pair(sample, root, cache, rng)
    if sample.kind == "original":
        return _plain(open_picture(sample.rows[0], root), 0.0, rng)
    if sample.kind == "retouched":
        picture, rng = copy_picture(sample.rows[0], root, RETOUCHED)
        return _plain(picture, 0.0, rng)
    if sample.kind == "photograph":
        picture, rng = copy_picture(sample.rows[0], root, 0)
        return _plain(picture, 0.0, rng)
    if sample.kind == "whole generated":
        picture, rng = copy_picture(sample.rows[0], root, 0)
        return _plain(picture, 1.0, rng)
    if sample.kind == "edited by hand":
        picture, _ = copy_picture(sample.rows[0], root, 0)
        picture = shrink(picture, SIZES[1], rng)
        edited, mask = by_hand(np.asarray(picture), rng)
        return delivered(edited, np.zeros(mask.shape, np.float32), mask, rng)
    host, guest = (shrink(copy_picture(r, root, 0)[0], SIZES[1], rng) for r in sample.rows)
    pixels, mask = paste(host, guest, rng)
    generated = [bool(r.label) for r in sample.rows]
    return delivered(pixels, np.where(mask, generated[1], generated[0]).astype(np.float32), mask, rng)


def _plain(picture: Image.Image, level: float, rng: np.random.Generator) -> Made:
    pixels = np.asarray(shrink(picture, SIZES[1], rng))
    return delivered(pixels, np.full(pixels.shape[:2], level, np.float32), np.zeros(pixels.shape[:2]), rng)


def _of_pair(sample: Sample, root: Path, cache: Path, rng: np.random.Generator) -> Made | str:
    edit, original = sample.rows
    known = known_pair(edit, original, root, cache)
    if isinstance(known, str):
        if sample.kind == "third":
            return known
        pixels = np.asarray(open_picture(edit, root))
        return delivered(pixels, np.full(pixels.shape[:2], np.nan, np.float32), np.ones(pixels.shape[:2]), rng)
    pixels, mask = (known.edit, known.mask) if sample.kind == "edit" else (known.third, known.third_mask)
    return delivered(pixels, mask.astype(np.float32), mask, rng)


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


def delivered(pixels: np.ndarray, mask: np.ndarray, pasted: np.ndarray, rng: np.random.Generator) -> Made:
    """Shrunk to one of SIZES, lightly delivered and saved; the masks go along."""
    target = float(np.exp(rng.uniform(*np.log(SIZES))))
    picture = shrink(Image.fromarray(np.ascontiguousarray(pixels)), target, rng)
    picture = lossy(random_delivery(picture, rng, strength=0.4), 70, 95, rng)
    along = [cv2.resize(m.astype(np.float32), picture.size, interpolation=cv2.INTER_LINEAR) for m in (mask, pasted)]
    return Made(np.asarray(picture), along[0], along[1])


def paste(host: Image.Image, guest: Image.Image, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A region of `guest`, which covers the host or stands at its own scale, with a soft edge."""
    scale = max(host.width / guest.width, host.height / guest.height)
    scale = max(scale, 1.0) if rng.random() < 0.4 else scale
    size = (max(host.width, round(guest.width * scale)), max(host.height, round(guest.height * scale)))
    cover = guest.resize(size, Image.Resampling.LANCZOS) if size != guest.size else guest
    left, top = int(rng.integers(size[0] - host.width + 1)), int(rng.integers(size[1] - host.height + 1))
    cover = cover.crop((left, top, left + host.width, top + host.height))
    mask = region(host.width, host.height, rng, WIDE)
    soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 4))))
    return np.asarray(Image.composite(cover, host, soft)), mask


def by_hand(pixels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One edit as people make them without a generator, in a part: (the picture, what it changed)."""
    height, width = pixels.shape[:2]
    kind = int(rng.integers(7))
    mask = region(width, height, rng, WIDE)
    if kind == 0:  # a caption or a logo
        new = pixels.copy()
        size = min(height, width) / 300 * rng.uniform(0.6, 2)
        at = int(rng.uniform(0, 0.5) * width), int(rng.uniform(0.15, 0.95) * height)
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            cv2.rectangle(new, (at[0], at[1] - int(30 * size)), (width, at[1] + int(10 * size)), colour, -1)
        other = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.putText(new, "BREAKING NEWS 24", at, cv2.FONT_HERSHEY_DUPLEX, size, other, max(1, int(2 * size)), 16)
        return new, (new != pixels).any(2)
    if kind == 1:  # spot healing
        small = np.zeros((height, width), np.uint8)
        for _ in range(int(rng.integers(2, 12))):
            centre = int(rng.uniform(0, width)), int(rng.uniform(0, height))
            cv2.circle(small, centre, int(rng.uniform(0.008, 0.03) * width) + 2, 1, -1)
        return np.asarray(cv2.inpaint(pixels, small, 4, cv2.INPAINT_TELEA)), small > 0
    if kind == 2:  # brighter or darker
        new = (255 * (pixels / 255.0) ** rng.uniform(0.5, 1.7)).clip(0, 255).astype(np.uint8)
    elif kind == 3:  # blurred
        new = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(1.5, 8)))
    elif kind == 4:  # saved worse
        new = np.asarray(encode(Image.fromarray(pixels), "JPEG", int(rng.integers(30, 75))))
    elif kind == 5:  # scaled
        factor = float(rng.uniform(0.4, 0.85))
        shrunk = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        new = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC)
    else:
        names = [n for n in RETOUCHES if n not in ("less noise", "blurred background")]
        new = RETOUCHES[str(rng.choice(names))](pixels, rng)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(1, 8)))[..., None]
    return np.asarray((soft * new + (1 - soft) * pixels).round(), np.uint8), mask


def retouched(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A test picture, retouched as a whole and saved."""
    return lossy(retouch(picture, rng), 80, 95, rng)
