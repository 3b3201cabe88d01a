"""The provenance panel, as HTML. Everything that comes from the file is escaped; nothing in it is a link."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from causalclip.provenance.reading import CAVEAT, Provenance, history_words

if TYPE_CHECKING:
    from causalclip.provenance.credentials import State

CHIP: dict[State, tuple[str, str]] = {  # words, and the colour's name in style.css
    "none": ("none", "quiet"),
    "trusted": ("intact, signer on the trust list", "held"),
    "unknown signer": ("intact, signer unknown", "unknown"),
    "invalid": ("do not hold", "broken"),
    "elsewhere": ("kept elsewhere, not checked", "unknown"),
    "unreadable": ("not readable", "unknown"),
}
SIGNER = {
    "trusted": "Certificate names",
    "unknown signer": "Calls itself (unverified)",
    "invalid": "Calls itself (does not hold)",
}
SHOWN = 24  # fields of metadata


def panel(provenance: Provenance) -> str:
    """The weightiest claim and the state of the credentials; the rest, and the place apart, after a click."""
    words, tone = CHIP[provenance.credentials.state]
    parts = [
        "<h2>What the file says about itself</h2>",
        f"<p><b>{escape(provenance.summary())}</b></p>",
        f"<p><span class='cc-chip cc-chip-{tone}'>Content Credentials: {words}</span></p>",
        _compression(provenance),
        _details(provenance),
        _place(provenance),
        f"<p class='cc-small'>{CAVEAT}</p>",
    ]
    return f"<section class='cc-panel' aria-label='Provenance'>{''.join(parts)}</section>"


def _details(provenance: Provenance) -> str:
    """After a click; nothing where there is nothing more."""
    body = _marks(provenance) + _fields(provenance)
    if provenance.credentials.state != "none":
        body = _credentials(provenance) + body
    body += "".join(f"<p class='cc-small'>{escape(note)}</p>" for note in provenance.notes)
    return f"<details><summary>All that it says{_count(provenance)}</summary>{body}</details>" if body else ""


def _count(provenance: Provenance) -> str:
    """How many claims and fields, of those that there are."""
    claims = len(provenance.credentials.source_types) + len(provenance.source_types) + len(provenance.marks)
    counts = (claims, "claim"), (len(provenance.fields), "field")
    words = [f"{n} {what}{'' if n == 1 else 's'}" for n, what in counts if n]
    return f" ({', '.join(words)})" if words else ""


def _credentials(provenance: Provenance) -> str:
    credentials = provenance.credentials
    rows = [
        (SIGNER.get(credentials.state, "Signer"), credentials.signer),
        ("Written by", credentials.generator),
        ("Time stamp", credentials.signed),
        ("Actions", ", ".join(credentials.actions)),
        *((t.where, f"says that it was {t.words}") for t in credentials.source_types),
        ("What failed", ", ".join(credentials.problems)),
    ]
    return f"<p>{escape(credentials.sentence)}</p>{_table(rows)}"


def _marks(provenance: Provenance) -> str:
    rows = [(t.where, f"says that it was {t.words}") for t in provenance.source_types]
    rows += [(m.generator, f"mark found in {m.where}: {m.excerpt}") for m in provenance.marks]
    return _table(rows)


def _compression(provenance: Provenance) -> str:
    sentences = [provenance.jpeg.words() if provenance.jpeg else "", history_words(provenance)]
    said = " ".join(s for s in sentences if s)
    return f"<p>{escape(said)}</p>" if said else ""


def _fields(provenance: Provenance) -> str:
    if not provenance.fields:
        return ""
    rows = [(f"{f.name} ({f.where})", f.value) for f in provenance.fields[:SHOWN]]
    more = len(provenance.fields) - len(rows)
    left = f"<p class='cc-small'>{more} more are in the report.</p>" if more > 0 else ""
    return _table(rows) + left


def _place(provenance: Provenance) -> str:
    if provenance.place is None:
        return ""
    latitude, longitude = provenance.place
    return (
        "<details><summary>The file says where it was taken</summary>"
        f"<p>Latitude {latitude:.5f}, longitude {longitude:.5f} degrees. Check that it may be shown before you pass it "
        "on: it can lead to a person.</p></details>"
    )


def _table(rows: list[tuple[str, str]]) -> str:
    body = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows if value)
    return f"<dl class='cc-facts'>{body}</dl>" if body else ""
