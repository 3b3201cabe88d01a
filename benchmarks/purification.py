"""What defences keep of a vision-language model's answers under attack: `python -m purifier evaluate`, in days.

The outcome of every picture is kept in .cache/purifier/measured, by the fingerprint of the weights, and is not measured
again.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import HERE, ROOT, Options

PICTURES = 100  # a seed


def measure(options: Options) -> dict[str, Any]:
    """Cells of compared recipes whose models are not here are taken over from the report that is there."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        if (earlier := HERE / "purification.json").is_file():
            out.write_bytes(earlier.read_bytes())
        command = [sys.executable, "-m", "purifier", "evaluate", "--data", str(options.data / "vlm"), "--out", str(out)]
        command += ["--forensics", str(options.forensics), "--pictures", str(options.pictures or PICTURES)]
        command += ["--keep", str(ROOT / ".cache" / "purifier" / "measured")]
        subprocess.run(command, cwd=ROOT, check=True)
        report: dict[str, Any] = json.loads(out.read_text())
    return report
