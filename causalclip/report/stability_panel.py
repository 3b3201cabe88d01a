"""The stability panel, as HTML: a row a delivery, its score as a mark on the bands, and the same in words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from causalclip.report.card import ICON, TONE

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.examine.stability import Stability

HEIGHT = 22  # px of a row's chart
NOTE = (
    "Every row is the same picture, changed as pictures are on their way, and judged again from fewer views. "
    "Only the first four changes count for the verdict."
)


def waiting() -> str:
    """The panel while the deliveries are judged."""
    return (
        "<section class='cc-panel' aria-label='Stability'><h2>Does the answer survive the way pictures travel?</h2>"
        "<p>Being checked now.</p></section>"
    )


def panel(stability: Stability) -> str:
    """The sentence, the chart with the bands behind it, and what it does not show."""
    rows = [("as it is", stability.probability, stability.band, "")]
    rows += [(row.name, row.probability, row.band, "changes the answer" if row.flips else "") for row in stability.rows]
    body = "".join(_row(stability, *row) for row in rows)
    part = " Of this large picture, only the middle was changed and judged." if stability.part else ""
    return (
        "<section class='cc-panel' aria-label='Stability'><h2>Does the answer survive the way pictures travel?</h2>"
        f"<p>{escape(stability.sentence)}</p><table class='cc-table cc-stability'>"
        f"<caption>Score after each change; bands from left to right: {', '.join(TONE)}</caption><thead><tr>"
        "<th scope='col'>Change</th><th scope='col'><span class='cc-hidden'>Place among the bands</span></th>"
        f"<th scope='col'>Answer</th><th scope='col'>Score</th></tr></thead><tbody>{body}</tbody></table>"
        f"<p class='cc-small'>{NOTE}{part}</p></section>"
    )


def _row(stability: Stability, name: str, probability: float, band: Band, remark: str) -> str:
    words = f"{ICON[band]} {band}" + (f", {remark}" if remark else "")
    style = " class='cc-flip'" if remark else ""
    return (
        f"<tr{style}><th scope='row'>{escape(name)}</th><td>{chart(stability, probability)}</td>"
        f"<td>{words}</td><td>{shown(probability)}</td></tr>"
    )


def chart(stability: Stability, probability: float) -> str:
    """One row of the chart: three bands of equal width, as on the verdict's scale, and the score's mark on them."""
    low, high = stability.low, stability.high
    at = 100 * float(np.interp(probability, [0, low, high, 1], [0, 1 / 3, 2 / 3, 1]))
    middle = 100 * float(np.interp(stability.threshold, [0, low, high, 1], [0, 1 / 3, 2 / 3, 1]))
    bands = "".join(
        f"<rect class='cc-band-{tone}' x='{i * 33.333:.2f}%' width='33.4%' height='{HEIGHT}'/>"
        for i, tone in enumerate(TONE.values())
    )
    return (
        f"<svg width='100%' height='{HEIGHT}' aria-hidden='true' focusable='false'>{bands}"
        f"<line class='cc-middle' x1='{middle:.2f}%' x2='{middle:.2f}%' y1='0' y2='{HEIGHT}'/>"
        f"<circle class='cc-dot' cx='{min(98.5, max(1.5, at)):.2f}%' cy='{HEIGHT // 2}' r='5'/></svg>"
    )


def shown(probability: float) -> str:
    """Two digits, and never a certainty that no detector has."""
    text = f"{probability:.2f}"
    return "under 0.01" if text == "0.00" else "over 0.99" if text == "1.00" else text
