"""The two best ideas on test pictures, beside their controls:
`python -m benchmarks.local.regions.measure DATA ORIGINALS KEPT`.

Goes on where it was stopped: rows are kept beside the models.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.ndimage import label, uniform_filter
from sklearn.metrics import roc_auc_score

from benchmarks.local.regions.cells import CELL, grid_of, token_cells, working
from benchmarks.local.regions.fits import Ridge
from benchmarks.local.regions.ideas import CONTRAST, DECODER, middle, pooled, within
from benchmarks.local.regions.made import FOLDS
from benchmarks.local.regions.residuals import contrast, residual_cells
from benchmarks.local.regions.tested import Tested, tested
from causalclip.detector import Detector
from causalclip.maps.heatmap import picture_map

CAUSAL, BLOB = "the detector's causal map", "a blob in the middle"
PHOTOGRAPHS = "photograph, ", "edits, unedited", "edits2, unedited"  # kinds of unedited pictures
EDITS = "edits", "edits2, pasted back", "edits2, made anew", "edits2, not known which"
HOW = "top"  # of causalclip's ways to make one number a picture of its cells, which did best on train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/local/regions.json"))
    parser.add_argument("--kept-alone", action="store_true", help="Only sum up the rows that earlier runs kept.")
    options = parser.parse_args()
    path = options.kept / "test.jsonl"
    rows = {row["name"]: row for row in map(json.loads, path.read_text().splitlines())} if path.exists() else {}
    if not options.kept_alone:
        _look_at_all(options, path, rows)
    ideas = json.loads((Path(__file__).parents[1] / "ideas.json").read_text())["ideas"]
    options.output.write_text(json.dumps(summary(list(rows.values()), ideas), indent=1) + "\n")


def _look_at_all(options: argparse.Namespace, path: Path, rows: dict[str, dict[str, Any]]) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector = Detector.from_pretrained()
    models = torch.load(options.kept / "best.pt", weights_only=False)
    with path.open("a") as file:
        for one in tested(options.data, options.originals, options.kept / "pairs"):
            if one.name not in rows:
                rows[one.name] = look(one, detector, models)
                file.write(json.dumps(rows[one.name]) + "\n")
                file.flush()


@torch.inference_mode()
def look(one: Tested, detector: Detector, models: dict[str, Any]) -> dict[str, Any]:
    """What both ideas and the controls say of one picture."""
    started = time.process_time()
    picture = working(one.pixels)
    levels = local_maps(picture, detector, models)
    seconds = time.process_time() - started
    shape = levels[CONTRAST].shape
    row: dict[str, Any] = {"name": one.name, "kind": one.kind, "owner": one.owner, "cpu_seconds": round(seconds, 3)}
    row["score"] = {name: pooled(found)[HOW] for name, found in levels.items()}
    if one.mask is None:
        return row
    known = truth(one.mask, picture.shape[:2])
    if not one.kind.startswith(("generated", "photograph")):  # benchmarks/detection/splices.json has those
        levels[CAUSAL] = cell_means(picture_map(detector.predict(one.pixels), side=256, smooth=True), shape)
    row["inside"] = {name: within(uniform_filter(found, 3, mode="nearest"), known) for name, found in levels.items()}
    row["inside"][BLOB] = within(middle(shape), known)
    row["iou"] = {name: overlap(levels[name], known) for name in (CONTRAST, DECODER)}
    row["share"] = float((known == 1).mean())
    return row


def local_maps(picture: np.ndarray, detector: Detector, models: dict[str, Any]) -> dict[str, np.ndarray]:
    """Both ideas' numbers, fitted on all of train: [rows, columns] each."""
    tokens = token_cells(detector.tower, picture)
    D, h, w = tokens.shape
    x = tokens.reshape(D, -1).T
    r = torch.from_numpy(contrast(residual_cells(picture))).reshape(-1, h * w).T
    ridge: Ridge = models[CONTRAST]
    nets, mean, basis, scale = models[DECODER]
    inside = torch.cat([(x - mean) @ basis / scale, r / 3], 1).T.reshape(1, -1, h, w)
    return {
        CONTRAST: ridge(x - x.mean(0), FOLDS).reshape(h, w).numpy(),
        DECODER: np.mean([net(inside)[0].numpy() for net in nets], 0),
    }


def truth(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """bool [H, W] of the picture -> 1, 0 or NaN a cell of the working one."""
    rows, columns = grid_of(shape[0], shape[1])
    plane = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    share = plane[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL).mean((1, 3))
    return np.where(share > 0.6, 1.0, np.where(share < 0.05, 0.0, np.nan))


def cell_means(levels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(cv2.resize(levels.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA))


def overlap(levels: np.ndarray, known: np.ndarray) -> float:
    """IoU of the strongest connected part, cut at the middle between the picture's median and its highest cells."""
    smooth = uniform_filter(levels, 3, mode="nearest")
    cut = (np.median(smooth) + pooled(levels)["top"]) / 2
    groups, _ = label(smooth >= cut)
    part = groups == groups[np.unravel_index(smooth.argmax(), smooth.shape)]
    seen = ~np.isnan(known)
    both, either = (part & (known == 1))[seen].sum(), (part | (known == 1))[seen].sum()
    return float(both / either) if either else float("nan")


def summary(rows: list[dict[str, Any]], ideas: dict[str, Any]) -> dict[str, Any]:
    """By idea: inside pictures by kind, pictures against photographs, and what the threshold of train flags."""
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        kinds[row["kind"]].append(row)
        if row["kind"] in EDITS:
            kinds["all edits"].append(row)
        if row["kind"].startswith(PHOTOGRAPHS):
            kinds["all photographs"].append(row)
    real = kinds["all photographs"]
    report: dict[str, Any] = {"inside": {}, "picture": {}, "flagged": {}}
    for kind, some in sorted(kinds.items()):
        masked = [row for row in some if "inside" in row]
        if masked:
            names = masked[0]["inside"]
            report["inside"][kind] = {"n": len(masked)} | {
                name: round(float(np.nanmean([row["inside"].get(name, np.nan) for row in masked])), 3) for name in names
            }
        for name in (CONTRAST, DECODER):
            value = lambda row, name=name: row["score"][name]  # noqa: E731
            if kind not in ("all photographs", *PHOTOGRAPHS) and not kind.startswith("photograph, "):
                scores = [value(row) for row in real + some]
                auc = roc_auc_score([0] * len(real) + [1] * len(some), scores)
                report["picture"].setdefault(name, {})[kind] = round(float(auc), 3)
            least = ideas[name]["flagged"][HOW]["threshold"]
            hit = [row for row in some if value(row) >= least]
            iou = [row["iou"][name] for row in hit if "iou" in row]
            report["flagged"].setdefault(name, {})[kind] = {
                "n": len(some),
                "share": round(len(hit) / len(some), 3),
                "iou": round(float(np.nanmean(iou)), 3) if iou else None,
            }
    report["cpu_seconds"] = round(float(np.median([row["cpu_seconds"] for row in rows])), 2)
    return report


if __name__ == "__main__":
    main()
