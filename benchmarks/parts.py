"""What the app finds of edited parts, on test pictures.

A part is searched as the app does it, from the file's bytes; photographs are taken for photographs, edits are judged by
the detector as well. From the JSON the app takes how far its finding can be relied on.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.metrics import roc_auc_score

from benchmarks.common import Options
from benchmarks.edits import find_edits, open_pair
from benchmarks.parts_pictures import changed
from benchmarks.regions import compare_pair, is_photograph, known_pair, pairs_of
from causalclip.dataset.table import PICTURES, Picture, read_table
from causalclip.detector import Detector
from causalclip.evidence.examination import read_claims
from causalclip.evidence.precision import wilson
from causalclip.evidence.region_finder import FOLDER, shipped_finder
from causalclip.evidence.regions import upright_table, why_unknown
from causalclip.images.loading import ImageError, load_image
from causalclip.provenance.reading import with_history
from causalclip.training.augmentation import on_white
from causalclip.training.data import Record, read_manifest

EDITED = "pasted back", "made anew", "edited, not known how"
AN_OWNER = 1  # photographs of one owner of the sets that hold no edits
LARGEST = 1600  # px on the long side of what is changed here, of which the middle is used


class Photograph:
    """What stands for a verdict where the kind of picture is known."""

    band = "likely not generated"


def measure(options: Options) -> dict[str, Any]:
    """What is found in every test picture; rows that an earlier run kept are not judged again."""
    path = options.cache / f"parts-{shipped_finder().revision}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {row["name"]: row for row in map(json.loads, path.read_text().splitlines())} if path.exists() else {}
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector = Detector.from_pretrained(options.model)
    with path.open("a") as file:
        for one in tested(options.forensics, options.originals, options.cache / "pairs"):
            if one.name not in rows:
                rows[one.name] = look(one, detector)
                file.write(json.dumps(rows[one.name]) + "\n")
                file.flush()
    return summary(list(rows.values()), json.loads((FOLDER / "config.json").read_text()))


def look(one: Tested, detector: Detector) -> dict[str, Any]:
    """What is found in one picture, how long that took and how far the outline overlaps the part."""
    row: dict[str, Any] = {"name": one.name, "kind": one.kind, "owner": one.owner}
    try:
        loaded = load_image(one.data)
    except ImageError as error:
        return row | {"refused": str(error)}
    provenance = with_history(read_claims(one.data), loaded.pixels)
    verdict: Any = detector.judge(loaded.pixels) if one.kind in EDITED else Photograph()
    row |= {"band": verdict.band} if one.kind in EDITED else {}
    row |= {"size": [loaded.width, loaded.height], "why": why_unknown(loaded, provenance, verdict)}
    started = time.process_time()
    search = shipped_finder().search(loaded.pixels, upright_table(provenance.jpeg, loaded.width, loaded.height))
    row["cpu_seconds"] = round(time.process_time() - started, 3)
    if search is None:
        return row | {"why": "small"}
    row["score"] = search.score
    if search.region and one.mask is not None:
        mask = cv2.resize(one.mask.astype(np.uint8), (loaded.width, loaded.height), interpolation=cv2.INTER_NEAREST) > 0
        outlined = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(outlined, [np.array(ring, np.int32) for ring in search.region.outline], 1)
        row["iou"] = float((mask & (outlined > 0)).sum() / (mask | (outlined > 0)).sum())
    return row


def summary(rows: Sequence[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """By kind: pictures, in how many a part is found, for how many that cannot be known, AUC and overlap.

    Of edits that were pasted back and made anew, test pictures are few: those of train, each judged by trees that saw
    nothing of its owner, are counted with them.
    """
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if "refused" not in row:
            found = row.get("score", -np.inf) >= config["threshold"] and not row["why"]
            kinds[row["kind"]].append(row | {"found": found})
    calm = [row["score"] for row in kinds["unedited"] if not row["why"]]
    report: dict[str, Any] = {"revision": config["revision"], "kinds": {}}
    for kind, some in sorted(kinds.items()):
        report["kinds"][kind] = _kind(some, calm if kind != "unedited" else [])
        others = config["held_out"]["found"].get(kind)
        if others and kind in EDITED:
            report["kinds"][kind] |= _pooled(report["kinds"][kind], *others)
    owners: dict[str, bool] = defaultdict(bool)
    for row in kinds["unedited"]:
        owners[row["owner"]] |= row["found"]
    held_out = {"n": config["held_out"]["owners"], "flagged": config["held_out"]["owners_flagged"]}
    report["owners"] = {"n": len(owners), "flagged": sum(owners.values()), "held_out": held_out}
    edited = [row for kind in EDITED for row in kinds[kind]]
    report["edits"] = _kind(edited, calm) | _silent(edited)
    report["cpu_seconds"] = _seconds([row for some in kinds.values() for row in some if "cpu_seconds" in row])
    return report


def _kind(rows: Sequence[dict[str, Any]], calm: list[float]) -> dict[str, Any]:
    flags = [row["found"] for row in rows]
    known = [row["score"] for row in rows if not row["why"]]
    ious = [row["iou"] for row in rows if row["found"] and "iou" in row]
    found: dict[str, Any] = {"n": len(rows), "flagged": sum(flags), "found": sum(flags) / max(1, len(rows))}
    found["counted"] = {"n": len(rows), "flagged": sum(flags)}
    found |= {"interval": wilson(sum(flags), max(1, len(rows))), "cannot_know": sum(bool(row["why"]) for row in rows)}
    if calm and known:
        found["auc"] = float(roc_auc_score([0] * len(calm) + [1] * len(known), calm + known))
    return found | ({"iou": float(np.mean(ious)), "outlined": len(ious)} if ious else {})


def _pooled(test: dict[str, Any], flagged: int, n: int) -> dict[str, Any]:
    """With the edits of train that were judged by trees that saw nothing of their owners."""
    both, count = test["flagged"] + flagged, test["n"] + n
    return {
        "counted": {"n": count, "flagged": both},
        "held_out": {"n": n, "flagged": flagged},
        "found": both / count,
        "interval": wilson(both, count),
    }


def _silent(edited: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many edited pictures are called likely not generated, and how many of them have no part found either."""
    cleared = [row for row in edited if row["band"] == "likely not generated"]
    silent = [row for row in cleared if not row["found"]]
    return {"cleared": len(cleared), "neither": len(silent), "neither_share": len(silent) / max(1, len(edited))}


def _seconds(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Processor time by size: the median up to 1 megapixel, and of the largest."""
    sizes = np.array([row["size"][0] * row["size"][1] for row in rows])
    times = np.array([row["cpu_seconds"] for row in rows])
    bounds = {"to_1_megapixel": sizes <= 1.05e6, "1_to_4": (sizes > 1.05e6) & (sizes <= 4e6)}
    bounds |= {"4_to_12": (sizes > 4e6) & (sizes <= 12e6), "more": sizes > 12e6}
    return {name: [round(float(np.median(times[b])), 2), int(b.sum())] for name, b in bounds.items() if b.any()}


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
            mask = None if isinstance(known, str) else known
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
                mask = None if isinstance(known, str) else known
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
