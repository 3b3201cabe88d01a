"""The second round, judged on held-out owners: `python -m benchmarks.local.native.ideas KEPT`.

Every picture is judged by models that saw nothing of its owner. Writes benchmarks/local/native.json.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import label, uniform_filter
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.local.native.pictures import by_cell
from benchmarks.local.regions.ideas import middle, threshold, within
from benchmarks.local.regions.made import BY_HAND, FOLDS, fold_of

CELLS = 24  # of either side of a mask, that are learned from
DEPENDS = "level", "texture", "flat", "clip"  # on what a trace depends in any picture
RAW = "level", "texture", "flat", "clip", "comb", "comb_n", "comb_z", "zero", "noise0", "lag_d", "gx", "gy"
WHOLE = "noise0", "noise1", "lag_d", "zero", "comb"  # whose median the models see
ONE_CLASS = "zero", "comb_z", "noise0", "noise1", "low0", "lag_d", "lag_x2", "gx", "gy", "band9"
REPLACED = "made generated", "made filled", "made softened", "made photograph", "pasted back"
UNEDITED = "photograph", "original"
CALM = (*UNEDITED, "made saved", "made retouched", "made caption")
EDITS = "pasted back", "made anew", "not known which"
HISTORY, COLOUR, ALONE = "earlier compression alone", "noise in colour alone", "distance to the picture's own traces"
LINEAR, TREES, PICTURE, BLOB = "linear on traces", "trees on traces", "trees, then a picture's own model", "a blob"
FOUND = 0.04  # of a picture's cells, the highest, whose mean is its number


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
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def fold(self) -> int:
        return fold_of(self.owner)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kept", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/local/native.json"))
    options = parser.parse_args()
    seen = load(options.kept)
    by_hand(seen)
    learned(seen)
    by_picture(seen)
    put(options.output, "traces", judge(seen))


def put(path: Path, name: str, report: dict[str, Any]) -> None:
    """Writes a report into the file of all of them, and prints it."""
    whole = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(whole | {name: report}, indent=1) + "\n")
    print(json.dumps(report, indent=1))


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
                mask = edited(kept / "pairs" / f"{str(file['sha'])[:16]}.npz", shape, int(file["whole"][4]))
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


def edited(path: Path, shape: tuple[int, ...], cell: int) -> np.ndarray | None:
    """Where an edit differs from its original, by cell of the file; None where that is not known."""
    if not path.exists():
        return None
    with np.load(path) as known:
        if "why" in known:
            return None
        mask = known["mask"].astype(np.float32)
    return by_cell(cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), cell)


def contrast(one: Seen) -> np.ndarray:
    """How far each cell lies from what the same picture has for its brightness and texture, in the picture's own
    deviations (median and median deviation)."""
    flat = one.cells.reshape(len(one.cells), -1)
    level, texture, plain, clip = (flat[one.names.index(name)] for name in DEPENDS)
    base = np.stack([np.ones_like(level), level, texture, texture**2, plain, clip], 1)
    solved = np.linalg.solve(base.T @ base + 0.1 * np.eye(base.shape[1]), base.T @ flat.T)
    off = flat - (base @ solved).T
    off -= np.median(off, 1, keepdims=True)
    off /= 1.4826 * np.median(np.abs(off), 1, keepdims=True) + 0.05
    return np.asarray(off.clip(-8, 8).reshape(one.cells.shape), np.float32)


def smooth(levels: np.ndarray, size: int = 3) -> np.ndarray:
    """The mean of size x size cells; over the last two axes."""
    sizes = (0,) * (levels.ndim - 2) + (size, size)
    return np.asarray(uniform_filter(levels, sizes, mode="nearest"))


def features(one: Seen) -> np.ndarray:
    """[F, rows, columns]: contrasts of 3 x 3 and 5 x 5 cells, their size, some as they are, and the picture's own."""
    off = contrast(one)
    raw = one.cells[[one.names.index(name) for name in RAW]]
    median = np.median(one.cells.reshape(len(one.cells), -1), 1)
    own = np.concatenate([one.whole, median[[one.names.index(name) for name in WHOLE]]])
    spread = np.broadcast_to(own[:, None, None], (len(own), *off.shape[1:]))
    return np.concatenate([smooth(off), smooth(off, 5), np.abs(smooth(off)), raw, spread]).astype(np.float32)


def by_hand(seen: list[Seen]) -> None:
    """Maps that nothing was learned for."""
    for one in seen:
        off, at = smooth(contrast(one)), one.names.index
        one.maps[HISTORY] = -off[at("comb")] - off[at("zero")]
        one.maps[COLOUR] = off[at("chroma_r")] + off[at("chroma_b")]
        one.maps[ALONE] = (off[[at(name) for name in ONE_CLASS]] ** 2).mean(0)
        one.maps[BLOB] = middle(off.shape[1:])


