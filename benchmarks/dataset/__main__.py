"""What can be rebuilt and how fast, what gives a label away, how sure weak labels are, and the sample measured.

    python -m benchmarks.dataset [--mirrors DIR] [--originals DIR] [--reserved FILE] [--only PART ...]

Without --mirrors, GitHub is asked. Each part writes a JSON file beside this one, and all write the README's tables;
`python -m benchmarks.readme` writes the other pages.

rebuilding: the table is collected batch by batch, each thrown away. rebuilt.json grows with each run: mirrors may be
    brought a few at a time. Delete it to begin anew.
hints: `data check`, with the originals: once without thumbnails, and once with those of the first time; check.json.
audit: counts what was seen of weak labels; audit.json.
sample: 50 pictures are collected, and the detector is measured on them; sample.json.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import readme
from benchmarks.dataset import audit, rebuilding, sampling
from benchmarks.dataset.timing import timed
from causalclip.dataset.table import read_table

HERE = Path(__file__).resolve().parent
PARTS = "rebuilding", "hints", "audit", "sample"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirrors", type=Path, help="bare git directories owner+name")
    parser.add_argument(
        "--originals",
        type=Path,
        help="where `data collect` put them; needed for hints, and spares the sample a second collecting",
    )
    parser.add_argument("--reserved", type=Path, help="hashes of what must not be in the table")
    parser.add_argument("--scratch", type=Path, help="where batches lie while they are counted: some 5 GB")
    parser.add_argument("--lost", nargs="*", default=[], help="drawn repositories whose mirrors cannot be had")
    parser.add_argument("--model", default="detector", help="the detector that the sample is measured with")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    if "rebuilding" in options.only:
        rebuild(options)
    if "hints" in options.only:
        check(options)
    if "audit" in options.only:
        keep("audit", audit.report(read_table()))
    if "sample" in options.only:
        keep("sample", sampling.measure(options.mirrors, options.originals, options.scratch, options.model))
    page = HERE / "README.md"
    page.write_text(readme.filled(page), encoding="utf-8")


def rebuild(options: argparse.Namespace) -> None:
    ledger = rebuilding.rebuild(HERE / "rebuilt.json", options.mirrors, options.scratch, lost=frozenset(options.lost))
    print(json.dumps(ledger["summary"], indent=2))
    if waiting := rebuilding.waiting_for_mirrors(ledger, options.mirrors):
        print("Mirrors of these were drawn and are not there. Bring them, and run this again:", *waiting, sep="\n  ")


def check(options: argparse.Namespace) -> None:
    told = [] if options.reserved is None else ["--reserved", str(options.reserved)]
    told += [] if options.originals is None else ["--originals", str(options.originals)]
    with tempfile.TemporaryDirectory(dir=options.scratch) as cache:
        command = ("data", "check", *told, "--cache", cache, "--out", str(HERE / "check.json"))
        runs = {"cold": timed(*command).numbers(), "warm": timed(*command).numbers()}
    keep("check", json.loads((HERE / "check.json").read_text()) | {"runs": runs})


def keep(name: str, report: dict[str, Any]) -> None:
    (HERE / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
