"""Small files as the benchmarks write them, with numbers that are made up and easy to find again."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from causalclip.training.evaluation import tabulate
from purifier.evaluation.columns import COLUMNS
from tests.causalclip.training.test_evaluation import scores

SETS = ("broad", "alike", "all")
BANDS = ("likely generated", "inconclusive", "likely not generated")
CHANGES = (
    "as it is",
    "JPEG 90",
    "JPEG 70",
    "JPEG 50",
    "WebP 80",
    "0.75x",
    "0.5x",
    "blur 1 px",
    "shown at another size",
)
DEFENCES = ("no defence", "JPEG 75", "ours, 1 step")


def reports() -> dict[str, dict[str, Any]]:
    """File -> report, of every section of the page."""
    about = {"date": "2026-01-02", "data": "made-up pictures"}
    return {
        "detection.json": {"model": "tiny", "revision": "r1", "split": "test"} | json.loads(_tabulated()),
        "controls.json": about | _controls(),
        "peer.json": about | {"name": "another 1.0", "auc": {"alike": 0.456, "broad": 0.654}},
        "robustness.json": about | _robustness(),
        "splices.json": about | _splices(),
        "edits.json": about | _edits(),
        "ablation.json": about | {name: _rungs() for name in ("P2: all of train", "P1: one series")},
        "cautions.json": about | {"note": "A note.", "recognised": {"chart, PNG": {"pictures": 20, "recognised": 0.9}}},
        "purification.json": _purification(),
    }


@cache
def _tabulated() -> str:
    """As JSON, for whoever gets it may change it. Its bootstrap takes two processor seconds: once a process."""
    return json.dumps(tabulate(scores(), threshold=0.5))


def write_reports(folder: Path) -> Path:
    """Writes them all below `folder`, as the project's benchmarks lie, and returns it."""
    for name, report in reports().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report), encoding="utf-8")
    return folder


def _controls() -> dict[str, Any]:
    names = (
        "format, quality, bytes a pixel",
        "width, height, aspect",
        "content alone (64 px thumbnail)",
        "this detector",
    )
    rows = {name: {"broad": 0.51 + i / 10, "alike": 0.5} for i, name in enumerate(names)}
    fixed = {"this detector": 0.789, "content alone": 0.512, "a coin": 0.501}
    return rows | {"content held fixed, broad": fixed}


def _robustness() -> dict[str, Any]:
    auc = {name: dict.fromkeys(SETS, 0.9 - i / 50) for i, name in enumerate(CHANGES)}
    shares = {band: {"as it is": 0.3, "after the check": 0.25} for band in BANDS}
    cut = {name: {"broad": 0.9, "alike": 0.8, "all": 0.85} for name in ("as it is", "all cropped to 4:3")}
    lost = {name: {key: [0.01, 0.0, 0.02] for key in SETS} for name in ("JPEG 50", "WebP 80", "0.5x")}
    of = {"pictures": 321, "cells": {"broad, real": 200, "alike, generated": 121}, "runtimes": {"int8": 321}}
    about = {"revision": "r1", "megapixels_at_most": 20.0, "drawn": {"travel": of, "shapes": of | {"pictures": 654}}}
    return about | {"auc": auc, "lost": lost, "overturned": {"real": shares, "generated": shares}, "shapes": cut}


def _splices() -> dict[str, Any]:
    auc = {n: {"mean": 0.71, "n": 60, "share_above_half": 0.8} for n in ("causal", "non_causal", "gradient x input")}
    curves = {"deletion": 0.1, "deletion_random": 0.2, "insertion": 0.4, "insertion_random": 0.3}
    pasted = {"a photograph pasted into a photograph": {"mean": 0.55, "n": 20, "share_above_half": 0.6}}
    return {"splices": 60, "curve_pictures": 40, "auc": auc, "controls": pasted, "curves": curves}


def _edits() -> dict[str, Any]:
    means = {"causal": 0.53, "bright in the middle, whatever is there": 0.68}
    return {"auc": {"a region": {name: {"mean": mean, "n": 17} for name, mean in means.items()}}}


def _rungs() -> list[dict[str, Any]]:
    rows = []
    for i, name in enumerate(("linear probe, several layers", "MLP", "+ mask (shipped)")):
        measures = {m: {"mean": 0.8 + i / 100, "spread": 0.004} for m in ("auc", "ap", "balanced_accuracy")}
        rows.append({"name": name} | {s: measures | {"auc_interval": [0.7, 0.9]} for s in SETS})
    return rows


def _purification() -> dict[str, Any]:
    cells = []
    for column in COLUMNS:
        for i, row in enumerate(DEFENCES):
            share = 1.0 if column.attack is None else 0.2 + i / 5
            interval = [max(0.0, share - 0.1), min(1.0, share + 0.1)]
            cell = {"row": row, "column": column.name, "n": 200, "seeds": 3, "cider": None, "captions": 0}
            cell |= {"agreement": share, "agreement_interval": interval, "accuracy": 0.4, "accuracy_interval": interval}
            cells.append(cell | {"psnr": 30.0, "ssim": 0.9})
    found = dict.fromkeys(BANDS, 1 / 3) | {"probability": 0.5}
    return {
        "settings": {"pictures": 200},
        "threats": {
            c.name: {"threat": c.threat, "trained on": c.seen, "eps": c.attack and c.attack.eps} for c in COLUMNS
        },
        "cells": cells,
        "detector": {label: {"n": 50, "before": found, "after": found} for label in ("real", "fake")},
    }
