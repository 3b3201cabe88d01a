"""A row's full result, as HTML in a file of its own: written when the row is done, read when somebody opens the row.

So nothing of it is kept in memory, and it is deleted with the batch's other files.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from causalclip.evidence.words import NO_ANSWER
from causalclip.languages import N_, _
from causalclip.report import card, panels

if TYPE_CHECKING:
    from causalclip.evidence.examination import Examination

GONE = N_("This row's result is not there: it is being examined, was not, or is no longer kept.")
READ = N_("What the verdict rests on. Orange pushes towards generated, purple towards not generated.")


def write(folder: Path, stem: str, x: Examination, *, causal: str) -> None:
    """Writes the card, the map (a data address) and the panels of a row. stem: as `kept.stem` says it."""
    said = (
        f"<section aria-label='{_attribute(_('One picture'))}'><h2 tabindex='-1'><bdi>{escape(x.name)}</bdi></h2>"
        f"<button type='button' class='cc-do cc-close'>{_('Close')}</button>"
        + card.verdict(
            x.headline,
            x.detection,
            x.notes,
            cautions=x.cautions,
            stability=x.stability,
            unlike=x.unlike,
            parts=x.parts,
        )
        + ("" if x.band == NO_ANSWER else _figure(causal))
        + panels.region_panel(x.pixels, x.parts)
        + panels.provenance_panel(x.provenance)
        + (panels.stability_panel(x.stability) if x.stability else "")
        + "</section>"
    )
    _file(folder, stem).write_text(said, encoding="utf-8")


def _figure(causal: str) -> str:
    """The map, which only a verdict has."""
    alt = _attribute(_("Causal map over the picture"))
    return f"<figure><img src='{causal}' alt='{alt}'><figcaption>{_(READ)}</figcaption></figure>"


def read(folder: Path, stem: str) -> str:
    """What was written of a row, or a sentence where there is nothing."""
    file = _file(folder, stem)
    return file.read_text(encoding="utf-8") if file.is_file() else gone()


def gone() -> str:
    """The sentence for it, as HTML."""
    return f"<p class='cc-said'>{escape(_(GONE), quote=False)}</p>"


def _attribute(words: str) -> str:
    return escape(words, quote=True)


def _file(folder: Path, stem: str) -> Path:
    return folder / f"row-{stem}.html"
