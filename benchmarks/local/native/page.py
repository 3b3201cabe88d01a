"""The second round of local ideas in one table: what each finds of real edits, beside a blob on the same pictures."""

from typing import Any

from benchmarks.tables.markdown import Report, percent, table

TRIALS = {
    "standardised": ("tokens, {}", {"pasted back": "edit, pasted back", "made anew": "edit, made anew"}),
    "traces": ("{}", {"pasted back": "pasted back", "made anew": "made anew"}),
    "windows": ("the detector's windows, {} head", {"pasted back": "pasted back", "made anew": "made anew"}),
}
POOLED = "top"


def native(report: Report) -> str:
    """Every idea of every trial that was run."""
    rows = [row for trial in TRIALS if trial in report for row in _rows(trial, report[trial])]
    head = ["idea", "inside: pasted back", "made anew", "picture: pasted back", "made anew", "found: pasted back"]
    head += ["made anew", "IoU where found"]
    return f"{table(head, rows)}\n\n{_said(report)}"


def _rows(trial: str, report: Report) -> list[list[str]]:
    name, kinds = TRIALS[trial]
    rows = []
    for idea, found in report["ideas"].items():
        said = name.format(idea) if "blob" not in idea else f"control on these pictures: a blob ({trial})"
        picture, flagged = found.get("picture", {}), found.get("flagged", {})
        if trial == "standardised":
            picture, flagged = picture[POOLED], flagged[POOLED]["share"]
        numbers = [_auc(found["inside"].get(kind)) for kind in kinds.values()]
        numbers += [_number(picture.get(kind)) for kind in kinds.values()]
        numbers += [percent(flagged[kind]) if kind in flagged else "" for kind in kinds.values()]
        rows.append([said, *numbers, _auc(found.get("overlap", {}).get("pasted back"))])
    return rows


def _auc(found: list[Any] | None) -> str:
    return f"{found[0]:.2f}, n = {found[1]}" if found else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _said(report: Report) -> str:
    counts = report["traces"]["pictures"]
    unedited = counts["photograph"] + counts["original"]
    owners = next(iter(report["traces"]["ideas"].values()))["owners"]
    return (
        "Edits of `train`, each judged by models that saw nothing of its owner. Inside: mean AUC of a map against the "
        "part that differs from the original. Picture: AUC of edited pictures against unedited photographs. Found: "
        f"at a threshold that the worst picture of 2 % of owners reaches (traces: {unedited} unedited pictures of "
        f"{owners} owners). IoU: of the part of pasted edits that is outlined where one is found. The aims are 0.82 "
        "inside and 0.85 for pictures; no idea finds a third of the edits. The trees on traces are in the app, as a "
        "finding that is only ever positive (above)."
    )
