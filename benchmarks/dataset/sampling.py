"""The sample of pictures with clear licences, collected and measured as anybody can: sample.json."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.dataset.timing import timed
from causalclip.dataset.selection import choose
from causalclip.dataset.table import read_table

KEPT = "date", "model", "revision", "threshold"


def measure(mirrors: Path | None, scratch: Path | None, model: str) -> dict[str, Any]:
    """What `data collect --sample` and `evaluate` say and take, or exit with a sentence if a picture is missing."""
    rows = choose(read_table(), sample=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        told = ["--mirrors", str(mirrors)] if mirrors else []
        collected = timed("data", "collect", "--sample", "--out", folder, *told)
        if len(list(Path(folder).glob("[0-9a-f][0-9a-f]/*"))) < len(rows):
            sys.exit("The sample is not whole, so nothing is measured on it: see above what is missing.")
        manifest, out = str(Path(folder) / "manifest.csv"), Path(folder) / "report.json"
        judged = timed("evaluate", "--model", model, "--manifest", manifest, "--root", folder, "--out", str(out))
        if judged.exit_code:
            sys.exit("The detector could not be measured on the sample: see above.")
        report = json.loads(out.read_text())
    found = {name: report["all"][name] for name in ("pictures", "auc", "auc_interval", "bands")}
    about = {"owners": len({p.owner for p in rows}), "sets": _sets(rows)}
    times = {"collect": collected.numbers(), "evaluate": judged.numbers()}
    return {name: report[name] for name in KEPT} | about | found | times


def _sets(rows: list[Any]) -> dict[str, int]:
    names = [p.set for p in rows]
    return {name: names.count(name) for name in sorted(set(names))}
