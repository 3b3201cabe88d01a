"""The report as Markdown: what was run, then the tables."""

from typing import Any

from purifier.evaluation.verdicts import WHEN

Report = dict[str, Any]


def markdown(report: Report) -> str:
    """Tables of agreement, accuracy and captions, of what each defence does to clean pictures, and of the detector."""
    cells = {(c["row"], c["column"]): c for c in report["cells"]}
    columns = [name for name in report["threats"] if any(key[1] == name for key in cells)]
    rows = list(dict.fromkeys(c["row"] for c in report["cells"]))
    parts = [
        "## Answers that are those of the clean picture, %\n\n" + _table(cells, rows, columns, "agreement"),
        "## Right answers (VQA accuracy), %\n\n" + _table(cells, rows, columns, "accuracy"),
    ]
    if any(c["cider"] is not None for c in report["cells"]):
        parts.append("## Captions, CIDEr\n\n" + _table(cells, rows, columns, "cider"))
    parts.append("## Pictures\n\n" + _pictures(cells, rows, columns))
    parts.append("## The columns\n\n" + _threats(report["threats"]))
    if report["detector"]:
        parts.append("## The detector on purified pictures\n\n" + _verdicts(report["detector"]))
    return "\n\n".join(parts) + "\n"


def _table(cells: dict[tuple[str, str], Any], rows: list[str], columns: list[str], metric: str) -> str:
    lines = ["| defence | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        found = [_cell(cells.get((row, c)), metric, usual=_any(cells, c)["n"]) for c in columns]
        lines.append(f"| {row} | " + " | ".join(found) + " |")
    counts = "; ".join(f"{c}: n = {_any(cells, c)['n']}, seeds {_any(cells, c)['seeds']}" for c in columns)
    return "\n".join(lines) + f"\n\nIn brackets: 95 % bootstrap interval. Unless a cell says another n: {counts}."


def _cell(cell: Any, metric: str, *, usual: int) -> str:
    if cell is None or cell[metric] is None:
        return "-"
    other = "" if cell["n"] == usual else f", n = {cell['n']}"
    if metric == "cider":
        return f"{cell['cider']:.2f}{other}"
    low, high = cell[f"{metric}_interval"]
    return f"{100 * cell[metric]:.0f} ({100 * low:.0f} to {100 * high:.0f}){other}"


def _any(cells: dict[tuple[str, str], Any], column: str) -> Any:
    return next(cell for (_, name), cell in cells.items() if name == column)


def _pictures(cells: dict[tuple[str, str], Any], rows: list[str], columns: list[str]) -> str:
    shown = [c for c in columns if c == "clean" or c.startswith("PGD 8")]
    head = "".join(f" | {c}: PSNR, dB | {c}: SSIM" for c in shown)
    lines = [f"| defence{head} |", "|---" * (2 * len(shown) + 1) + "|"]
    for row in rows:
        found = [cells.get((row, c)) for c in shown]
        numbers = "".join(f" | {c['psnr']:.1f} | {c['ssim']:.3f}" if c else " | - | -" for c in found)
        lines.append(f"| {row}{numbers} |")
    return "\n".join(lines) + "\n\n60 dB stands for equal pictures."


def _threats(threats: dict[str, Any]) -> str:
    lines = ["| column | attacker | the purifier was trained on this attack |", "|---|---|---|"]
    for name, about in threats.items():
        lines.append(f"| {name} | {about['threat']} | {'yes' if about['trained on'] else 'no'} |")
    return "\n".join(lines)


def _verdicts(verdicts: dict[str, Any]) -> str:
    lines = [
        "| pictures | n | | mean score | likely generated | inconclusive | likely not generated |",
        "|---" * 7 + "|",
    ]
    for label, found in verdicts.items():
        for when, words in WHEN.items():
            if when not in found:
                continue
            v, n = found[when], found["n attacked" if when.startswith("attacked") else "n"]
            shares = " | ".join(
                f"{100 * v[b]:.0f} %" for b in ("likely generated", "inconclusive", "likely not generated")
            )
            lines.append(f"| {label} | {n} | {words} | {v['probability']:.2f} | {shares} |")
    return "\n".join(lines)
