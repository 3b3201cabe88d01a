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
from scipy.ndimage import label
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.local.native.pictures import by_cell
from benchmarks.local.regions.ideas import middle, threshold, within
from benchmarks.local.regions.made import BY_HAND, FOLDS, fold_of
from causalclip.parts.contrast import contrast, features, history, smooth
from causalclip.parts.outline import part_of, top
from causalclip.parts.traces import Traces

CELLS = 24  # of either side of a mask, that are learned from
ONE_CLASS = "zero", "comb_z", "noise0", "noise1", "low0", "lag_d", "lag_x2", "gx", "gy", "band9"
REPLACED = "made generated", "made filled", "made softened", "made photograph", "pasted back"
UNEDITED = "photograph", "original"
CALM = (*UNEDITED, "made saved", "made retouched", "made caption")
EDITS = "pasted back", "made anew", "not known which"
HISTORY, COLOUR, ALONE = "earlier compression alone", "noise in colour alone", "distance to the picture's own traces"
LINEAR, TREES, PICTURE, BLOB = "linear on traces", "trees on traces", "trees, then a picture's own model", "a blob"


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

    @property
    def traces(self) -> Traces:
        return Traces(self.names, self.cells, self.whole, int(self.whole[4]))


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


def by_hand(seen: list[Seen]) -> None:
    """Maps that nothing was learned for."""
    for one in seen:
        own = contrast(one.traces)
        off, at = smooth(own), one.names.index
        one.maps[HISTORY] = history(one.traces, own)
        one.maps[COLOUR] = off[at("chroma_r")] + off[at("chroma_b")]
        one.maps[ALONE] = (off[[at(name) for name in ONE_CLASS]] ** 2).mean(0)
        one.maps[BLOB] = middle(off.shape[1:])


def learned(seen: list[Seen]) -> None:
    """A linear and a boosted model on cells, a fold apart."""
    rows = [row for one in seen if (row := rows_of(one)) is not None]
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
            cells = features(one.traces)
            flat, shape = cells.reshape(len(cells), -1).T, cells.shape[1:]
            one.maps[LINEAR] = smooth(line.decision_function(flat).reshape(shape))
            one.maps[TREES] = smooth(trees.decision_function(flat).reshape(shape))
        print("fold", fold, flush=True)


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
    """IoU of a part with the one that a map outlines."""
    outlined = part_of(levels)
    return float((outlined & part).sum() / max(1, (outlined | part).sum()))


if __name__ == "__main__":
    main()
