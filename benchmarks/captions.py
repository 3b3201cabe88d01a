"""Captions of a vision-language model under attacks that change them, behind each defence.

The outcome of every picture is kept in .cache/purifier/measured and is not measured again.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, Options
from benchmarks.purification import READ_BY_ENCODER, WHOLE_PURIFIER
from benchmarks.tables import Report, Table, mean_text

PICTURES = 100
# The rows of benchmarks.defences, and how they are shown
DEFENCES = {
    "no defence": "no defence",
    "JPEG 10": "JPEG 10",
    WHOLE_PURIFIER: "all",
    READ_BY_ENCODER: "the network alone, adapted encoder",
}
ATTACKS = ("clean", "PGD 8/255", "PGD 8/255, as JPEG 90", "MI-FGSM 8/255", "APGD 8/255")


def measure(options: Options) -> dict[str, Any]:
    """The report of `python -m benchmarks.defences --captions-only` on the embedded model."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        command = [sys.executable, "-m", "benchmarks.defences", "--captions-only", "--seeds", "1"]
        command += ["--data", str(options.data / "vlm"), "--out", str(out)]
        command += ["--pictures", str(options.pictures or PICTURES), "--device", options.device]
        command += ["--rows", ";".join(DEFENCES), "--columns", ";".join(ATTACKS)]
        subprocess.run(command, cwd=ROOT, check=True)
        report: dict[str, Any] = json.loads(out.read_text())
    return {name: report[name] for name in ("date", "data", "model", "cells")}


def table(report: Report) -> Table:
    """A row for each attack; of each defence the CIDEr against people's captions, with its interval
    where that was measured, and the share of captions that stay."""
    cells = {(cell["column"], cell["row"]): cell for cell in report["cells"]}
    rows = [
        [attack, *(_score(cells[attack, row]) for row in DEFENCES)]
        for attack in ATTACKS
        if (attack, WHOLE_PURIFIER) in cells
    ]
    count = min(cell["captions"] for cell in cells.values())
    interval = " (95 %, over pictures)" if "cider_interval" in report["cells"][0] else ""
    caption = (
        f"captions of {count} pictures that people have captioned: CIDEr{interval}, "
        "and how many stay as for the clean picture; every attack changes the caption"
    )
    return Table(["attack", *DEFENCES.values()], rows, caption)


def _score(cell: Report) -> str:
    return f"{mean_text(cell, 'cider', 2)}, {cell['agreement']:.0%}"
