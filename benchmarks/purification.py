"""What defences keep of a vision-language model's answers under attack: `python -m purifier
evaluate`, in days.

The outcome of every picture is kept in .cache/purifier/measured, by the fingerprint of the weights,
and is not measured again. The tables of docs/measured.md are made here, too.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import HERE, ROOT, Options
from benchmarks.tables import Report, Table, tabulate

PICTURES = 100  # a seed
WHOLE = "ours, 1 step, adapted encoder"
# how rows of what does not ship begin
COMPARED = "ours with", "ours without", "the ", "ours, ungated, against"
ANSWERS = "likely not generated", "inconclusive", "likely generated"  # of the detector
# defences that are shown against an attacker who wants one sentence
TARGETED = "no defence", "JPEG 10", WHOLE
LEFT_OUT = (
    "ours, 1 step",
    "ours, 4 steps",
    "ours, ungated",
    "median blur",
    "low pass, 40 px",
)  # much as their neighbours
FEW = 50  # questions, below which two rows are not compared


def measure(options: Options) -> dict[str, Any]:
    """Cells of compared recipes whose models are not here are taken over from the report that is
    there."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        if (earlier := HERE / "purification.json").is_file():
            out.write_bytes(earlier.read_bytes())
        command = [
            sys.executable,
            "-m",
            "benchmarks.defences",
            "--data",
            str(options.data / "vlm"),
            "--out",
            str(out),
        ]
        command += [
            "--forensics",
            str(options.forensics),
            "--pictures",
            str(options.pictures or PICTURES),
        ]
        command += ["--keep", str(ROOT / ".cache" / "purifier" / "measured")]
        subprocess.run(command, cwd=ROOT, check=True)
        report: dict[str, Any] = json.loads(out.read_text())
    return report


def defence_tables(report: Report, victim: Report) -> list[Table]:
    """What is kept under each threat model, what each part is worth, a second victim, the
    detector's answers."""
    cells = {(c["row"], c["column"]): c for c in report["cells"]}
    grey: list[str] = []
    knowing: list[str] = []
    for column, about in report["threats"].items():
        weaker = column.startswith("full-gradient") or about["threat"].startswith(
            "budget by budget, adaptive"
        )
        if (WHOLE, column) in cells and not weaker:
            (grey if about["threat"].startswith(("grey", "no attack")) else knowing).append(column)
    verdicts = {
        f"{'generated' if label == 'fake' else label}, {when}": found
        for label, by_time in (report["detector"] or {}).items()
        for when, found in by_time.items()
        if isinstance(found, dict)
    }
    said = {
        c["row"].replace(WHOLE, "all"): c
        for c in report["cells"]
        if "said" in c and c["row"] in TARGETED
    }
    wanted = "an attacker who wants one sentence said as the caption (PGD 8/255)"
    judged = "what the detector says of them; the rest gets no answer"
    tables = [
        _kept(cells, grey, "answers that stay; the attacker knows the model, not the defence"),
        _kept(
            cells, knowing, "answers that stay; the attacker knows both, or asks the defended model"
        ),
        _worth(report),
        tabulate("defence", said, {"questions": "{n}", "the sentence is said": "{said:%}"}, wanted),
        _transfer(victim),
        tabulate("pictures", verdicts, {answer: f"{{{answer}:%}}" for answer in ANSWERS}, judged),
    ]
    return [table for table in tables if table.rows]


def _kept(cells: dict[tuple[str, str], Report], columns: list[str], caption: str) -> Table:
    """One threat model: a row for each defence that was asked; n stands where a cell rests on fewer
    questions."""
    usual = {
        column: max(c["n"] for (_, name), c in cells.items() if name == column)
        for column in columns
    }
    rows: dict[str, dict[str, str]] = {}
    for (row, column), cell in cells.items():
        if column in columns and not row.startswith(COMPARED) and row not in LEFT_OUT:
            low, high = cell["agreement_interval"]
            fewer = f", n = {cell['n']}" if cell["n"] != usual[column] else ""
            shares = f"{100 * cell['agreement']:.0f} ({100 * low:.0f} to {100 * high:.0f})"
            rows.setdefault(row, {})[column] = shares + fewer
    head = [
        "defence",
        *(f"{name.removesuffix(', white-box adaptive')}, n = {n}" for name, n in usual.items()),
    ]
    return Table(
        head,
        [[row, *(kept.get(name, "") for name in usual)] for row, kept in rows.items()],
        caption,
    )


def _worth(report: Report) -> Table:
    """What each part of the purifier is worth: two rows on the same attacked pictures, and an exact
    test."""
    head = [
        "attack",
        "the whole against",
        "questions",
        "kept",
        "kept against",
        "won",
        "lost",
        "p (McNemar)",
    ]
    rows = []
    for p in report.get("paired", []):
        if p["row"] != WHOLE or p["column"] == "clean" or p["n"] < FEW:
            continue
        shares = f"{p['agreement']:.0%}", f"{p['agreement against']:.0%}"
        against, counts = p["against"].removeprefix("ours "), (str(p["won"]), str(p["lost"]))
        rows.append([p["column"], against, str(p["n"]), *shares, *counts, f"{p['p']:.2g}"])
    caption = (
        "answers that stay, on the same attacked pictures; the unsupervised denoiser and the "
        "regression learned the 1,400 steps with which ours began"
    )
    return Table(head, rows, caption)


def _transfer(report: Report) -> Table:
    """Answers of two models to pictures that were attacked on one of them: a row for each pair, a
    column a defence."""
    kept: dict[str, dict[str, str]] = {}
    for cell in report["cells"]:
        pair = f"{cell['attacked']}, read by {cell['read by']}"
        kept.setdefault(pair, {})[cell["defence"].replace(WHOLE, "all")] = (
            f"{cell['agreement']:.0%}"
        )
    columns = list(next(iter(kept.values())))
    caption = (
        f"answers that stay where another model reads (PGD 8/255, {report['cells'][0]['n']} "
        "questions); it learned from another seed, has another kind of decoder, and sees through "
        "the same tower"
    )
    return Table(
        ["attacked", *columns],
        [[pair, *(of[name] for name in columns)] for pair, of in kept.items()],
        caption,
    )
