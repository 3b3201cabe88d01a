"""The page's frame: its head with language and theme, what each tab is for, and words on privacy and limits.

As HTML it is in assets/frame.html.
"""

from __future__ import annotations

from functools import partial

from causalclip.languages import LANGUAGES, N_, _, current
from causalclip.report.card import render
from ui.purify.words import PURPOSE
from ui.settings import script

LEADS = {  # by tab
    "detect": N_("Was this picture made by an image generator?"),
    "purify": PURPOSE,
    "explore": N_("What each part of the model adds to its score, and whether two pictures are copies of one."),
    "measured": N_("What was measured, on pictures that the detector was not trained on, with what it misses."),
}
_render = partial(render, template="frame.html")


def name() -> str:
    """The name at the start of the head."""
    return _render("name")


def preferences() -> str:
    """The switch of languages, each by its own name, and that of light and dark."""
    return _render("preferences", codes=LANGUAGES, spoken=current())


def choose() -> str:
    """The script of `preferences`: what is chosen stays in the browser's own storage."""
    return script("preferences")


def lead(tab: str) -> str:
    """What a tab is for."""
    return _render("lead", words=_(LEADS[tab]))


def privacy() -> str:
    """What is promised about a picture, what the app cannot tell of it, and how its maps are read, as Markdown."""
    return _render("privacy")