def learned(seen: list[Seen]) -> None:
    """A linear and a boosted model on cells, a fold apart."""
    rows = [row for one in seen if (row := _rows(one)) is not None]
    x, y, w, folds = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    print(x.shape, float(y.mean()), flush=True)
    for fold in range(FOLDS):
        kept = folds != fold
        line = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=200))
        line.fit(x[kept], y[kept], logisticregression__sample_weight=w[kept] / w.mean())
        trees = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, learning_rate=0.12, l2_regularization=20, early_stopping=False
        ).fit(x[kept], y[kept], w[kept] / w.mean())
        for one in (one for one in seen if one.fold == fold):
            cells = features(one)
            flat, shape = cells.reshape(len(cells), -1).T, cells.shape[1:]
            one.maps[LINEAR] = smooth(line.decision_function(flat).reshape(shape))
            one.maps[TREES] = smooth(trees.decision_function(flat).reshape(shape))
        print("fold", fold, flush=True)


def _rows(one: Seen) -> tuple[np.ndarray, ...] | None:
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
    cells = features(one)
    return cells.reshape(len(cells), -1)[:, chosen].T, known[chosen], weights, np.full(len(chosen), one.fold)


def top(levels: np.ndarray) -> float:
    """A map's number for its picture: its highest cells."""
    return float(np.sort(levels.ravel())[-max(3, round(FOUND * levels.size)) :].mean())


def by_picture(seen: list[Seen]) -> None:
    """One more model, on what the learned maps of a picture look like."""
    for one in seen:
        one.scores = {name: top(levels) for name, levels in one.maps.items()}
    used = [one for one in seen if one.kind in (*REPLACED, *CALM)]
    x, y = np.stack([_shape(one) for one in used]), np.array([one.kind in REPLACED for one in used])
    folds, w = np.array([one.fold for one in used]), np.array([2.0 if o.kind == "pasted back" else 1.0 for o in used])
    for fold in range(FOLDS):
        kept = folds != fold
        model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=6, min_samples_leaf=15)
        model.fit(x[kept], y[kept], w[kept])
        for one in (one for one in seen if one.fold == fold):
            one.scores[PICTURE] = float(model.decision_function(_shape(one)[None])[0])
            one.maps[PICTURE] = one.maps[TREES]


def _shape(one: Seen) -> np.ndarray:
    """How high, how uneven and how much in one piece the learned maps are."""
    found: list[float] = []
    for levels in (one.maps[LINEAR], one.maps[TREES]):
        middle_, spread = float(np.median(levels)), float(levels.std()) + 1e-6
        groups, count = label((levels - middle_) / spread > 1.5)
        areas = np.bincount(groups.ravel())[1:] if count else np.zeros(1)
        along = np.corrcoef(levels[:, 1:].ravel(), levels[:, :-1].ravel())[0, 1]
        highest = [float(np.sort(levels.ravel())[-max(3, levels.size // n) :].mean()) for n in (25, 8)]
        found += [*highest, middle_, spread, (highest[0] - middle_) / spread]
        found += [areas.max() / levels.size, areas.max() / max(1, areas.sum()), along]
    return np.nan_to_num(np.array(found))


def judge(seen: list[Seen]) -> dict[str, Any]:
    """By idea: mean AUC inside pictures, AUC of pictures against unedited ones, and what is found at 2 % of owners."""
    report: dict[str, Any] = {
        "pictures": {kind: sum(one.kind == kind for one in seen) for kind in sorted({one.kind for one in seen})},
        "owners": len({one.owner for one in seen}),
        "ideas": {},
    }
    for idea in (HISTORY, COLOUR, ALONE, LINEAR, TREES, PICTURE, BLOB):
        report["ideas"][idea] = judged(seen, idea)
    return report


def judged(seen: list[Seen], idea: str) -> dict[str, Any]:
    inside: dict[str, list[float]] = defaultdict(list)
    overlaps: dict[str, list[float]] = defaultdict(list)
    scores: dict[str, list[float]] = defaultdict(list)
    worst: dict[str, float] = defaultdict(lambda: -np.inf)
    for one in seen:
        scores[one.kind].append(one.scores[idea])
        if one.kind in UNEDITED:
            worst[one.owner] = max(worst[one.owner], one.scores[idea])
    least = threshold(list(worst.values()))
    for one in seen:
        if one.mask is None or not one.mask.any():
            continue
        known = np.where(one.mask > 0.6, 1.0, np.where(one.mask < 0.05, 0.0, np.nan))
        auc = within(one.maps[idea], known)
        if not np.isnan(auc):
            inside[one.kind].append(auc)
        if one.scores[idea] >= least:
            overlaps[one.kind].append(overlap(one.maps[idea], one.mask > 0.5))
    calm = [score for kind in UNEDITED for score in scores.get(kind, [])]
    return {
        "owners": len(worst),
        "inside": {kind: [round(float(np.mean(v)), 3), len(v)] for kind, v in sorted(inside.items())},
        "picture": {
            kind: round(float(roc_auc_score([0] * len(calm) + [1] * len(v), calm + v)), 3)
            for kind, v in sorted(scores.items())
            if kind not in UNEDITED
        },
        "flagged": {kind: round(float(np.mean(np.array(v) >= least)), 3) for kind, v in sorted(scores.items())},
        "overlap": {kind: [round(float(np.mean(v)), 3), len(v)] for kind, v in sorted(overlaps.items())},
    }


def overlap(levels: np.ndarray, part: np.ndarray) -> float:
    """IoU of the part with what is halfway between a map's middle and its highest cells, or higher."""
    outlined = levels > (np.median(levels) + top(levels)) / 2
    return float((outlined & part).sum() / max(1, (outlined | part).sum()))


if __name__ == "__main__":
    main()
