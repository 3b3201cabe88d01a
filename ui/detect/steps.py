"""What a person can do now, as HTML: the examination's steps with their links and buttons, and a sentence to paste.

The person opens the links and adds the picture there; nothing is sent from here. assets/upload.js wires the buttons.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ui.detect.searches import searches

if TYPE_CHECKING:
    from causalclip.examine.steps import Kind, Step

MAGNIFY = "<button type='button' class='cc-do cc-magnify'>Magnify it</button>"
REPORT = "<a href='#report-label'>To the report</a>"
JUMP = "<p class='cc-jump'>{}<a href='#causal-map'>Where this score comes from</a></p>"
WAITING = "The sentence is written when it is known whether the answer survives re-encoding."


def panel(steps: Sequence[Step], quote: str = "") -> str:
    """quote: empty as long as there is none."""
    items = "".join(f"<li>{escape(step.sentence)} {_added(step.kind)}</li>" for step in steps)
    return (
        "<section class='cc-panel cc-steps' aria-label='What you can do now'><h2>What you can do now</h2>"
        f"<ol>{items}</ol><h3>A sentence to paste into a story or a mail</h3>{_quote(quote)}</section>"
    )


def links(*, ready: bool) -> str:
    """From the card to what stands below it. ready: whether there is a report."""
    return JUMP.format("<a href='#report-label'>Download the report</a>" if ready else "")


def _added(kind: Kind) -> str:
    """What the page has for a step."""
    if kind == "copies":
        return searches()
    return {"magnify": MAGNIFY, "crop": MAGNIFY, "report": REPORT}.get(kind, "")


def _quote(quote: str) -> str:
    if not quote:
        return f"<p class='cc-small'>{WAITING}</p>"
    button = "<button type='button' class='cc-do cc-copy-text'>Copy the sentence</button>"
    return f"<blockquote>{escape(quote)}</blockquote><p>{button} <span class='cc-done' role='status'></span></p>"
