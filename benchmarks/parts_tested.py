"""Test pictures of the search for a part, as files: edits, photographs as they are, and the same changed by hand."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.edits import find_edits, open_pair
from benchmarks.pairs import compare_pair, known_pair, pairs_of
from benchmarks.parts_pictures import changed
from benchmarks.splices import is_photograph
from causalclip.dataset.table import PICTURES, Picture, read_table
from causalclip.training.augmentation import on_white
from causalclip.training.data import Record, read_manifest

AN_OWNER = 1  # photographs of one owner of the sets that hold no edits
LARGEST = 1600  # px on the long side of what is changed here, of which the middle is used


@dataclass(frozen=True, slots=True)
class Tested:
    """kind: what it is. owner: whose. data: of the file. mask: bool [H, W], the edited part; None if unknown."""

    name: str
    kind: str
    owner: str
    data: bytes
    mask: np.ndarray | None = None


def tested(root: Path, originals: Path, cache: Path) -> Iterator[Tested]:
    """root: the folder `forensics` of the packed test pictures. originals: of the table's. cache: of compared pairs."""
    records = [r for r in read_manifest(root / "manifest.csv") if r.split == "test"]
    yield from _edits([r for r in records if r.set == "edits"], root)
    yield from _edits2(originals, cache)
    yield from _photographs([r for r in records if r.set in ("alike", "fresh", "broad")], root, originals)


def _edits(records: list[Record], root: Path) -> Iterator[Tested]:
    paired = {pair.edit: pair for pair in find_edits(root / "manifest.csv")}
    for r in records:
        mask = None
        if r.path in paired:
            known = compare_pair(*(np.asarray(p) for p in open_pair(paired[r.path], root)))
            mask = None if isinstance(known, str) else known.mask
        kind = "edited, not known how" if r.label else "unedited"
        yield Tested(r.path, kind, r.family, (root / r.path).read_bytes(), mask)


def _edits2(originals: Path, cache: Path) -> Iterator[Tested]:
    rows = read_table(PICTURES)
    pairs = {e.sha256: o for e, o in pairs_of(rows, "test")}
    for p in sorted((p for p in rows if p.set == "edits2" and p.split == "test"), key=lambda p: p.sha256):
        data, mask, kind = _file(p, originals), None, "unedited"
        if data is None:
            continue
        if p.label == "fake":
            kind = {"yes": "pasted back", "no": "made anew"}.get(p.pasted, "edited, not known how")
            if p.sha256 in pairs:
                known = known_pair(p, pairs[p.sha256], originals, cache)
                mask = None if isinstance(known, str) else known.mask
        yield Tested(p.sha256, kind, p.owner, data, mask)


def _file(picture: Picture, originals: Path) -> bytes | None:
    path = next((originals / picture.sha256[:2]).glob(f"{picture.sha256}.*"), None)
    return path.read_bytes() if path else None


def _photographs(records: list[Record], root: Path, originals: Path) -> Iterator[Tested]:
    """Unedited photographs, one an owner; a third of them retouched as well, and a third with a caption."""
    owners: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for r in (r for r in records if is_photograph(r)):
        owners[f"{r.set} {r.family}"].append((r.path, root / r.path))
    for p in read_table(PICTURES):
        whole = p.set == "sites" and p.split == "test" and not p.crop and not p.grid
        if whole and p.label == "real" and p.kind == "photo":
            path = next((originals / p.sha256[:2]).glob(f"{p.sha256}.*"), None)
            if path:
                owners[p.owner].append((p.sha256, path))
    lot = lambda name: hashlib.sha256(name.encode()).digest()  # noqa: E731
    drawn = [(n, path, o) for o, v in owners.items() for n, path in sorted(v, key=lambda f: lot(f[0]))[:AN_OWNER]]
    for i, (name, path, owner) in enumerate(sorted(drawn, key=lambda f: lot(f[0]))):
        yield Tested(name, "unedited", owner, path.read_bytes())
        if i % 3 < 2:
            kind = ("retouched", "caption")[i % 3]
            yield Tested(f"{kind} {name}", kind, owner, _changed(path, kind, np.random.default_rng([5, i])))


def _changed(path: Path, kind: str, rng: np.random.Generator) -> bytes:
    """As somebody hands it on who changed it by hand: saved as JPEG, at its own size."""
    with Image.open(path) as file:
        picture = on_white(ImageOps.exif_transpose(file))
    left, top = (max(0, (n - LARGEST) // 2) for n in picture.size)
    pixels = np.asarray(picture)[top : top + LARGEST, left : left + LARGEST]
    new, _ = changed(pixels, pixels, kind, rng)
    saved = io.BytesIO()
    Image.fromarray(new).save(saved, "JPEG", quality=int(rng.integers(80, 96)))
    return saved.getvalue()
