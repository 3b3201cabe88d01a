"""The stability panel, as HTML: a row a delivery, its score as a mark on the bands, and the same in words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from causalclip.examine.score import shown
from causalclip.languages import N_, _, decimal, ended, in_turn, ngettext
from causalclip.report.card import ICON, TONE, elapsed

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.examine.stability import Delivered, Stability

CHANGES = N_("another answer")
HEIGHT = 22  # px of a row's chart
QUESTION = N_("Does the answer survive re-encoding?")
NOTE = N_(
    "Every row is a copy of the picture, changed as sites and messengers change pictures, and judged again from fewer "
    "views. Only the first four changes count for the verdict."
)
PART = N_("Of this large picture, only the centre was changed and judged.")


def waiting() -> str:
    """The panel while the copies are judged."""
    return _section(f"<p>{_('Being checked now.')}</p>")


def checking(judged: int, copies: int, *, before: int = 0) -> str:
    """How far the check is, beneath the answer. before: how many others go in first."""
    said = _("{judged} of {copies} copies of the picture are judged.", judged=judged, copies=copies)
    if before:
        said = ngettext("Waiting, {n} before you", "Waiting, {n} before you", before) + f". {said}"
    return (
        f"<p class='cc-small'>{said} {elapsed()}</p>"
        f"<progress value='{judged}' max='{copies}' aria-hidden='true'></progress>"
    )


def panel(stability: Stability) -> str:
    """The answer to the question, the chart with the bands behind it, and what it does not show."""
    rows = [(_("as it is"), stability.probability, stability.band, "")]
    rows += [(_(row.name), row.probability, row.band, remark(row, stability)) for row in stability.rows]
    body = "".join(_row(stability, *row) for row in rows)
    threshold = decimal(stability.threshold, digits=2)
    caption = _(
        "Score after each change; bands from left to right: {bands}. The dotted line is the score {threshold}, which "
        "divides generated from real pictures best",
        bands=in_turn(_(band) for band in TONE),
        threshold=threshold,
    )
    part = f" {_(PART)}" if stability.part else ""
    return _section(
        f"<p><b>{escape(ended(stability.words))}</b> {escape(stability.sentence)}</p>"
        "<table class='cc-table cc-stability'>"
        f"<caption>{caption}</caption><thead><tr><th scope='col'>{_('Change')}</th>"
        f"<th scope='col'><span class='cc-hidden'>{_('Place among the bands')}</span>"
        f"<div class='cc-above' dir='ltr' aria-hidden='true'><span style='left:{100 * stability.threshold:.2f}%'>"
        f"{threshold}</span></div></th>"
        f"<th scope='col'>{_('Answer')}</th><th scope='col'>{_('Score')}</th></tr></thead><tbody>{body}</tbody></table>"
        f"<p class='cc-small'>{_(NOTE)}{part}</p>"
    )


def _section(body: str) -> str:
    return f"<section class='cc-panel' aria-label='{_('Stability')}'><h2>{_(QUESTION)}</h2>{body}</section>"


def remark(row: Delivered, stability: Stability) -> str:
    """Whether a copy got another answer in words."""
    return _(CHANGES) if row.band != stability.band else ""


def answered(band: Band, remark: str) -> str:
    """The answer that a copy got, and the remark to it, if there is one."""
    return in_turn(filter(None, (_(band), remark)))


def _row(stability: Stability, name: str, probability: float, band: Band, remark: str) -> str:
    words = f"<span aria-hidden='true'>{ICON[band]}</span> {answered(band, remark)}"
    style = " class='cc-flip'" if remark else ""
    return (
        f"<tr{style}><th scope='row'>{escape(name)}</th><td>{chart(stability, probability)}</td>"
        f"<td>{words}</td><td>{shown(probability, *edges(stability))}</td></tr>"
    )


def chart(stability: Stability, probability: float) -> str:
    """One row of the chart: the bands in proportion, as on the verdict's scale, and the score's mark on them."""
    at, dividing = 100 * probability, 100 * stability.threshold
    edges = [0.0, stability.low, stability.high, 1.0]
    bands = "".join(
        f"<rect class='cc-band-{tone}' x='{100 * left:.2f}%' width='{100 * (right - left):.2f}%' height='{HEIGHT}'/>"
        for tone, left, right in zip(TONE.values(), edges, edges[1:], strict=False)
    )
    return (
        f"<svg width='100%' height='{HEIGHT}' aria-hidden='true' focusable='false'>{bands}"
        f"<line class='cc-middle' x1='{dividing:.2f}%' x2='{dividing:.2f}%' y1='0' y2='{HEIGHT}'/>"
        f"<circle class='cc-dot' cx='{min(98.5, max(1.5, at)):.2f}%' cy='{HEIGHT // 2}' r='5'/></svg>"
    )


def edges(stability: Stability) -> tuple[float, float, float]:
    """What a score must not be rounded across."""
    return stability.low, stability.threshold, stability.high
