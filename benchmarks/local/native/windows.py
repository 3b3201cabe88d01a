"""The detector's own score, window by window: `python -m benchmarks.local.native.windows ORIGINALS KEPT`.

The verdict's heads judge windows that cover the picture; the map is their scores, the picture's number is how far its
highest window lies above its middle one. Nothing is learned here. Goes on where it was stopped; writes native.json.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.local.native.ideas import BLOB, EDITS, UNEDITED, Seen, load, put
from benchmarks.local.native.pictures import open_file
from benchmarks.local.regions.cells import BATCH, starts
from benchmarks.local.regions.ideas import middle, threshold, within
from causalclip.clip.embedding import embed, needs
from causalclip.clip.views import View, render
from causalclip.dataset.table import PICTURES, read_table
from causalclip.detector import Detector

SIDE, PATCH, WINDOW = 768, 16, 224  # px on the long side, at most; of a step; of a window
KINDS = "pasted back", "photograph", "made anew", "original"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("--count", type=int, default=60, help="pictures of each kind")
    parser.add_argument("--again", action="store_true", help="Judge what an earlier run kept.")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/local/native.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    detector, rows = Detector.from_pretrained(), {p.sha256[:16]: p for p in read_table(PICTURES)}
    (options.kept / "windows").mkdir(exist_ok=True)
    seen = load(options.kept)
    for one in [] if options.again else chosen(seen, options.count):
        target = options.kept / "windows" / f"{one.name}.npz"
        if not target.exists():
            opened = open_file(rows[one.name.split("-")[1]], options.originals, 6000)
            if opened is not None:
                write(target, detector, opened.pixels)
    report = judge(seen, options.kept / "windows", detector.config.revision)
    put(options.output, "windows", report)


def chosen(seen: list[Seen], count: int) -> list[Seen]:
    """As many of each kind, by a draw; of edits, those whose part is known."""
    kinds = {k: [o for o in seen if o.kind == k and (k in UNEDITED or o.mask is not None)] for k in KINDS}
    drawn = [sorted(v, key=lambda o: hashlib.sha256(o.name.encode()).hexdigest())[:count] for v in kinds.values()]
    return [one for row in itertools.zip_longest(*drawn) for one in row if one is not None]


@torch.inference_mode()
def write(target: Path, detector: Detector, pixels: np.ndarray) -> None:
    """Every window's score, by the head of windows and by that of whole pictures."""
    factor = SIDE / max(pixels.shape[:2])
    if factor < 1:
        pixels = np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    size = WINDOW
    if min(pixels.shape[:2]) < size:
        return
    down, across = ([at * PATCH for at in starts(n // PATCH, size // PATCH)] for n in pixels.shape[:2])
    boxes = [(x, y, x + size, y + size) for y in down for x in across]
    shots, parts = render(pixels, [View("window", box) for box in boxes], size=size), detector.config.parts
    needed = needs(parts, detector.tower)
    seen = torch.cat([embed(detector.tower(s, **needed), parts, detector.tower) for s in shots.split(BATCH)])
    scores = {k: head.score(head(seen).causal).numpy() for k, head in detector.heads.items()}
    shape = len(down), len(across)
    np.savez(target, size=pixels.shape[:2], ys=down, xs=across, **{k: v.reshape(shape) for k, v in scores.items()})  # type: ignore[arg-type]


def judge(seen: list[Seen], folder: Path, revision: str) -> dict[str, Any]:
    """As ideas.judged, of both heads' windows and of a blob on the same windows."""
    report: dict[str, Any] = {"revision": revision, "ideas": {}}
    for head in ("window", "whole", BLOB):
        inside: dict[str, list[float]] = defaultdict(list)
        scores: dict[str, list[float]] = defaultdict(list)
        worst: dict[str, float] = defaultdict(lambda: -np.inf)
        for one in seen:
            path = folder / f"{one.name}.npz"
            if not path.exists():
                continue
            with np.load(path) as file:
                levels = middle(file["window"].shape) if head == BLOB else file[head]
                laid = spread(levels, file["ys"], file["xs"], tuple(int(n) for n in file["size"]), one.cells.shape[1:])
            number = float(levels.max() - np.median(levels))
            scores[one.kind].append(number)
            if one.kind in UNEDITED:
                worst[one.owner] = max(worst[one.owner], number)
            elif one.mask is not None:
                inside[one.kind].append(within(laid, np.where(one.mask > 0.6, 1, np.where(one.mask < 0.05, 0, np.nan))))
        found = {"inside": {k: [round(float(np.nanmean(v)), 3), int(np.isfinite(v).sum())] for k, v in inside.items()}}
        report["ideas"][head] = found | (_whole(scores, list(worst.values())) if head != BLOB else {})
    return report


def _whole(scores: dict[str, list[float]], worst: list[float]) -> dict[str, Any]:
    """How edited pictures are told from unedited ones, and what is found at 2 % of owners."""
    calm, least = [n for kind in UNEDITED for n in scores.get(kind, [])], threshold(worst)
    aucs = {k: roc_auc_score([0] * len(calm) + [1] * len(v), calm + v) for k, v in scores.items() if k in EDITS}
    return {
        "owners": len(worst),
        "picture": {kind: round(float(auc), 3) for kind, auc in aucs.items()},
        "flagged": {kind: round(float(np.mean(np.array(v) >= least)), 3) for kind, v in scores.items()},
    }


def spread(
    levels: np.ndarray, down: np.ndarray, across: np.ndarray, size: tuple[int, ...], shape: tuple[int, ...]
) -> np.ndarray:
    """Every cell's mean of the windows over it: [rows, columns] of `shape`, for a picture of `size` px."""
    total, count = np.zeros(shape), np.zeros(shape)
    rows, columns = ((np.arange(n) + 0.5) * px / n for n, px in zip(shape, size, strict=True))
    for (i, j), level in np.ndenumerate(levels):
        over = np.ix_(
            abs(rows - down[i] - WINDOW / 2) <= WINDOW / 2, abs(columns - across[j] - WINDOW / 2) <= WINDOW / 2
        )
        total[over] += level
        count[over] += 1
    return np.asarray(total / np.maximum(count, 1))


if __name__ == "__main__":
    main()
