"""What was measured of the purifier, under each threat model by its name, in words, charts and tables."""

from __future__ import annotations

from html import escape
from typing import Any

from causalclip.report.card import TONE
from ui.charts import Axis, Series, bar, plot, stack, table
from ui.measured.words import percent, repeated

Report = dict[str, Any]
Cells = dict[tuple[str, str], dict[str, Any]]
NONE = "no defence"
CURVES = (NONE, "JPEG 10", "ours, 1 step, adapted encoder", "ours, ungated", "ours, ungated, adapted encoder")
BUDGETS = "budget by budget"  # how the threat of one attack at several budgets begins


def purification(report: Report) -> str:
    """For every attack, by threat model: how often the answer is that of the clean picture, behind each defence."""
    cells: Cells = {(c["row"], c["column"]): c for c in report["cells"]}
    groups: dict[str, list[str]] = {}
    for column, about in report["threats"].items():
        if any(key[1] == column for key in cells):
            groups.setdefault(about["threat"], []).append(column)
    words = (
        "<p>A vision-language model is asked about a picture that was attacked, behind each defence. Shown is how "
        "often its answer is the one that it gives for the clean picture. Whether the answer is right is another "
        "question: it stands in the last column. In rows with “adapted encoder”, the model sees purified pictures by "
        "the adapter that the Purify tab leaves on; an attacker who knows the purifier knows it, too. The adapter also "
        "guides our purifier in the rows without these words, but not in “ungated”, where every picture is purified, "
        "whether an attack is found or not. “Against itself” is a network that was trained against attacks through "
        "itself; it is not shipped. JPEG has no gradient: an attacker who knows it goes around it, which is weaker.</p>"
    )
    return words + "".join(_threat(threat, columns, cells, report) for threat, columns in groups.items())


def verdicts(report: Report) -> str:
    """What the detector says of purified pictures."""
    rows = [
        [f"{'generated' if label == 'fake' else label}, {when}", _stack(shares)] + [percent(shares[b]) for b in TONE]
        for label, found in report["detector"].items()
        for when, shares in found.items()
        if isinstance(shares, dict)
    ]
    words = (
        "<p>A purifier leaves traces of its own. Do not judge a purified picture: this is what the detector says of "
        "the same pictures before and after one purification, as they are and attacked.</p>"
    )
    return words + table("Answers from left to right: " + ", ".join(TONE), ["pictures", "shares", *TONE], rows)


def _stack(found: dict[str, float]) -> str:
    return stack([(f"cc-band-{TONE[band]}", found[band]) for band in TONE])


def _threat(threat: str, columns: list[str], cells: Cells, report: Report) -> str:
    tables = "".join(_attack(column, cells, seen=report["threats"][column]["trained on"]) for column in columns)
    curve = _curve(columns, cells, report) if threat.startswith(BUDGETS) else ""
    head = f"<h3>{escape(threat[:1].upper() + threat[1:])}</h3><p>{_finding(columns, cells)}</p>"
    return f"{head}{curve}<div class='cc-beside'>{tables}</div>"


def _curve(columns: list[str], cells: Cells, report: Report) -> str:
    """A line for each of these defences that was measured at every budget."""
    budgets = [f"{report['threats'][column]['eps']:g}" for column in columns]
    series = []
    for row in CURVES:
        found = [cells[row, column] for column in columns if (row, column) in cells]
        if len(found) == len(columns):
            points = [(i, cell["agreement"]) for i, cell in enumerate(found)]
            series.append(Series(row, points, [tuple(cell["agreement_interval"]) for cell in found], dots=True))
    x = Axis("largest change of a value, of 255", 0, len(columns) - 1, tuple(range(len(columns))), tuple(budgets))
    said = "; ".join(f"{s.name}: " + ", ".join(percent(y) for _, y in s.points) for s in series)
    words = f"Answers that stay at {', '.join(budgets)} of 255. {said}."
    return plot(words, series, x, Axis("answers kept")) if len(columns) > 1 else ""


def _finding(columns: list[str], cells: Cells) -> str:
    """For each attack the best defence, and what no defence keeps."""
    said = []
    for column in columns:
        rows = {row: c["agreement"] for (row, name), c in cells.items() if name == column}
        defended = {row: share for row, share in rows.items() if row != NONE}
        if NONE not in rows or not defended:
            continue
        best = max(defended, key=lambda r: defended[r])
        said.append(
            f"{escape(column)}: without a defence {percent(rows[NONE])} of the answers stay, "
            f"at best {percent(defended[best])} ({escape(best)})."
        )
    return " ".join(said)


def _attack(column: str, cells: Cells, *, seen: bool) -> str:
    found = {row: c for (row, name), c in cells.items() if name == column}
    any_cell = next(iter(found.values()))
    rows = [
        [
            escape(row) + (f" <small>({c['n']:,} questions)</small>" if c["n"] != any_cell["n"] else ""),
            bar(c["agreement"], tuple(c["agreement_interval"])),
            _share(c, "agreement"),
            _share(c, "accuracy"),
        ]
        for row, c in found.items()
    ]
    learned = " The purifier was trained on this attack." if seen else ""
    caption = f"<b>{escape(column)}</b>, {any_cell['n']:,} questions, {repeated(any_cell['seeds'])}.{learned}"
    return table(caption, ["defence", "answers kept", "answers kept", "right answers"], rows)


def _share(cell: dict[str, Any], measure: str) -> str:
    low, high = cell[f"{measure}_interval"]
    return f"{percent(cell[measure])} <small>({100 * low:.0f} to {100 * high:.0f})</small>"
