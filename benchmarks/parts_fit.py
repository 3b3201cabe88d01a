"""Fits what the app looks for edited parts with: `python -m benchmarks parts_fit`.

It learns from pictures of `train` alone (benchmarks/parts_pictures.py). Every picture is first judged by
trees that saw nothing of its owner; from these scores comes the threshold. The trees that are shipped saw all of them.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from safetensors.numpy import save_file
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.common import Options
from benchmarks.parts_pictures import by_cell, read_all
from causalclip.evidence.region_finder import FOLDER, exported, features, region_of, smooth, top
from causalclip.evidence.traces import Traces

FOLDS = 5
BY_HAND = "hand retouching", "seam carving", "unknown retouching"  # in a row's generator: no generator is known
CELLS = 24  # of either side of a mask, that are learned from
REPLACED = "made generated", "made filled", "made softened", "made photograph", "pasted back"
UNEDITED = "photograph", "original"
CALM = (*UNEDITED, "made saved", "made retouched", "made caption")
EDITS = "pasted back", "made anew", "not known which"
FALSE = 0.0  # of owners, whose worst unedited photograph may be flagged; at 0.02, 0.039 of the test's were
SETTINGS: dict[str, Any] = {
    "max_iter": 60,
    "max_leaf_nodes": 15,
    "learning_rate": 0.12,
    "l2_regularization": 20,
    "early_stopping": False,
    "random_state": 0,
}
Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # features, labels, weights, folds


@dataclass(slots=True)
class Seen:
    """A picture's traces and what is known. mask: share of each cell that was replaced; None where not known."""

    name: str
    kind: str
    owner: str
    cells: np.ndarray
    names: tuple[str, ...]
    whole: np.ndarray
    mask: np.ndarray | None

    @property
    def fold(self) -> int:
        return fold_of(self.owner)

    @property
    def traces(self) -> Traces:
        return Traces(self.names, self.cells, self.whole, int(self.whole[4]))


