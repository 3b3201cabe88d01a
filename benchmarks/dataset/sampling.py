"""The sample of pictures with clear licences, collected and measured as anybody can: sample.json.

It must say what all test pictures with clear licences say: `python -m benchmarks.detection --only licences` adds that
row to test.json.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.dataset.timing import timed
from causalclip.dataset.selection import choose
from causalclip.dataset.table import Picture, read_table

KEPT = "date", "model", "revision", "threshold"


def measure(mirrors: Path | None, originals: Path | None, scratch: Path | None, model: str) -> dict[str, Any]:
    """What `data collect --sample` and `evaluate` say and take, or exit with a sentence if a picture is missing.

    originals: where pictures were collected before; those are only checked by their hashes, and no time of collecting
    is given.
    """
    rows = choose(read_table(), sample=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        before = _lay_out(rows, originals, Path(folder)) if originals else 0
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
    times = {"collect": None if before else collected.numbers(), "evaluate": judged.numbers()}
    return {name: report[name] for name in KEPT} | about | found | times


def _lay_out(rows: list[Picture], originals: Path, folder: Path) -> int:
    """Copies what was collected before to `folder`; returns how many that is."""
    files = [file for p in rows for file in originals.glob(f"{p.sha256[:2]}/{p.sha256}.*")]
    for file in files:
        target = folder / file.relative_to(originals)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, target)
    return len(files)


def _sets(rows: list[Picture]) -> dict[str, int]:
    names = [p.set for p in rows]
    return {name: names.count(name) for name in sorted(set(names))}
