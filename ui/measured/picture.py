"""The first picture of "How good is it?": where real and generated test pictures fall on the score, with the bands."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from causalclip.paths import shipped_folder
from ui.measured.words import Report, percent

WIDE, HIGH, MIDDLE, TOP = 360, 250, 132, 34  # px: of the drawing, of the line between the two, of the bands' names
TALL = MIDDLE - TOP - 6  # px of the tallest column
MODELS = shipped_folder("assets") / "models"


def picture(test: Report, models: Path = MODELS) -> str:
    """Columns upwards for real pictures, downwards for generated ones; each side's columns add up to all of its own."""
    rows = test["all"]["reliability"]
    generated = sum(row["generated"] for row in rows)
    real = sum(row["pictures"] for row in rows) - generated
    shares = [
        (
            row["mean_probability"],
            (row["pictures"] - row["generated"]) / max(1, real),
            row["generated"] / max(1, generated),
        )
        for row in rows
    ]
    edges = _edges(test, models)
    most = max(max(up, down) for _, up, down in shares)
    wide = 0.8 * WIDE / max(10, len(rows))
    columns = "".join(_column(at, up / most, down / most, wide) for at, up, down in shares)
    said = _sentence(test["all"]["bands"], edges)
    return (
        f"<figure class='cc-plot cc-scores'><svg viewBox='0 0 {WIDE} {HIGH}' role='img' aria-label='{escape(said)}'>"
        f"{_bands(edges)}{columns}<line class='cc-base' x1='0' x2='{WIDE}' y1='{MIDDLE}' y2='{MIDDLE}'/>{_ticks()}"
        f"</svg><figcaption>{said}</figcaption></figure>"
        f"<p><b>Upwards: {real:,} real pictures. Downwards: {generated:,} generated ones.</b> Each column is a share "
        "of its side. Where both have columns, the score cannot tell them apart.</p>"
    )


def _edges(test: Report, models: Path) -> tuple[float, float] | None:
    """The detector's two thresholds; None where its files are those of another revision than was measured."""
    file = models / str(test.get("model", "")) / "config.json"
    if not file.is_file():
        return None
    config = json.loads(file.read_text(encoding="utf-8"))
    if config.get("revision") != test.get("revision"):
        return None
    return float(config["calibration"]["low"]), float(config["calibration"]["high"])


def _sentence(bands: Report, edges: tuple[float, float] | None) -> str:
    if edges is None:
        return "Scores of the test pictures, from 0 to 1. The bands of this revision are not at hand."
    low, high = edges
    up, down = bands["likely not generated"]["real"], bands["likely generated"]["generated"]
    return (
        f"Scores from 0 to 1. At or below {low:.2f} the answer is likely not generated: {percent(up)} of the real "
        f"pictures are there. At or above {high:.2f} it is likely generated: {percent(down)} of the generated ones. "
        "What lies between is inconclusive."
    )


def _column(at: float, up: float, down: float, wide: float) -> str:
    left = at * (WIDE - 2 * wide) + wide / 2
    tall, deep = up * TALL, down * (HIGH - MIDDLE - 26)
    return (
        f"<rect class='cc-real' x='{left:.1f}' y='{MIDDLE - tall:.1f}' width='{wide:.1f}' height='{tall:.1f}'/>"
        f"<rect class='cc-made' x='{left:.1f}' y='{MIDDLE}' width='{wide:.1f}' height='{deep:.1f}'/>"
    )


def _bands(edges: tuple[float, float] | None) -> str:
    if edges is None:
        return ""
    low, high = (edge * WIDE for edge in edges)
    zones = (
        ("not-generated", 0, low, low / 2, "middle", "likely not"),
        ("inconclusive", low, high, (low + high) / 2, "middle", ""),
        ("generated", high, WIDE, WIDE - 2, "end", "likely"),  # narrow: a centred name would leave the picture
    )
    drawn = "".join(
        f"<rect class='cc-zone-fill-{name}' x='{left:.1f}' y='0' width='{right - left:.1f}' height='{HIGH - 20}'/>"
        f"<text x='{at:.1f}' y='14' text-anchor='{anchor}'>{first or 'inconclusive'}</text>"
        + (f"<text x='{at:.1f}' y='28' text-anchor='{anchor}'>generated</text>" if first else "")
        for name, left, right, at, anchor, first in zones
    )
    return drawn


def _ticks() -> str:
    places = ((0, "start", "0"), (WIDE / 2, "middle", "score 0.5"), (WIDE, "end", "1"))
    return "".join(f"<text x='{x}' y='{HIGH - 5}' text-anchor='{anchor}'>{word}</text>" for x, anchor, word in places)