def run(options: Options) -> None:
    """Reads what is not read yet, fits the trees, and writes them with their threshold into FOLDER."""
    read_all(options.originals, options.cache)
    seen = load(options.cache)
    drawn = [found for one in seen if (found := rows_of(one)) is not None]
    x, y, w, folds = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    rows = x, y, w, folds
    maps = held_out(seen, rows)
    scores = [top(levels) for levels in maps]
    least = threshold(seen, scores, false=FALSE)
    trees = exported(fit(rows, np.ones(len(rows[1]), bool)))
    save_file(trees.arrays(), FOLDER / "trees.safetensors")
    revision = hashlib.sha256((FOLDER / "trees.safetensors").read_bytes()).hexdigest()[:12]
    config = {"revision": revision, "threshold": least, "base": trees.base, "false": FALSE, "settings": SETTINGS}
    config["held_out"] = judged(seen, maps, scores, least)
    (FOLDER / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    print(json.dumps(config, indent=2))


def fold_of(owner: str) -> int:
    return hashlib.sha256(f"regions/{owner}".encode()).digest()[0] % FOLDS


def load(kept: Path) -> list[Seen]:
    found = []
    for path in sorted((kept / "native").glob("*.npz")):
        with np.load(path) as file:
            cells = np.nan_to_num(file["F"].astype(np.float32), posinf=20, neginf=-20)
            if cells[0].size < 30:
                continue
            kind, shape = kind_of(file), tuple(int(n) for n in file["shape"])
            mask = file["mask"].astype(np.float32) if "mask" in file else None
            if kind in (*EDITS, "by hand"):
                box = tuple(int(n) for n in file["read"]) if "read" in file else (0, 0, shape[1], shape[0])
                mask = edited(kept / "pairs" / f"{str(file['sha'])[:16]}.npz", box, int(file["whole"][4]))
            names = tuple(json.loads(str(file["names"])))
            mask = None if mask is None or mask.shape != cells.shape[1:] else mask
            found.append(Seen(path.stem, kind, str(file["owner"]), cells, names, file["whole"], mask))
    return found


def kind_of(file: Any) -> str:
    """What a picture is; edits by how they were made."""
    kind = str(file["kind"])
    if kind != "edit":
        return "photograph" if kind == "photo" else kind
    if str(file["generator"]).startswith(BY_HAND):
        return "by hand"
    return {"yes": "pasted back", "no": "made anew"}.get(str(file["pasted"]), "not known which")


def edited(path: Path, box: tuple[int, ...], cell: int) -> np.ndarray | None:
    """Where an edit differs from its original, by cell of what was read of the file; None where that is not known."""
    if not path.exists():
        return None
    with np.load(path) as known:
        if "why" in known:
            return None
        mask = known["mask"].astype(np.float32)
    left, top_, right, bottom = box  # in the middle of the file, so that what is left out is alike on both sides
    size = right + left, bottom + top_
    return by_cell(cv2.resize(mask, size, interpolation=cv2.INTER_AREA)[top_:bottom, left:right], cell)


def rows_of(one: Seen) -> tuple[np.ndarray, ...] | None:
    """Some cells of either side of a picture's mask: features, labels, weights, folds."""
    if one.kind in CALM:
        known = np.zeros(one.cells[0].size)
    elif one.kind in REPLACED and one.mask is not None:
        known = np.where(one.mask > 0.6, 1, np.where(one.mask < 0.05, 0, -1)).ravel()
    else:
        return None
    rng = np.random.default_rng(zlib.crc32(one.name.encode()))
    sides = [rng.permutation(np.nonzero(known == v)[0])[:CELLS] for v in (0, 1)]
    weight = 2.0 if one.kind == "pasted back" else 1.0 if one.kind in REPLACED else 1.5
    chosen = np.concatenate(sides)
    weights = np.concatenate([np.full(len(side), weight / max(1, len(side))) for side in sides])
    cells = features(one.traces)
    return cells.reshape(len(cells), -1)[:, chosen].T, known[chosen], weights, np.full(len(chosen), one.fold)


def fit(rows: Rows, kept: np.ndarray) -> HistGradientBoostingClassifier:
    x, y, w, _ = rows
    return HistGradientBoostingClassifier(**SETTINGS).fit(x[kept], y[kept], w[kept] / w.mean())


def held_out(seen: Sequence[Seen], rows: Rows) -> list[np.ndarray]:
    """Every picture's map, by trees that saw nothing of its owner."""
    trees = [exported(fit(rows, rows[3] != fold)) for fold in range(FOLDS)]
    maps = []
    for one in seen:
        cells = features(one.traces)
        levels = trees[one.fold](cells.reshape(len(cells), -1).T)
        maps.append(smooth(levels.reshape(cells.shape[1:])))
    return maps


def threshold(seen: Sequence[Seen], scores: Sequence[float], *, false: float) -> float:
    """What at most `false` of owners reach by their worst unedited photograph.

    With the finite-sample correction of split conformal prediction (Vovk et al., 2005): of n owners, the score of the
    one at rank ceil((1 - false)(n + 1)) counting from the lowest must be exceeded. Above all where n is too small.
    """
    worst: dict[str, float] = defaultdict(lambda: -np.inf)
    for one, score in zip(seen, scores, strict=True):
        if one.kind in UNEDITED:
            worst[one.owner] = max(worst[one.owner], score)
    rank = int(np.ceil((1 - false) * (len(worst) + 1)))
    ranked = sorted(worst.values())
    reached = ranked[rank - 1] if rank <= len(ranked) else ranked[-1]
    return float(np.nextafter(reached, np.inf))


def judged(seen: Sequence[Seen], maps: Sequence[np.ndarray], scores: Sequence[float], least: float) -> dict[str, Any]:
    """How many owners and pictures there were, what is found by kind, and how far the outline overlaps the part."""
    owners: dict[str, bool] = defaultdict(bool)
    found: dict[str, list[bool]] = defaultdict(list)
    overlaps: list[float] = []
    for one, levels, score in zip(seen, maps, scores, strict=True):
        flagged = score >= least
        found[one.kind].append(flagged)
        if one.kind in UNEDITED:
            owners[one.owner] |= flagged
        if flagged and one.kind == "pasted back" and one.mask is not None and one.mask.any():
            overlaps.append(overlap(levels, one.mask > 0.5))
    return {
        "owners": len(owners),
        "owners_flagged": sum(owners.values()),
        "found": {kind: [sum(flags), len(flags)] for kind, flags in sorted(found.items())},
        "outline_iou_pasted_back": [round(float(np.mean(overlaps)), 3), len(overlaps)] if overlaps else None,
    }


def overlap(levels: np.ndarray, part: np.ndarray) -> float:
    """IoU of a part with the one that a map outlines."""
    outlined = region_of(levels)
    return float((outlined & part).sum() / max(1, (outlined | part).sum()))
