"""What defences keep of a vision-language model's answers under attack, in days.

    python -m benchmarks purification                              the embedded model
    python -m benchmarks purification --vlm NAME --data FOLDER     another one, on VQAv2's form

The outcome of every picture is kept in .cache/purifier/measured, by the fingerprint of the weights,
and is not measured again. The tables of docs/measured.md are made here, too.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import HERE, ROOT, Options
from benchmarks.tables import Report, Table, mean_text, percent, tabulate
from causalclip.calibration import SCORE_BANDS
from purifier.vlm.interface import EMBEDDED

PICTURES = 100  # a seed
WHOLE_PURIFIER, WHOLE_BY_OTHER = (
    "ours, 1 step, adapted encoder",
    "ours, 1 step",
)  # of the embedded model, of others
READ_BY_ENCODER = "the network alone, adapted encoder"
# How rows of what does not ship begin.
COMPARED = "ours with", "ours without", "the ", "ours, ungated, against"
UNGATED = "ours, ungated, adapted encoder"
COUNTED = {  # how often one attacked picture goes through the random purifier, and what is counted
    UNGATED: "one draw",
    f"{UNGATED}, majority of five": "the majority of five draws",
    f"{UNGATED}, sent eight times": "the worst of eight draws: the picture is sent again",
}
KNOWING = "APGD 4/255, white-box adaptive"
LEFT_OUT = "ours, 4 steps", "ours, ungated", "median blur", "low pass, 40 px"  # as their neighbours
SIDE_BY_SIDE = "clean", "PGD 8/255", "APGD 8/255"  # columns of which all is shown
MAX_DB = 60.0  # the PSNR of equal pictures, as outcomes have it
MIN_QUESTIONS = 50  # questions, below which two rows are not compared
KEPT = (
    "answers that stay as for the clean picture, with 95 % intervals, and answers that are "
    "correct, in percent"
)


def measure(options: Options) -> dict[str, Any] | None:
    """The report of the embedded model; None for another model, whose report is written to runs/.

    Cells of compared recipes whose models are not here are taken over from the report that is
    there.
    """
    data = options.data / "vlm" if (options.data / "vlm").is_dir() else options.data
    command = [sys.executable, "-m", "benchmarks.defences", "--data", str(data)]
    command += ["--pictures", str(options.pictures or PICTURES), "--device", options.device]
    command += ["--keep", str(ROOT / ".cache" / "purifier" / "measured")]
    if options.vlm != EMBEDDED:
        name = re.sub(r"\W+", "-", options.vlm).strip("-")
        command += ["--vlm", options.vlm, "--out", str(ROOT / "runs" / f"purification-{name}.json")]
        command += ["--prompt", options.prompt] if options.prompt else []
        subprocess.run(command, cwd=ROOT, check=True)
        return None

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        if (earlier := HERE / "purification.json").is_file():
            out.write_bytes(earlier.read_bytes())
        command += ["--out", str(out), "--forensics", str(options.forensics)]
        subprocess.run(command, cwd=ROOT, check=True)
        report: dict[str, Any] = json.loads(out.read_text())
    return report


def defence_tables(report: Report, victim: Report | None) -> list[Table]:
    """The tables of a report.

    What is kept under each threat model, everything side by side, what each part is worth, an
    attacker's sentence, a second victim, and the detector's answers. Empty ones are left out.
    """
    cells = {(c["row"], c["column"]): c for c in report["cells"]}
    whole = WHOLE_PURIFIER if any(row == WHOLE_PURIFIER for row, _ in cells) else WHOLE_BY_OTHER
    left_out = LEFT_OUT if whole == WHOLE_BY_OTHER else (*LEFT_OUT, WHOLE_BY_OTHER)
    usual = {key: cell for key, cell in cells.items() if key[0] not in left_out}

    # 1. Columns by what the attacker knows
    grey: list[str] = []
    knowing: list[str] = []
    for column, about in report["threats"].items():
        threat = about["threat"]
        weaker = column.startswith("full-gradient")
        weaker = weaker or threat.startswith("budget by budget, adaptive")
        if (whole, column) in cells and not weaker:
            (grey if threat.startswith(("grey", "no attack")) else knowing).append(column)

    # 2. Who wanted one sentence said
    defences = ("no defence", "JPEG 10", whole)
    sentences = {
        cell["row"].replace(whole, "all"): cell
        for cell in report["cells"]
        if "said" in cell and cell["row"] in defences
    }
    title = "an attacker who wants one sentence said as the caption (PGD 8/255)"
    columns = {"questions": "{n}", "the sentence is said": "{said:%}"}

    # 3. What the detector says
    verdicts = {
        f"{'generated' if label == 'fake' else label}, {when}": shares
        for label, by_time in (report["detector"] or {}).items()
        for when, shares in by_time.items()
        if isinstance(shares, dict)
    }
    answers: dict[str, str] = {band: f"{{{band}:%}}" for band in reversed(SCORE_BANDS)}
    caption = "what the detector says of them; the rest gets no answer"

    tables = [
        _kept(usual, grey, f"{KEPT}; the attacker knows the model, not the defence"),
        _kept(usual, knowing, f"{KEPT}; the attacker knows both, or asks the defended model"),
        _counted(cells),
        _side_by_side(usual),
        _worth(report, cells),
        tabulate("defence", sentences, columns, title),
        *([_transfer(victim)] if victim else []),
        tabulate("pictures", verdicts, answers, caption),
    ]
    return [table for table in tables if table.rows]


def _kept(cells: dict[tuple[str, str], Report], columns: list[str], caption: str) -> Table:
    """One threat model: a row for each defence that was asked; n stands where a cell rests on
    fewer questions."""
    usual = {
        column: max(c["n"] for (_, name), c in cells.items() if name == column)
        for column in columns
    }
    rows: dict[str, dict[str, str]] = {}
    for (row, column), cell in cells.items():
        if column in columns and not row.startswith(COMPARED):
            text = f"{_stay(cell)}, {100 * cell['accuracy']:.0f} correct"
            text += f", n = {cell['n']}" if cell["n"] != usual[column] else ""
            rows.setdefault(row, {})[column] = text
    names = [name.removesuffix(", white-box adaptive") for name in usual]
    head = [
        "defence",
        *(f"{name}, n = {usual[key]}" for name, key in zip(names, usual, strict=True)),
    ]
    lines = [[row, *(kept.get(name, "") for name in usual)] for row, kept in rows.items()]
    return Table(head, lines, caption)


def _counted(cells: dict[tuple[str, str], Report]) -> Table:
    """Return what of the same attacked pictures stays by one draw, by a majority, and where the
    attacker sends each again; no rows where but one of them was measured."""
    rows = [
        [COUNTED[row], str(cell["n"]), _stay(cell), percent(cell["accuracy"])]
        for row in COUNTED
        if (cell := cells.get((row, KNOWING)))
    ]
    caption = (
        "the random purifier (ungated, adapted encoder), and an attacker who knows it: 20 steps of "
        "APGD at 4/255 through all, the mean of 4 draws, made once for all three rows"
    )
    head = ["counted", "questions", "stay, in percent (95 %)", "correct"]
    return Table(head, rows if len(rows) > 1 else [], caption)


def _stay(cell: Report) -> str:
    """Write the share of answers that stay in percent, with its interval."""
    low, high = cell["agreement_interval"]
    return f"{100 * cell['agreement']:.0f} ({100 * low:.0f} to {100 * high:.0f})"


def _side_by_side(cells: dict[tuple[str, str], Report]) -> Table:
    """Return of each defence: answers, captions, and how near the picture is to the clean one."""
    head = ["attack", "defence", "questions", "stay", "correct", "CIDEr (captions)"]
    head += ["PSNR, dB", "SSIM"]
    rows = []
    for (row, column), cell in cells.items():
        if column not in SIDE_BY_SIDE:
            continue
        shares = f"{cell['agreement']:.0%}", f"{cell['accuracy']:.0%}"
        captions = f"{cell['cider']:.2f} ({cell['captions']})" if cell["captions"] else ""
        psnr = "equal" if cell["psnr"] >= MAX_DB else mean_text(cell, "psnr", 1)
        ssim = mean_text(cell, "ssim", 3)
        rows.append([column, row, str(cell["n"]), *shares, captions, psnr, ssim])
    rows.sort(key=lambda row: SIDE_BY_SIDE.index(row[0]))
    caption = (
        "all that was measured, side by side; PSNR and SSIM are those of the picture behind the "
        "defence to the clean one, CIDEr of captions to people's"
    )
    return Table(head, rows, caption)


def _worth(report: Report, cells: dict[tuple[str, str], Report]) -> Table:
    """Return what each part of the purifier is worth: two rows on the same attacked pictures, and
    an exact test."""
    head = ["attack", "the whole against", "questions", "kept", "kept against"]
    head += ["correct", "correct against", "won", "lost", "p (McNemar)"]
    rows = []
    for p in report.get("paired", []):
        if p["row"] != WHOLE_PURIFIER or p["column"] == "clean" or p["n"] < MIN_QUESTIONS:
            continue
        pair = [cells[name, p["column"]] for name in (p["row"], p["against"])]
        correct = [f"{cell['accuracy']:.0%}" if cell["n"] == p["n"] else "" for cell in pair]
        shares = f"{p['agreement']:.0%}", f"{p['agreement against']:.0%}"
        counts = str(p["won"]), str(p["lost"]), f"{p['p']:.2g}"
        against = p["against"].removeprefix("ours ")
        rows.append([p["column"], against, str(p["n"]), *shares, *correct, *counts])
    caption = (
        "answers that stay, on the same attacked pictures; the unsupervised denoiser and the "
        "regression learned the 1,400 steps with which ours began"
    )
    return Table(head, rows, caption)


def _transfer(report: Report) -> Table:
    """Return the answers of two models to pictures that were attacked on one of them: a row for
    each pair, a column a defence."""
    shares: dict[str, dict[str, str]] = {}
    for cell in report["cells"]:
        pair = f"{cell['attacked']}, read by {cell['read by']}"
        share = f"{cell['agreement']:.0%}"
        share += f", {cell['accuracy']:.0%} correct" if "accuracy" in cell else ""
        shares.setdefault(pair, {})[cell["defence"].replace(WHOLE_PURIFIER, "all")] = share
    columns = list(next(iter(shares.values())))
    caption = (
        f"answers that stay where another model reads (PGD 8/255, {report['cells'][0]['n']} "
        "questions); it learned from another seed, has another kind of decoder, and sees through "
        "the same tower"
    )
    lines = [[pair, *(row[name] for name in columns)] for pair, row in shares.items()]
    return Table(["attacked", *columns], lines, caption)
