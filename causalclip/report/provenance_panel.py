"""The provenance panel, as HTML. Everything that comes from the file is escaped; nothing in it is a link."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import N_, _, decimal, ngettext
from causalclip.provenance.reading import CAVEAT, OF_WHOLE, Provenance, history_words

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


def panel(provenance: Provenance) -> str:
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
