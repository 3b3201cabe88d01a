"""The part that differs, as a picture: its outline and its box over the picture in small, and the same in words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from causalclip.evidence.regions import REGION_DIFFERS
from causalclip.evidence.words import score_text
from causalclip.languages import N_, _, decimal, ended, in_turn, ngettext
from causalclip.maps.overlay import shrink
from causalclip.provenance.reading import CAVEAT, OF_WHOLE, Provenance, history_words
from causalclip.report.card import ICON, TONE, elapsed
from causalclip.report.drawing import INLINE_SIDE, data_url

if TYPE_CHECKING:
    import numpy as np

    from causalclip.evidence.region_finder import Region
    from causalclip.evidence.regions import RegionFinding

DARK, LIGHT = (28, 25, 23), (255, 255, 255)  # lines of both are seen on any picture
ALT = N_("The picture with an outline around the part that differs, from ({left}, {top}) to ({right}, {bottom}).")
LEGEND = N_("The line follows squares of {n} pixels, so it is coarser than the part; the thin box is drawn around it.")


def region_panel(pixels: np.ndarray, parts: RegionFinding) -> str:
    """The picture (uint8 RGB [H, W, 3]) with the outline, as HTML; empty where no part was found."""
    if parts.part is None:
        return ""
    title = escape(_(REGION_DIFFERS))
    return (
        f"<section class='cc-panel cc-part' aria-label='{title}'><h2>{title}</h2><figure>"
        f"<img alt='{escape(alt(parts.part))}' src='{data_url(draw(pixels, parts.part))}'>"
        f"<figcaption class='cc-small'>{escape(legend(parts.part))}</figcaption></figure></section>"
    )


def alt(part: Region) -> str:
    """Where it is, for who cannot see it."""
    left, top, right, bottom = part.box
    return _(ALT, left=left, top=top, right=right, bottom=bottom)


def legend(part: Region) -> str:
    """What the lines are."""
    return _(LEGEND, n=part.cell)


def draw(pixels: np.ndarray, part: Region, *, side: int = INLINE_SIDE) -> Image.Image:
    """The picture in small with outline and box."""
    drawn = Image.fromarray(shrink(pixels, side=side))
    scale = drawn.width / pixels.shape[1], drawn.height / pixels.shape[0]
    pen = ImageDraw.Draw(drawn)
    rings = [[(x * scale[0], y * scale[1]) for x, y in ring] for ring in part.outline]
    left, top, right, bottom = part.box
    box = [(left, top), (right, top), (right, bottom), (left, bottom)]
    thin = [(x * scale[0], y * scale[1]) for x, y in box]
    for colour, wide in ((DARK, 2), (LIGHT, 0)):
        for ring, width in [(thin, 1), *((ring, 3) for ring in rings)]:
            pen.line([*ring, ring[0], ring[1]], fill=colour, width=width + wide, joint="curve")
    return drawn


if TYPE_CHECKING:
    from causalclip.provenance.credentials import State

CHIP: dict[State, tuple[str, str]] = {  # words, and the colour's name in style.css
    "none": (N_("none"), "quiet"),
    "trusted": (N_("intact, signer on the trust list"), "held"),
    "unknown signer": (N_("intact, signer unknown"), "unknown"),
    "invalid": (N_("do not hold"), "broken"),
    "unvalidated": (N_("could not be validated"), "unknown"),
    "elsewhere": (N_("kept elsewhere, not checked"), "unknown"),
    "unreadable": (N_("not readable"), "unknown"),
}
SIGNER = {
    "trusted": N_("Certificate names"),
    "unknown signer": N_("Calls itself (unverified)"),
    "unvalidated": N_("Calls itself (unverified)"),
    "invalid": N_("Calls itself (does not hold)"),
}
SHOWN = 24  # fields of metadata


def provenance_panel(provenance: Provenance) -> str:
    """The weightiest claim and the state of the credentials; the rest, and the place apart, after a click."""
    words, tone = CHIP[provenance.credentials.state]
    parts = [
        f"<h2>{_('What the file says about itself')}</h2>",
        f"<p><b>{escape(provenance.summary())}</b></p>",
        f"<p>{escape(_(OF_WHOLE))}</p>" if provenance.of_whole else "",
        f"<p><span class='cc-chip cc-chip-{tone}'>{_('Content Credentials: {state}', state=_(words))}</span></p>",
        _compression(provenance),
        _details(provenance),
        _place(provenance),
        f"<p class='cc-small'>{_(CAVEAT)}</p>",
    ]
    return f"<section class='cc-panel' aria-label='{_('Provenance')}'>{''.join(parts)}</section>"


def _details(provenance: Provenance) -> str:
    """After a click; nothing where there is nothing more."""
    body = _marks(provenance) + _fields(provenance)
    if provenance.credentials.state != "none":
        body = _credentials(provenance) + body
    body += "".join(f"<p class='cc-small'>{escape(note)}</p>" for note in provenance.notes)
    return f"<details><summary>{_('All that it says')}{_count(provenance)}</summary>{body}</details>" if body else ""


def _count(provenance: Provenance) -> str:
    """How many claims and fields, of those that there are."""
    claims = len(provenance.credentials.source_types) + len(provenance.source_types) + len(provenance.marks)
    fields = len(provenance.fields)
    words = [ngettext("{n} claim", "{n} claims", claims)] if claims else []
    words += [ngettext("{n} field", "{n} fields", fields)] if fields else []
    return f" ({', '.join(words)})" if words else ""


def _credentials(provenance: Provenance) -> str:
    credentials = provenance.credentials
    rows = [
        (_(SIGNER.get(credentials.state, N_("Signer"))), credentials.signer),
        (_("Written by"), credentials.generator),
        (_("Time stamp"), credentials.signed),
        (_("Actions"), ", ".join(credentials.actions)),
        *((_(t.where), _("says that it was {made}", made=_(t.words))) for t in credentials.source_types),
        (_("What failed"), ", ".join(credentials.problems)),
    ]
    return f"<p>{escape(credentials.sentence)}</p>{_table(rows)}"


def _marks(provenance: Provenance) -> str:
    rows = [(_(t.where), _("says that it was {made}", made=_(t.words))) for t in provenance.source_types]
    rows += [
        (_(m.generator), _("mark found in {where}: {excerpt}", where=_(m.where), excerpt=m.excerpt))
        for m in provenance.marks
    ]
    return _table(rows)


def _compression(provenance: Provenance) -> str:
    sentences = [provenance.jpeg.words() if provenance.jpeg else "", history_words(provenance)]
    said = " ".join(s for s in sentences if s)
    return f"<p>{escape(said)}</p>" if said else ""


def _fields(provenance: Provenance) -> str:
    if not provenance.fields:
        return ""
    rows = [(f"{_(f.name)} ({_(f.where)})", f.value) for f in provenance.fields[:SHOWN]]
    more = len(provenance.fields) - len(rows)
    left = (
        f"<p class='cc-small'>{ngettext('{n} more is in the report.', '{n} more are in the report.', more)}</p>"
        if more > 0
        else ""
    )
    return _table(rows) + left


def _place(provenance: Provenance) -> str:
    if provenance.place is None:
        return ""
    latitude, longitude = provenance.place
    said = _(
        "Latitude {latitude}, longitude {longitude} degrees. Check that it may be shown before you pass it on: it can "
        "lead to a person.",
        latitude=decimal(latitude, digits=5),
        longitude=decimal(longitude, digits=5),
    )
    return f"<details><summary>{_('The file says where it was taken')}</summary><p>{said}</p></details>"


def _table(rows: list[tuple[str, str]]) -> str:
    body = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows if value)
    return f"<dl class='cc-facts'>{body}</dl>" if body else ""


if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.evidence.stability import ReencodedAnswer, Stability

CHANGES = N_("another answer")
HEIGHT = 22  # px of a row's chart
QUESTION = N_("Does the answer survive re-encoding?")
NOTE = N_(
    "Every row is a copy of the picture, changed as sites and messengers change pictures, and judged again from fewer "
    "views. Only the first four changes count for the verdict."
)
PART = N_("Of this large picture, only the centre was changed and judged.")


def stability_waiting() -> str:
    """The panel while the copies are judged."""
    return _section(f"<p>{_('Being checked now.')}</p>")


def stability_progress(judged: int, copies: int, *, before: int = 0) -> str:
    """How far the check is, beneath the answer. before: how many others go in first."""
    said = _("{judged} of {copies} copies of the picture are judged.", judged=judged, copies=copies)
    if before:
        said = ngettext("Waiting, {n} before you", "Waiting, {n} before you", before) + f". {said}"
    return (
        f"<p class='cc-small'>{said} {elapsed()}</p>"
        f"<progress value='{judged}' max='{copies}' aria-hidden='true'></progress>"
    )


def stability_panel(stability: Stability) -> str:
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


def remark(row: ReencodedAnswer, stability: Stability) -> str:
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
        f"<td>{words}</td><td>{score_text(probability, *edges(stability))}</td></tr>"
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
