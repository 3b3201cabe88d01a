"""The test pictures of a local head: edits, splices, photographs and controls; nothing learned from their owners."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.detection.edits import find_edits, open_pair
from benchmarks.detection.splices import make_splices
from benchmarks.local.regions.made import by_hand, known_pair, retouched
from benchmarks.local.regions.pairs import compare_pair, open_picture, pairs_of
from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import PICTURES, read_table
from causalclip.training.copies import RETOUCHED, copy_picture, lossy
from causalclip.training.data import Record, read_manifest
from causalclip.training.splicing import is_photograph

SPLICES, CONTROLS, AN_OWNER = 24, 16, 2  # photographs of one owner at most
KINDS = (
    ("generated in photograph", 0, 1, SPLICES),
    ("photograph in photograph", 0, 0, CONTROLS),
    ("photograph in generated", 1, 0, CONTROLS),
)


@dataclass(frozen=True, slots=True)
class Tested:
    """kind: what it is. owner: whose. mask: bool [H, W], what a map is to find; None where that is not known."""

    name: str
    kind: str
    owner: str
    pixels: np.ndarray
    mask: np.ndarray | None


def tested(data: Path, originals: Path, cache: Path) -> Iterator[Tested]:
    """Every test picture, a kind after the other. data: the packed test pictures. originals: of the table's."""
    forensics = data / "forensics"
    records = [r for r in read_manifest(forensics / "manifest.csv") if r.split == "test"]
    yield from _edits([r for r in records if r.label], forensics)
    yield from _edits2(originals, cache)
    whole = [r for r in records if r.set in ("alike", "fresh", "broad")]
    made = [_spliced(whole, forensics, *which) for which in KINDS]
    unedited = _edits([r for r in records if not r.label], forensics)
    photographs = _photographs(whole, forensics, originals)
    yield from in_turn(*made, unedited, *[photographs] * 6)  # six at a time: they are many


def in_turn(*streams: Iterator[Tested]) -> Iterator[Tested]:
    """One of each after the other, so that a run that is stopped has some of all."""
    for row in itertools.zip_longest(*streams):
        yield from (one for one in row if one is not None)


def _spliced(records: list[Record], root: Path, kind: str, host: int, guest: int, count: int) -> Iterator[Tested]:
    """As benchmarks.detection.splices makes them."""
    for i, splice in enumerate(make_splices(records, root, count=count, seed=host + 1 - guest, host=host, guest=guest)):
        yield Tested(f"{kind} {i}", kind, "", splice.pixels, splice.mask)


def _edits(records: list[Record], root: Path) -> Iterator[Tested]:
    paired = {pair.edit: pair for pair in find_edits(root / "manifest.csv")}
    for r in (r for r in records if r.set == "edits"):
        pixels = np.asarray(Image.open(root / r.path).convert("RGB"))
        mask = None
        if r.path in paired:
            known = compare_pair(*(np.asarray(p) for p in open_pair(paired[r.path], root)))
            mask = None if isinstance(known, str) else known.mask
        yield Tested(r.path, "edits" if r.label else "edits, unedited", r.family, pixels, mask)


def _edits2(originals: Path, cache: Path) -> Iterator[Tested]:
    rows = read_table(PICTURES)
    pairs = {e.sha256: o for e, o in pairs_of(rows, "test")}
    for p in sorted((p for p in rows if p.set == "edits2" and p.split == "test"), key=lambda p: p.sha256):
        if not any((originals / p.sha256[:2]).glob(f"{p.sha256}.*")):
            continue
        pixels, mask = np.asarray(open_picture(p, originals)), None
        if p.label == "real":
            yield Tested(p.sha256, "edits2, unedited", p.owner, pixels, None)
            continue
        if p.sha256 in pairs:
            known = known_pair(p, pairs[p.sha256], originals, cache)
            if not isinstance(known, str):
                mask = known.mask
                third = lossy(Image.fromarray(known.third), 90, 90, np.random.default_rng(0))
                yield Tested(f"third {p.sha256}", "third picture", p.owner, np.asarray(third), known.third_mask)
        how = {"yes": "pasted back", "no": "made anew"}.get(p.pasted, "not known which")
        yield Tested(p.sha256, f"edits2, {how}", p.owner, pixels, mask)


def _photographs(records: list[Record], root: Path, originals: Path) -> Iterator[Tested]:
    """Unedited photographs as they are; some retouched, and some edited in a part by hand."""
    owners: dict[str, list[Record]] = defaultdict(list)
    for r in records:
        if is_photograph(r):
            owners[f"{r.set} {r.family}"].append(r)
    for r in read_originals(PICTURES, originals, split="test"):
        if r.set == "sites" and not r.label and r.kind == "photo":
            owners[r.owner].append(r)
    lot = lambda r: hashlib.sha256(f"{r.path}".encode()).digest()  # noqa: E731
    real = [r for _, rows in sorted(owners.items()) for r in sorted(rows, key=lot)[:AN_OWNER]]
    for i, r in enumerate(sorted(real, key=lot)):
        folder = originals if r.set == "sites" else root
        rng = np.random.default_rng([3, i])
        if folder is root:
            picture = Image.open(folder / r.path).convert("RGB")
        else:
            picture, _ = copy_picture(r, folder, 0)
        yield Tested(r.path, f"photograph, {r.set}", r.owner or r.family, np.asarray(picture), None)
        if i % 3 == 0:
            changed = copy_picture(r, folder, RETOUCHED)[0] if folder is originals else retouched(picture, rng)
            yield Tested(f"retouched {r.path}", "retouched", r.owner or r.family, np.asarray(changed), None)
        if i % 6 == 1:
            pixels, mask = by_hand(np.asarray(picture), rng)
            saved = lossy(Image.fromarray(pixels), 80, 95, rng)
            yield Tested(f"by hand {r.path}", "edited by hand", r.owner or r.family, np.asarray(saved), mask)
