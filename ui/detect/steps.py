"""What a person can do now, as HTML: the examination's steps with their links and buttons, and a sentence to paste.

The person opens the links and adds the picture there; nothing is sent from here. assets/upload.js wires the buttons.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import N_, _
from causalclip.maps.words import TITLE
from ui.detect.searches import copier, searches

if TYPE_CHECKING:
    from causalclip.evidence.headline import Step, StepKind

MAGNIFY = "<button type='button' class='cc-do cc-magnify' {words}>{title}</button>"
WAITING = N_("The sentence is written when it is known whether the answer survives re-encoding.")


def panel(steps: Sequence[Step], quote: str = "") -> str:
    """quote: empty as long as there is none."""
    items = "".join(f"<li>{escape(step.sentence)} {_added(step.kind)}</li>" for step in steps)
    title, paste = _("What you can do now"), _("A sentence to paste into a story or a mail")
    return (
        f"<section class='cc-panel cc-steps' aria-label='{escape(title)}'><h2>{title}</h2>"
        f"<ol>{items}</ol><h3>{paste}</h3>{_quote(quote)}</section>"
    )


def links(*, ready: bool, mapped: bool = True) -> str:
    """From the card to what stands below it. ready: whether there is a report. mapped: whether there is a map."""
    report = f"<a href='#report-label'>{_('Download the report')}</a>" if ready else ""
    shown = f"<a href='#causal-map'>{_(TITLE)}</a>" if mapped else _to_part()
    return f"<p class='cc-jump'>{report}{shown}</p>"


def _to_part() -> str:
    """assets/upload.js opens it, too."""
    return f"<a href='#part'>{_('Judge only a part of it')}</a>"


def _added(kind: StepKind) -> str:
    """What the page has for a step."""
    if kind == "copies":
        return searches()
    if kind == "report":
        return f"<a href='#report-label'>{_('To the report')}</a>"
    if kind == "crop":
        return _to_part()
    return _magnifier() if kind == "magnify" else ""


def _magnifier() -> str:
    """A button, with the words of what it opens."""
    said = {
        "name": _("The picture, magnified"),
        "larger": _("Larger"),
        "smaller": _("Smaller"),
        "close": _("Close"),
        "scroll": _("Scroll with the arrow keys"),
    }
    words = " ".join(f"data-{name}='{escape(text)}'" for name, text in said.items())
    return MAGNIFY.format(words=words, title=_("Magnify it"))


def _quote(quote: str) -> str:
    if not quote:
        return f"<p class='cc-small'>{_(WAITING)}</p>"
    button = copier(
        "cc-copy-text",
        _("Copy the sentence"),
        done=_("Copied."),
        failed=_("This browser does not let a page copy text. Mark the sentence and copy it."),
    )
    return f"<blockquote>{escape(quote)}</blockquote><p>{button}</p>"
